"""KServe's requests and answers, which its two clients share."""

from __future__ import annotations

from typing import Any

from kserve import InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput
from tests.conformance.case import Case, Found
from tests.conformance.drivers.driver import array, tensor

__all__ = ["found_of", "request_of"]


def request_of(case: Case) -> Any:
    """The request of a case."""
    inputs = []
    for given in case.inputs:
        values = array(given)
        made = InferInput(given.name, list(given.shape), given.datatype)
        made.set_data_from_numpy(values, binary_data=case.binary)
        made.shape = list(given.shape)
        inputs.append(made)
    more: dict[str, Any] = {}
    if case.outputs:
        more["request_outputs"] = [
            RequestedOutput(output.name, {"binary_data": output.binary}) for output in case.outputs
        ]
    return InferRequest(
        model_name=case.model,
        infer_inputs=inputs,
        request_id=case.id or None,
        parameters=dict(case.parameters) or None,
        **more,
    )


def found_of(reply: Any) -> Found:
    """What came back; its REST client does not read the version."""
    outputs = [tensor(o.name, o.datatype, o.shape, o.as_numpy()) for o in reply.outputs]
    fields = {"model_name": reply.model_name, "id": reply.id or ""}
    return Found("ok", outputs=outputs, fields=fields)
