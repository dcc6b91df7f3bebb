"""Granian over RSGI with orjson: HTTP in Rust, the prediction in one Python worker.

python service.py MODEL.onnx PORT [--features FEATURES.json]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
from granian import Granian
from granian.constants import Interfaces, Loops

sys.path.append(str(Path(__file__).parents[1]))
from served import Served, arguments, hand_over, handed_over

HEADERS = [("content-type", "application/json")]


class Service:
    """The application; its model is loaded in the worker."""

    def __init__(self) -> None:
        self.served = Served(handed_over())

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.method == "GET":
            protocol.response_bytes(200, HEADERS, b'{"ready":true}')
            return
        try:
            inputs = orjson.loads(await protocol())["inputs"]
            made = self.served.run(self.served.rows(inputs))
        except Exception as error:
            protocol.response_bytes(400, HEADERS, orjson.dumps({"error": str(error)}))
            return
        answer = {
            "model_name": scope.path.split("/")[3],
            "model_version": "1",
            "outputs": self.served.outputs(made),
        }
        content = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
        protocol.response_bytes(200, HEADERS, content)


if __name__ == "__main__":
    given = arguments()
    hand_over(given)
    Granian(
        "service:Service",
        factory=True,
        address="127.0.0.1",
        port=given.port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        workers=1,
        log_enabled=False,
    ).serve()
