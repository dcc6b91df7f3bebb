"""The cases through `tritonclient.grpc`, and those of gRPC that no client says through its stubs."""

from __future__ import annotations

import queue
import sys
from typing import Any

import grpc
import tritonclient.grpc as triton
from tests.conformance.case import Case, Found, kind
from tests.conformance.drivers.driver import array, run, tensor
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

WAIT = 20.0
"""Seconds for one answer."""
CONTENTS = {
    "BOOL": "bool_contents",
    **{f"INT{bits}": "int_contents" for bits in (8, 16, 32)},
    **{f"UINT{bits}": "uint_contents" for bits in (8, 16, 32)},
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def plain(message: Any) -> Any:
    """A message as JSON says it, but with numbers for 64-bit integers."""
    if not hasattr(message, "DESCRIPTOR"):
        return message
    made: dict[str, Any] = {}
    for one in message.DESCRIPTOR.fields:
        value = getattr(message, one.name)
        if one.message_type is not None and one.message_type.GetOptions().map_entry:
            made[one.name] = {key: plain(part) for key, part in value.items()}
        elif one.is_repeated:
            made[one.name] = [plain(part) for part in value]
        elif one.message_type is not None:
            if message.HasField(one.name):
                made[one.name] = plain(value)
        elif one.containing_oneof is None or message.HasField(one.name):
            made[one.name] = value
    return made


def main() -> None:
    address = sys.argv[1]
    client = triton.InferenceServerClient(address)
    channel = grpc.insecure_channel(address)
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    health = channel.unary_unary("/grpc.health.v1.Health/Check")

    def ask(case: Case, version: str) -> Found:
        try:
            return answer(case, version)
        except InferenceServerException as error:
            return Found(kind(str(error.status()).removeprefix("StatusCode.")), error.message())
        except grpc.RpcError as error:
            return Found(kind(error.code().name), error.details())

    def answer(case: Case, version: str) -> Found:
        model = case.model
        match case.call:
            case "live":
                return Found("ok", fields=client.is_server_live())
            case "ready":
                return Found("ok", fields=client.is_server_ready())
            case "model_ready":
                return Found("ok", fields=client.is_model_ready(model, version))
            case "server":
                return Found("ok", fields=plain(client.get_server_metadata()))
            case "model":
                return Found("ok", fields=plain(client.get_model_metadata(model, version)))
            case "config":
                return Found("ok", fields=plain(client.get_model_config(model, version).config))
            case "statistics":
                found = client.get_inference_statistics(model, version)
                return Found("ok", fields=plain(found))
            case "index":
                return Found("ok", fields=plain(client.get_model_repository_index()))
            case "load":
                return Found("ok", fields=client.load_model(model))
            case "unload":
                return Found("ok", fields=client.unload_model(model))
            case "logging":
                settings = dict(case.parameters)
                change = client.update_log_settings if settings else client.get_log_settings
                found = plain(change(settings) if settings else change())["settings"]
                flat = {name: next(iter(value.values())) for name, value in found.items()}
                return Found("ok", fields=flat)
            case "health":
                reply = health(b"", timeout=WAIT)
                return Found("ok", fields={"serving": reply == b"\x08\x01"})
            case "stream":
                return stream(case, version)
            case "mixed_contents" | "typed_half" | "one_raw_too_many":
                return result_of(stub.ModelInfer(odd(case), timeout=WAIT))
            case "infer" if case.binary:
                return infer(case, version)
            case "infer":
                return result_of(stub.ModelInfer(typed(case, version), timeout=WAIT))
        raise NotImplementedError(case.call)

    def infer(case: Case, version: str) -> Found:
        found = client.infer(case.model, inputs(case), **more(case, version))
        return result_of(found.get_response())

    def stream(case: Case, version: str) -> Found:
        answers: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        try:
            client.async_stream_infer(
                case.model,
                inputs(case),
                enable_empty_final_response=True,
                **more(case, version),
            )
            result, error = answers.get(timeout=WAIT)
            if error is None:
                return result_of(result.get_response())
            # It has no status: an error of one request must not end the stream.
            client.async_stream_infer("text", [hello()])
            after, _ = answers.get(timeout=WAIT)
            is_open = after is not None and after.as_numpy("OUT").tolist() == [[b"hello"]]
            return Found("in_stream" if is_open else "stream_ended", error.message())
        finally:
            client.stop_stream()

    def hello() -> Any:
        import numpy as np

        made = triton.InferInput("IN", [1, 1], "BYTES")
        made.set_data_from_numpy(np.array([[b"hello"]], dtype=np.object_))
        return made

    def more(case: Case, version: str) -> dict[str, Any]:
        made: dict[str, Any] = {"model_version": version, "request_id": case.id}
        given = dict(case.parameters)
        for name in ("priority", "timeout"):
            if name in given:
                made[name] = given.pop(name)
        if given:
            made["parameters"] = given
        if case.outputs:
            made["outputs"] = [
                triton.InferRequestedOutput(o.name, class_count=o.classes) for o in case.outputs
            ]
        if case.compression:
            made["compression_algorithm"] = case.compression
        return made

    def inputs(case: Case) -> list[Any]:
        return [raw_input(t) for t in case.inputs]

    run("triton_grpc", ask)


def raw_input(given: Any) -> Any:
    values = array(given)
    made = triton.InferInput(given.name, list(values.shape), given.datatype)
    made.set_data_from_numpy(values)
    made.set_shape(list(given.shape))
    return made


def typed(case: Case, version: str) -> Any:
    """A request whose tensors are in typed contents, as clients in other languages send them."""
    request = service_pb2.ModelInferRequest(
        model_name=case.model, model_version=version, id=case.id
    )
    for name, value in case.parameters.items():
        is_text = isinstance(value, str)
        kind_of = "bool" if isinstance(value, bool) else "string" if is_text else "int64"
        setattr(request.parameters[name], f"{kind_of}_param", value)
    for given in case.inputs:
        made = request.inputs.add(name=given.name, datatype=given.datatype, shape=given.shape)
        data = [x.encode() if isinstance(x, str) else x for x in given.data]
        contents = CONTENTS.get(given.datatype, "fp32_contents")
        getattr(made.contents, contents).extend(data)
    for output in case.outputs:
        request.outputs.add(name=output.name)
    return request


def odd(case: Case) -> Any:
    """Requests that are wrong in ways of gRPC only."""
    request = typed(case, "")
    match case.call:
        case "mixed_contents":
            request.raw_input_contents.append(array(case.inputs[0]).tobytes())
        case "one_raw_too_many":
            for made in request.inputs:
                made.ClearField("contents")
            for given in (*case.inputs, case.inputs[0]):
                request.raw_input_contents.append(array(given).tobytes())
    return request


def result_of(reply: Any) -> Found:
    result = triton.InferResult(reply)
    raw = len(reply.raw_output_contents) == len(reply.outputs)
    assert raw, "outputs must come raw, one entry each"
    outputs = [tensor(o.name, o.datatype, o.shape, result.as_numpy(o.name)) for o in reply.outputs]
    for output in outputs:
        assert triton_to_np_dtype(output.datatype) is not None
    fields = {
        "model_name": reply.model_name,
        "model_version": reply.model_version,
        "id": reply.id,
        "parameters": {
            name: next(iter(plain(value).values())) for name, value in reply.parameters.items()
        },
    }
    return Found("ok", outputs=outputs, fields=fields)


if __name__ == "__main__":
    main()
