"""Ray Serve: its proxy and one replica.

python service.py MODEL.onnx PORT [--features FEATURES.json] [--batch]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import serve
from starlette.requests import Request

sys.path.append(str(Path(__file__).parents[1]))
from served import Served, apart, arguments


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1})
class Peer:
    """The model; batches are gathered for it if it is told so."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.served = Served(given)
        self.batch = given.batch

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.0)
    async def together(self, parts: list[np.ndarray]) -> list[list[np.ndarray]]:
        return list(apart(self.served.run(np.concatenate(parts)), map(len, parts)))

    async def __call__(self, request: Request) -> dict[str, Any] | str:
        if request.method == "GET":
            return "ready"
        rows = self.served.rows((await request.json())["inputs"])
        made = await self.together(rows) if self.batch else self.served.run(rows)
        return {"outputs": self.served.outputs(made, lists=True)}


if __name__ == "__main__":
    given = arguments()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # The replica is a process of its own, and imports what is beside this folder.
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    # Its own folder, which goes with the model's; short, because the paths of sockets are bounded.
    folder = tempfile.mkdtemp(prefix="ray", dir=Path(given.model).parent)
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, _temp_dir=folder)
    serve.start(http_options={"host": "127.0.0.1", "port": given.port, "access_log": False})
    serve.run(Peer.bind(given), route_prefix="/")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
