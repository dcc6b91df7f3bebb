"""What KServe's gRPC client can ask of tidegate; runs in the environment that has kserve.

Prints one JSON object of what came back; the test that started it compares.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np


async def main(address: str) -> dict[str, Any]:
    """Ask the server at `host:port`."""
    import grpc
    from kserve import InferenceGRPCClient, InferInput, InferRequest

    def request(model: str, *, binary: bool) -> Any:
        x = InferInput("x", [3, 1], "FP64")
        x.set_data_from_numpy(np.array([[1.25], [np.nan], [-3e5]]), binary_data=binary)
        colour = InferInput("colour", [3, 1], "BYTES")
        names = np.array([["red"], ["blue"], ["grün"]], dtype=object)
        colour.set_data_from_numpy(names, binary_data=binary)
        at = InferInput("at", [3, 1], "INT64")
        times = np.array([[1709287200000000], [0], [0]], dtype=np.int64)
        at.set_data_from_numpy(times, binary_data=binary)
        missing = InferInput("at.is_null", [3, 1], "BOOL")
        missing.set_data_from_numpy(np.array([[False], [True], [True]]), binary_data=binary)
        inputs = [x, colour, at, missing]
        return InferRequest(model_name=model, infer_inputs=inputs, request_id="r-1")

    found: dict[str, Any] = {}
    async with InferenceGRPCClient(address, retries=0) as client:
        found["live"] = await client.is_server_live()
        found["ready"] = await client.is_server_ready()
        found["model_ready"] = await client.is_model_ready("tiny")
        found["unknown_ready"] = await client.is_model_ready("nobody")
        # Not binary is typed contents there.
        for name, binary in (("typed", False), ("raw", True)):
            reply = await client.infer(request("tiny", binary=binary))
            found[name] = {output.name: output.as_numpy().tolist() for output in reply.outputs}
            found[f"{name}_names"] = [reply.id, reply.model_name, reply.model_version]
        try:
            await client.infer(request("nobody", binary=True))
        except grpc.RpcError as error:
            found["unknown"] = {"status": error.code().name, "message": error.details()}
    return found


if __name__ == "__main__":
    json.dump(asyncio.run(main(sys.argv[1])), sys.stdout, default=str)
