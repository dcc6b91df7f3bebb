"""The cases through KServe's REST client."""

from __future__ import annotations

import asyncio
import sys

import httpx
from kserve import InferenceRESTClient, RESTConfig
from tests.conformance.case import Case, Found, kind
from tests.conformance.drivers.driver import run
from tests.conformance.drivers.kserve_types import found_of, request_of


def main() -> None:
    url = f"http://{sys.argv[1]}"

    async def answer(case: Case) -> Found:
        async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0, timeout=20)) as client:
            match case.call:
                case "live":
                    return Found("ok", fields=await client.is_server_live(url))
                case "ready":
                    return Found("ok", fields=await client.is_server_ready(url))
                case "model_ready":
                    return Found("ok", fields=await client.is_model_ready(url, case.model))
                case "infer":
                    reply = await client.infer(url, request_of(case), model_name=case.model)
                    return found_of(reply)
        raise NotImplementedError(case.call)

    def ask(case: Case, version: str) -> Found:
        del version  # It has no way to name one.
        try:
            return asyncio.run(answer(case))
        except httpx.HTTPStatusError as error:
            return Found(kind(error.response.status_code), str(error))

    run("kserve_rest", ask)


if __name__ == "__main__":
    main()
