"""Everything that `tritonclient.grpc` can ask of tidegate, in a process of its own.

Prints one JSON object of what came back; the test that started it compares. tidegate is imported
too: its messages live in Rust, so that they and the client's cannot meet.
"""

from __future__ import annotations

import json
import queue
import sys
from functools import partial
from typing import Any

import numpy as np

PATIENCE = 60.0


def main(address: str) -> dict[str, Any]:
    """Ask the server at `host:port`."""
    import grpc
    import tritonclient.grpc as triton
    from tritonclient.utils import InferenceServerException

    import tidegate.server

    client = triton.InferenceServerClient(address)

    def tensor(name: str, values: Any, datatype: str) -> Any:
        array = np.asarray(values)
        made = triton.InferInput(name, list(array.shape), datatype)
        made.set_data_from_numpy(array)
        return made

    def inputs() -> list[Any]:
        colours = np.array([[b"red"], [b"blue"], ["grün".encode()]], dtype=object)
        times = np.array([[1709287200000000], [0], [0]], dtype=np.int64)
        return [
            tensor("x", np.array([[1.25], [np.nan], [-3e5]]), "FP64"),
            tensor("colour", colours, "BYTES"),
            tensor("at", times, "INT64"),
            tensor("at.is_null", [[False], [True], [True]], "BOOL"),
        ]

    def outputs(result: Any) -> dict[str, Any]:
        names = [output.name for output in result.get_response().outputs]
        return {name: result.as_numpy(name).tolist() for name in names}

    def refused(call: Any) -> dict[str, Any]:
        try:
            call()
        except InferenceServerException as error:
            return {"status": error.status(), "message": error.message()}
        return {"status": "accepted"}

    def as_dict(call: Any) -> Any:
        return call(as_json=True)

    found: dict[str, Any] = {
        "imported": tidegate.server.__name__,
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready("tiny"),
        "version_ready": client.is_model_ready("tiny", "1.0.0"),
        "coerced_ready": client.is_model_ready("tiny", "1"),
        "unknown_ready": client.is_model_ready("nobody"),
        "server": as_dict(client.get_server_metadata),
        "model": as_dict(partial(client.get_model_metadata, "tiny")),
        "config": as_dict(partial(client.get_model_config, "tiny")),
        "index": as_dict(client.get_model_repository_index),
    }
    usual = client.infer("tiny", inputs())
    found["usual"] = outputs(usual)
    found["usual_names"] = [usual.get_response().model_name, usual.get_response().model_version]
    found["usual_parameters"] = sorted(usual.get_response().parameters)
    one = client.infer(
        "tiny",
        inputs(),
        model_version="1.0.0",
        outputs=[triton.InferRequestedOutput("label")],
        request_id="r-1",
        priority=1,
        timeout=60_000_000,
        client_timeout=PATIENCE,
        parameters={"tenant": "a", "share": 0.5, "flag": True},
    )
    found["one_output"] = outputs(one)
    found["one_output_id"] = one.get_response().id
    for coding in ("gzip", "deflate"):
        found[coding] = outputs(client.infer("tiny", inputs(), compression_algorithm=coding))
    answers: queue.Queue[Any] = queue.Queue()
    for _ in range(8):
        client.async_infer("tiny", inputs(), lambda result, error: answers.put((result, error)))
    found["async"] = [outputs(answers.get(timeout=PATIENCE)[0]) for _ in range(8)]
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    found["plain"] = outputs(client.infer("plain", [tensor("x", matrix, "FP32")]))
    large = np.arange(3 * 200_000, dtype=np.float32).reshape(-1, 3) % 7
    answer = client.infer("plain", [tensor("x", large, "FP32")]).as_numpy("y")
    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    found["large"] = bool(np.allclose(answer, large @ weights))

    colour = tensor("colour", np.array([[b"red"]], dtype=object), "BYTES")
    replies: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: replies.put((result, error)))
    for i in range(20):
        name = "nobody" if i == 7 else "tiny"
        client.async_stream_infer(
            name, [colour], request_id=f"s-{i}", enable_empty_final_response=i % 2 == 0
        )
    streamed: list[dict[str, Any]] = []
    for _ in range(20):
        result, error = replies.get(timeout=PATIENCE)
        if error is not None:
            streamed.append({"error": error.message()})
            continue
        response = result.get_response()
        final = response.parameters["triton_final_response"].bool_param
        streamed.append({"id": response.id, "final": final, "outputs": sorted(outputs(result))})
    found["stream"] = streamed
    client.stop_stream()

    narrow = tensor("x", matrix[:, :2], "FP32")
    found["refused"] = {
        "model": refused(lambda: client.infer("nobody", [colour])),
        "version": refused(lambda: client.infer("tiny", [colour], model_version="9.9.9")),
        "coerced": refused(lambda: client.infer("tiny", [colour], model_version="1")),
        "metadata": refused(lambda: client.get_model_metadata("nobody")),
        "config": refused(lambda: client.get_model_config("nobody")),
        "statistics": refused(lambda: client.get_inference_statistics("nobody")),
        "column": refused(lambda: client.infer("tiny", [colour, tensor("y", [[1.0]], "FP64")])),
        "datatype": refused(lambda: client.infer("tiny", [tensor("colour", [[1.0]], "FP64")])),
        "output": refused(
            lambda: client.infer("tiny", [colour], outputs=[triton.InferRequestedOutput("nothing")])
        ),
        "width": refused(lambda: client.infer("plain", [narrow])),
        # Large: a small one may be answered within the millisecond that the deadline is rounded to.
        "late": refused(
            lambda: client.infer("plain", [tensor("x", large, "FP32")], client_timeout=1e-6)
        ),
        "expired": refused(lambda: client.infer("tiny", [colour], timeout=1)),
        "shared_memory": refused(client.get_system_shared_memory_status),
        "load": refused(lambda: client.load_model("nobody")),
        "load_parameters": refused(lambda: client.load_model("tiny", config="{}")),
        "unload": refused(lambda: client.unload_model("nobody")),
    }
    found["statistics"] = as_dict(partial(client.get_inference_statistics, "tiny"))
    found["all_statistics"] = as_dict(client.get_inference_statistics)
    client.unload_model("tiny")
    found["unloaded"] = client.is_model_ready("tiny")
    client.load_model("tiny")
    found["loaded"] = client.is_model_ready("tiny")
    found["after"] = outputs(client.infer("tiny", [colour]))
    client.close()

    with grpc.insecure_channel(address) as channel:
        found["health"] = health(channel)
    return found


def health(channel: Any) -> dict[str, Any]:
    """What `grpc.health.v1` says; its messages are a text and a number."""
    import grpc

    def ask(service: bytes) -> Any:
        message = b"\x0a" + bytes([len(service)]) + service if service else b""
        call = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            return list(call(message, timeout=PATIENCE))
        except grpc.RpcError as error:
            return error.code().name

    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=PATIENCE)
    first = list(next(watch))
    watch.cancel()
    unknown = channel.unary_unary("/inference.GRPCInferenceService/Nothing")
    try:
        unknown(b"", timeout=PATIENCE)
        method = "OK"
    except grpc.RpcError as error:
        method = error.code().name
    return {
        "server": ask(b""),
        "service": ask(b"inference.GRPCInferenceService"),
        "unknown": ask(b"nobody"),
        "watch": first,
        "method": method,
    }


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout, default=str)
