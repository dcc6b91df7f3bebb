"""LitServe: an API process and a worker process, with its fast queue.

python service.py MODEL.onnx PORT [--features FEATURES.json] [--batch]
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
from served import Served, apart, arguments


class Api(litserve.LitAPI):
    """The model; the server gathers batches for it if it is told to."""

    def __init__(self, given: argparse.Namespace, **settings: Any) -> None:
        super().__init__(**settings)
        self.given = given

    def setup(self, device: str) -> None:
        del device
        self.served = Served(self.given)

    # LitServe reads the annotation of `request`: without one it hands over the JSON document.
    def decode_request(self, request) -> np.ndarray:
        return self.served.rows(request["inputs"])

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(inputs)

    def predict(self, rows: np.ndarray) -> list[np.ndarray]:
        return self.served.run(rows)

    def unbatch(self, output: list[np.ndarray]) -> list[list[np.ndarray]]:
        return list(apart(output, [1] * len(output[0])))

    def encode_response(self, output: list[np.ndarray]) -> dict[str, Any]:
        return {"outputs": self.served.outputs(output, lists=True)}


if __name__ == "__main__":
    given = arguments()
    batch = {"max_batch_size": 32, "batch_timeout": 0.001} if given.batch else {}
    api = Api(given, api_path=f"/v2/models/{given.name}/infer", **batch)
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=1,
        fast_queue=True,
        healthcheck_path="/v2/health/ready",
    )
    server.run(
        host="127.0.0.1",
        port=given.port,
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
