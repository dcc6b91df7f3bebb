"""LitServe: an API process and a worker process, with its fast queue.

python service.py MODEL.onnx PORT [--batch]
"""

import sys
from typing import Any

import litserve
import numpy as np
import onnxruntime

NAMES = {np.dtype(np.float32): "FP32", np.dtype(np.float64): "FP64", np.dtype(np.int64): "INT64"}


class Api(litserve.LitAPI):
    """The model; the server gathers batches for it if it is told to."""

    def __init__(self, path: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.path = path

    def setup(self, device: str) -> None:
        del device
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            self.path, options, providers=["CPUExecutionProvider"]
        )
        self.entry = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]

    # LitServe reads the annotation of `request`: without one it hands over the JSON document.
    def decode_request(self, request) -> np.ndarray:
        raw = request["inputs"][0]
        return np.array(raw["data"], dtype=np.float32).reshape(raw["shape"])

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(inputs)

    def predict(self, rows: np.ndarray) -> list[np.ndarray]:
        return self.session.run(None, {self.entry: rows})

    def unbatch(self, output: list[np.ndarray]) -> list[list[np.ndarray]]:
        return [[part[at : at + 1] for part in output] for at in range(len(output[0]))]

    def encode_response(self, output: list[np.ndarray]) -> dict[str, Any]:
        return {
            "outputs": [
                {
                    "name": name,
                    "datatype": NAMES[part.dtype],
                    "shape": list(part.shape),
                    "data": part.ravel().tolist(),
                }
                for name, part in zip(self.names, output, strict=True)
            ]
        }


if __name__ == "__main__":
    batch = {"max_batch_size": 32, "batch_timeout": 0.001} if "--batch" in sys.argv else {}
    api = Api(sys.argv[1], api_path="/v2/models/trees/infer", **batch)
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=1,
        fast_queue=True,
        healthcheck_path="/v2/health/ready",
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[2]),
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
