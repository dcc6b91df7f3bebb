"""Everything that `tritonclient.http` can ask of tidegate, in a process of its own.

Prints one JSON object of what came back; the test that started it compares.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np


def main(address: str) -> dict[str, Any]:
    """Ask the server at `host:port`."""
    import tritonclient.http as triton
    from tritonclient.utils import InferenceServerException

    client = triton.InferenceServerClient(address, concurrency=4)

    def tensor(name: str, values: Any, datatype: str, *, binary: bool) -> Any:
        array = np.asarray(values)
        made = triton.InferInput(name, list(array.shape), datatype)
        made.set_data_from_numpy(array, binary_data=binary)
        return made

    def inputs(*, binary: bool) -> list[Any]:
        colours = np.array([[b"red"], [b"blue"], ["grün".encode()]], dtype=object)
        times = np.array([[1709287200000000], [0], [0]], dtype=np.int64)
        return [
            tensor("x", np.array([[1.25], [np.nan], [-3e5]]), "FP64", binary=True),
            tensor("colour", colours, "BYTES", binary=binary),
            tensor("at", times, "INT64", binary=binary),
            tensor("at.is_null", [[False], [True], [True]], "BOOL", binary=binary),
        ]

    def outputs(result: Any) -> dict[str, Any]:
        names = [output["name"] for output in result.get_response()["outputs"]]
        return {name: result.as_numpy(name).tolist() for name in names}

    def refused(call: Any) -> dict[str, Any]:
        try:
            call()
        except InferenceServerException as error:
            return {"status": error.status(), "message": error.message()}
        return {"status": "accepted"}

    def wanted(**binary: bool) -> list[Any]:
        return [
            triton.InferRequestedOutput(name, binary_data=value) for name, value in binary.items()
        ]

    found: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready("tiny"),
        "version_ready": client.is_model_ready("tiny", "1.0.0"),
        "unknown_ready": client.is_model_ready("nobody"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata("tiny"),
        "config": client.get_model_config("tiny"),
        "index": client.get_model_repository_index(),
    }
    usual = client.infer("tiny", inputs(binary=True))
    found["usual"] = outputs(usual)
    found["usual_reply"] = usual.get_response()
    found["json"] = outputs(
        client.infer(
            "tiny",
            inputs(binary=False),
            outputs=wanted(probabilities=False, label=False),
            request_id="r-1",
            timeout=5_000_000,
            parameters={"tenant": "a"},
        )
    )
    mixed = client.infer(
        "tiny",
        inputs(binary=True),
        model_version="1.0.0",
        outputs=wanted(probabilities=True, label=False),
        request_id="r-2",
    )
    found["mixed"] = outputs(mixed)
    found["mixed_reply"] = mixed.get_response()
    found["one_output"] = outputs(
        client.infer("tiny", inputs(binary=True), outputs=wanted(label=True))
    )
    for coding in ("gzip", "deflate"):
        found[coding] = outputs(
            client.infer(
                "tiny",
                inputs(binary=True),
                request_compression_algorithm=coding,
                response_compression_algorithm=coding,
            )
        )
    asked = [client.async_infer("tiny", inputs(binary=True)) for _ in range(8)]
    found["async"] = [outputs(request.get_result()) for request in asked]
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    for binary in (True, False):
        plain = client.infer("plain", [tensor("x", matrix, "FP32", binary=binary)])
        found[f"plain_{binary}"] = outputs(plain)
    colour = tensor("colour", np.array([[b"red"]], dtype=object), "BYTES", binary=True)
    found["refused"] = {
        "model": refused(lambda: client.infer("nobody", [colour])),
        "version": refused(lambda: client.infer("tiny", [colour], model_version="9.9.9")),
        "metadata": refused(lambda: client.get_model_metadata("nobody")),
        "column": refused(
            lambda: client.infer("tiny", [colour, tensor("y", [[1.0]], "FP64", binary=True)])
        ),
        "datatype": refused(
            lambda: client.infer("tiny", [tensor("colour", [[1.0]], "FP64", binary=True)])
        ),
        "output": refused(lambda: client.infer("tiny", [colour], outputs=wanted(nothing=True))),
        "width": refused(
            lambda: client.infer("plain", [tensor("x", matrix[:, :2], "FP32", binary=True)])
        ),
    }
    found["after"] = outputs(client.infer("tiny", [colour]))
    classes = [triton.InferRequestedOutput("probabilities", class_count=2, binary_data=True)]
    found["classes"] = outputs(client.infer("tiny", inputs(binary=True), outputs=classes))
    found["log_before"] = client.get_log_settings()
    found["log_after"] = client.update_log_settings({"log_verbose_level": 1, "log_info": False})
    found["log_refused"] = refused(lambda: client.update_log_settings({"log_file": "x"}))
    client.update_log_settings({"log_verbose_level": 0, "log_info": True})
    found["statistics"] = client.get_inference_statistics("tiny")
    client.close()
    return found


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout, default=str)
