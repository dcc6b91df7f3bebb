"""The cases through KServe's gRPC client."""

from __future__ import annotations

import asyncio
import logging
import sys

import grpc
from kserve import InferenceGRPCClient
from tests.conformance.case import Case, Found, kind
from tests.conformance.drivers.driver import run
from tests.conformance.drivers.kserve_types import found_of, request_of


def main() -> None:
    # It logs every refusal with a trace.
    logging.disable(logging.CRITICAL)

    async def answer(case: Case) -> Found:
        async with InferenceGRPCClient(sys.argv[1], retries=0, timeout=20) as client:
            match case.call:
                case "live":
                    return Found("ok", fields=await client.is_server_live())
                case "ready":
                    return Found("ok", fields=await client.is_server_ready())
                case "model_ready":
                    return Found("ok", fields=await client.is_model_ready(case.model))
                case "infer":
                    return found_of(await client.infer(request_of(case)))
        raise NotImplementedError(case.call)

    def ask(case: Case, version: str) -> Found:
        del version  # It has no way to name one.
        try:
            return asyncio.run(answer(case))
        except grpc.RpcError as error:
            return Found(kind(error.code().name), error.details())

    run("kserve_grpc", ask)


if __name__ == "__main__":
    main()
