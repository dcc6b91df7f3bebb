"""The cases through `tritonclient.http`."""

from __future__ import annotations

import sys
from typing import Any

import tritonclient.http as triton
from tests.conformance.case import Case, Found, kind
from tests.conformance.drivers.driver import array, run, tensor
from tritonclient.utils import InferenceServerException


def main() -> None:
    client = triton.InferenceServerClient(sys.argv[1])

    def ask(case: Case, version: str) -> Found:
        try:
            return answer(case, version)
        except InferenceServerException as error:
            status = error.status()
            code = kind(int(status)) if status and status.isdigit() else str(status)
            return Found(code, error.message() or "")

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
                return Found("ok", fields=client.get_server_metadata())
            case "model":
                return Found("ok", fields=client.get_model_metadata(model, version))
            case "config":
                return Found("ok", fields=client.get_model_config(model, version))
            case "statistics":
                return Found("ok", fields=client.get_inference_statistics(model, version))
            case "index":
                return Found("ok", fields={"models": client.get_model_repository_index()})
            case "load":
                return Found("ok", fields=client.load_model(model))
            case "unload":
                return Found("ok", fields=client.unload_model(model))
            case "logging":
                settings = dict(case.parameters)
                change = client.update_log_settings if settings else client.get_log_settings
                return Found("ok", fields=change(settings) if settings else change())
            case "infer":
                return infer(case, version)
        raise NotImplementedError(case.call)

    def infer(case: Case, version: str) -> Found:
        more: dict[str, Any] = {}
        given = dict(case.parameters)
        for name in ("priority", "timeout"):
            if name in given:
                more[name] = given.pop(name)
        if case.outputs:
            more["outputs"] = [
                triton.InferRequestedOutput(o.name, binary_data=o.binary, class_count=o.classes)
                for o in case.outputs
            ]
        if case.compression:
            more["request_compression_algorithm"] = case.compression
            more["response_compression_algorithm"] = case.compression
        result = client.infer(
            case.model,
            [tensor_of(t, case) for t in case.inputs],
            model_version=version,
            request_id=case.id,
            parameters=given or None,
            **more,
        )
        reply = result.get_response()
        outputs = [
            tensor(o["name"], o["datatype"], o["shape"], result.as_numpy(o["name"]))
            for o in reply["outputs"]
        ]
        fields = {name: value for name, value in reply.items() if name != "outputs"}
        return Found("ok", outputs=outputs, fields={"id": "", **fields})

    def tensor_of(made: Any, case: Case) -> Any:
        values = array(made)
        given = triton.InferInput(made.name, list(values.shape), made.datatype)
        given.set_data_from_numpy(values, binary_data=case.binary)
        given.set_shape(list(made.shape))
        return given

    run("triton_http", ask)


if __name__ == "__main__":
    main()
