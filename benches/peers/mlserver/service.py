"""MLServer with a runtime of our own around ONNX Runtime, in the server's process.

python service.py MODEL.onnx PORT [--features FEATURES.json] [--batch]
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from pathlib import Path

import numpy as np
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.batching import load_batching
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse

sys.path.append(str(Path(__file__).parents[1]))
from served import Served, arguments

BATCH = {"max_batch_size": 32, "max_batch_time": 0.001}


class Runtime(MLModel):
    """The model; the server gathers batches for it if it is told to."""

    async def load(self) -> bool:
        self.served = Served(argparse.Namespace(**self.settings.parameters.extra))
        return True

    def rows(self, payload: InferenceRequest) -> np.ndarray:
        if self.served.features is None:
            return NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        return self.served.features.rows([{one.name: one.data.root[0] for one in payload.inputs}])

    def answer(self, rows: np.ndarray) -> InferenceResponse:
        made = [
            NumpyCodec.encode_output(name, output)
            for name, output in zip(self.served.names, self.served.run(rows), strict=True)
        ]
        return InferenceResponse(model_name=self.name, model_version="1", outputs=made)

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return self.answer(self.rows(payload))


class Gathered(Runtime):
    """The rows of several requests: what raw columns become before batches are gathered."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        return self.answer(rows)


class RawColumns(Runtime):
    """Features first: the server joins inputs by name, and a missing value has no place in that."""

    async def load(self) -> bool:
        await super().load()
        self.gathered = Gathered(self.settings.model_copy(update=BATCH))
        await self.gathered.load()
        await load_batching(self.gathered)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        features = NumpyCodec.encode_input(self.served.entry, self.rows(payload))
        return await self.gathered.predict(InferenceRequest(inputs=[features]))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def main(given: argparse.Namespace) -> None:
    settings = Settings(
        host="127.0.0.1",
        http_port=given.port,
        grpc_port=free_port(),
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
        load_models_at_startup=False,
    )
    raw = given.features and given.batch
    model = ModelSettings(
        name=given.name,
        implementation=RawColumns if raw else Runtime,
        parameters=ModelParameters(uri=given.model, version="1", extra=vars(given)),
        **(BATCH if given.batch and not raw else {}),
    )
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(main(arguments()))
