"""What KServe's REST client can ask of tidegate; runs in the environment that has kserve.

Prints one JSON object of what came back; the test that started it compares.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np


async def main(url: str) -> dict[str, Any]:
    """Ask the server at `http://host:port`."""
    import httpx
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

    def request(*, binary: bool, **more: Any) -> Any:
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
        return InferRequest(
            model_name="tiny", infer_inputs=[x, colour, at, missing], request_id="r-1", **more
        )

    def outputs(reply: Any) -> dict[str, Any]:
        return {output.name: output.as_numpy().tolist() for output in reply.outputs}

    found: dict[str, Any] = {}
    async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) as client:
        found["live"] = await client.is_server_live(url)
        found["ready"] = await client.is_server_ready(url)
        found["model_ready"] = await client.is_model_ready(url, "tiny")
        found["unknown_ready"] = await client.is_model_ready(url, "nobody")
        for name, body in {
            "json": request(binary=False),
            "binary": request(binary=True),
            "binary_reply": request(binary=True, parameters={"binary_data_output": True}),
        }.items():
            reply = await client.infer(url, body, model_name="tiny")
            found[name] = outputs(reply)
            # It does not read the version, in any release so far.
            found[f"{name}_names"] = [reply.id, reply.model_name]
        for name, model, body in (
            ("unknown", "nobody", request(binary=False)),
            ("malformed", "tiny", {"inputs": []}),
        ):
            try:
                await client.infer(url, body, model_name=model)
            except httpx.HTTPStatusError as error:
                found[name] = {"status": error.response.status_code, "message": str(error)}
    async with InferenceRESTClient(RESTConfig(protocol="v1", retries=0)) as client:
        found["v1_ready"] = await client.is_model_ready(url, "tiny")
        rows = {"instances": [{"x": 1.25, "colour": "red", "at": 1709287200000000}]}
        found["rows"] = await client.infer(url, rows, model_name="tiny")
    return found


if __name__ == "__main__":
    json.dump(asyncio.run(main(sys.argv[1])), sys.stdout, default=str)
