"""BentoML: one worker, the model in it.

python service.py MODEL.onnx PORT [--features FEATURES.json] [--batch]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import bentoml
import numpy as np
from pydantic import BeforeValidator

sys.path.append(str(Path(__file__).parents[1]))
from served import Served, apart, arguments, hand_over, handed_over

Request = Annotated[list[list[dict[str, Any]]], BeforeValidator(lambda inputs: [inputs])]
"""The inputs of a request as one item: batches are made of items, and an input is none by itself."""

BATCHING = {"batchable": True, "max_batch_size": 32, "max_latency_ms": 1_000}


@bentoml.service(workers=1, traffic={"timeout": 60}, metrics={"enabled": False})
class Peer:
    """The model; the server gathers batches for it if it is told to."""

    def __init__(self) -> None:
        self.served = Served(handed_over())

    @bentoml.api(**(BATCHING if handed_over().batch else {}))
    async def infer(self, inputs: Request) -> list[dict[str, Any]]:
        """One request, or in a batch several."""
        rows = [self.served.rows(one) for one in inputs]
        parts = apart(self.served.run(np.concatenate(rows)), map(len, rows))
        return [{"outputs": self.served.outputs(part, lists=True)} for part in parts]


if __name__ == "__main__":
    given = arguments()
    hand_over(given)
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    os.environ["BENTOML_HOME"] = tempfile.mkdtemp(prefix="bentoml", dir=Path(given.model).parent)
    os.chdir(Path(__file__).parent)
    program = str(Path(sys.executable).with_name("bentoml"))
    where = ["--host", "127.0.0.1", "--port", str(given.port)]
    os.execv(program, [program, "serve", "service:Peer", *where])
