"""MLServer with a runtime of our own around ONNX Runtime, in the server's process.

python service.py MODEL.onnx PORT [--batch]
"""

from __future__ import annotations

import asyncio
import socket
import sys

import numpy as np
import onnxruntime
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse

BATCH = {"max_batch_size": 32, "max_batch_time": 0.001}


class Runtime(MLModel):
    """The model; the server gathers batches for it if it is told to."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        self.entry = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        outputs = self.session.run(None, {self.entry: rows})
        made = [
            NumpyCodec.encode_output(name, output)
            for name, output in zip(self.names, outputs, strict=True)
        ]
        return InferenceResponse(model_name=self.name, model_version="1", outputs=made)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def main(path: str, port: int, batch: bool) -> None:
    settings = Settings(
        host="127.0.0.1",
        http_port=port,
        grpc_port=free_port(),
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
        load_models_at_startup=False,
    )
    model = ModelSettings(
        name="trees",
        implementation=Runtime,
        parameters=ModelParameters(uri=path, version="1"),
        **(BATCH if batch else {}),
    )
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), "--batch" in sys.argv))
