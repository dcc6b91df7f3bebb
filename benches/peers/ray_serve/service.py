"""Ray Serve: its proxy and one replica.

python service.py MODEL.onnx PORT [--batch]
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import ray
from ray import serve
from starlette.requests import Request

NAMES = {np.dtype(np.float32): "FP32", np.dtype(np.float64): "FP64", np.dtype(np.int64): "INT64"}


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1})
class Peer:
    """The model; batches are gathered for it if it is told so."""

    def __init__(self, path: str, batch: bool) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self.entry = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]
        self.batch = batch

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.0)
    async def together(self, parts: list[np.ndarray]) -> list[list[np.ndarray]]:
        outputs = self.session.run(None, {self.entry: np.concatenate(parts)})
        made, at = [], 0
        for part in parts:
            made.append([output[at : at + len(part)] for output in outputs])
            at += len(part)
        return made

    async def __call__(self, request: Request) -> dict[str, Any] | str:
        if request.method == "GET":
            return "ready"
        raw = (await request.json())["inputs"][0]
        rows = np.array(raw["data"], dtype=np.float32).reshape(raw["shape"])
        if self.batch:
            outputs = await self.together(rows)
        else:
            outputs = self.session.run(None, {self.entry: rows})
        return {
            "outputs": [
                {
                    "name": name,
                    "datatype": NAMES[output.dtype],
                    "shape": list(output.shape),
                    "data": output.ravel().tolist(),
                }
                for name, output in zip(self.names, outputs, strict=True)
            ]
        }


if __name__ == "__main__":
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Its own folder, which goes with the model's; short, because the paths of sockets are bounded.
    folder = tempfile.mkdtemp(prefix="ray", dir=Path(sys.argv[1]).parent)
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, _temp_dir=folder)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2]), "access_log": False})
    serve.run(Peer.bind(sys.argv[1], "--batch" in sys.argv), route_prefix="/")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
