"""Requests that are wrong, each in one way."""

from __future__ import annotations

import json
import struct
from typing import Any

from tests.conformance.case import DIES, Case, Differs, Output, Tensor
from tests.conformance.cases.tensors import BOTH, A, B, tensor

__all__ = ["REFUSALS"]

CALLERS = Differs(
    "the caller's mistake: repeating a request that got 500 does not help", "internal"
)
"""Why Triton's 500 is a 400 here."""

BY_TRITON = ("plain", "triton_http", "triton_grpc")
UNTYPED = {"triton plain": Differs("the error is not marked as JSON", "not_found")}
BROADCAST = Differs("ONNX broadcasts a row against many; such a request is run alone", "ok")
ENDED = Differs("it ends Triton 2.51, for all its clients", DIES)

INFER = "/v2/models/add_sub/infer"
LENGTH = "Inference-Header-Content-Length"


def written(*inputs: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


def given(name: str | None = "INPUT0", **more: Any) -> dict[str, Any]:
    made = {"name": name, "shape": [1, 4], "datatype": "INT32", "data": [1, 2, 3, 4], **more}
    return {key: value for key, value in made.items() if value is not None}


B_GIVEN = given("INPUT1")
RAW = [given(name, data=None, parameters={"binary_data_size": 16}) for name in ("INPUT0", "INPUT1")]
HEAD = written(*RAW)
TAIL = struct.pack("<8i", *range(8))


def http(name: str, body: bytes, *, length: str = "", **more: Any) -> Case:
    """A body as it goes over the wire, refused as invalid."""
    headers = {LENGTH: length} if length else {}
    found = {"status": "invalid", "path": INFER, "headers": headers, **more}
    return Case(name=name, call="http", body=body, **found)


def infer(name: str, *inputs: Tensor, **more: Any) -> Case:
    """A request that is refused as invalid, unless more is said."""
    found = {"model": "add_sub", "status": "invalid", **more}
    return Case(name=name, call="infer", inputs=inputs, **found)


TRITONS = {"triton http": CALLERS}

REFUSALS = (
    infer("unknown model", *BOTH, model="nobody", status="not_found", differs=UNTYPED),
    infer("unknown version", *BOTH, version="99", status="not_found", differs=UNTYPED),
    infer("a missing input", A),
    infer("an unknown input", *BOTH, tensor("INPUT2", "INT32", [1, 2, 3, 4])),
    infer("an input twice", A, A, B),
    infer("another datatype", A, tensor("INPUT1", "FP32", [1.0, 2.0, 3.0, 4.0])),
    infer("another shape", A, tensor("INPUT1", "INT32", [1, 2, 3])),
    infer("another number of dimensions", A, Tensor("INPUT1", "INT32", (4,), (1, 2, 3, 4))),
    infer(
        "unequal batches",
        A,
        tensor("INPUT1", "INT32", [1, 2, 3, 4], [5, 6, 7, 8]),
        differs={"tidegate": BROADCAST},
    ),
    infer("an unknown output", *BOTH, outputs=(Output("OUTPUT9"),)),
    infer(
        "fewer bytes than the shape",
        A,
        Tensor("INPUT1", "INT32", (1, 4), (1, 2, 3)),
        clients=BY_TRITON,
    ),
    infer(
        "more bytes than the shape",
        A,
        Tensor("INPUT1", "INT32", (1, 4), (1, 2, 3, 4, 5)),
        clients=BY_TRITON,
    ),
    infer(
        "fewer elements than the shape",
        A,
        Tensor("INPUT1", "INT32", (1, 4), (1, 2, 3)),
        clients=BY_TRITON,
        binary=False,
        differs=TRITONS,
    ),
    infer(
        "more elements than the shape",
        A,
        Tensor("INPUT1", "INT32", (1, 4), (1, 2, 3, 4, 5)),
        clients=BY_TRITON,
        binary=False,
        differs=TRITONS,
    ),
    infer(
        "no inputs",
    ),
    infer(
        "a reserved parameter",
        *BOTH,
        parameters={"triton_final_response": True},
        clients=("plain",),
    ),
    infer(
        "the model fails",
        tensor("IN", "FP32", [99.0]),
        model="poison",
        status="internal",
        differs={
            "tidegate": Differs("ONNX Runtime says that the input is at fault", "invalid"),
            "triton plain": Differs("the error is not marked as JSON", "internal"),
        },
    ),
    http("no body", b""),
    http("no JSON", b"INPUT0=1", differs=TRITONS),
    http("cut off", HEAD[:-3], differs=TRITONS),
    http("no object", b"[]", differs=TRITONS),
    http("inputs of another type", b'{"inputs":3}', differs=TRITONS),
    http("an input without a name", written(given(name=None), B_GIVEN), differs=TRITONS),
    http("an input without a shape", written(given(shape=None), B_GIVEN), differs=TRITONS),
    http("an input without a datatype", written(given(datatype=None), B_GIVEN), differs=TRITONS),
    http("an input without data", written(given(data=None), B_GIVEN)),
    http("an unknown datatype", written(given(datatype="INT33"), B_GIVEN)),
    http("a negative extent", written(given(shape=[-1, 4]), B_GIVEN), differs=TRITONS),
    http("a huge extent", written(given(shape=[1, 2**62]), B_GIVEN), differs={"triton": ENDED}),
    http("null among integers", written(given(data=[1, None, 3, 4]), B_GIVEN), differs=TRITONS),
    http("text among integers", written(given(data=[1, "2", 3, 4]), B_GIVEN), differs=TRITONS),
    http(
        "an integer out of range",
        written(given(data=[1, 2, 3, 2**31]), B_GIVEN),
        differs={"triton": Differs("another number would be answered for", "ok")},
    ),
    http("binary without the header", HEAD + TAIL),
    http("a negative length", HEAD + TAIL, length="-1"),
    http("a length that is no number", HEAD + TAIL, length="many"),
    http("a length beyond the body", HEAD + TAIL, length=str(len(HEAD) + 1000)),
    http("too few bytes", HEAD + TAIL[:-1], length=str(len(HEAD))),
    http("bytes left over", HEAD + TAIL + b"\0", length=str(len(HEAD))),
    http(
        "data and binary both",
        written(given(parameters={"binary_data_size": 16}), RAW[1]) + TAIL,
        length=str(len(written(given(parameters={"binary_data_size": 16}), RAW[1]))),
    ),
    http(
        "an unknown coding",
        HEAD + TAIL,
        headers={"Content-Encoding": "br"},
        status="unsupported",
    ),
    http(
        "not what its coding says",
        HEAD,
        headers={"Content-Encoding": "gzip"},
    ),
    http("metadata by POST", b"{}", path="/v2/models/add_sub", status="wrong_method"),
    Case(
        name="raw and typed contents at once",
        call="mixed_contents",
        model="add_sub",
        inputs=BOTH,
        clients=("triton_grpc",),
        status="invalid",
    ),
    Case(
        name="more raw contents than inputs",
        call="one_raw_too_many",
        model="add_sub",
        inputs=BOTH,
        clients=("triton_grpc",),
        status="invalid",
        differs={"triton": Differs("what nothing refers to shows a mistake", "ok")},
    ),
    Case(
        name="half precision in typed contents",
        call="typed_half",
        model="half",
        inputs=(
            Tensor("IN_FP16", "FP16", (1, 1), (1.0,)),
            Tensor("IN_BF16", "BF16", (1, 1), (1.0,)),
        ),
        clients=("triton_grpc",),
        status="invalid",
    ),
    Case(
        name="an error in a stream",
        call="stream",
        model="add_sub",
        inputs=(A,),
        clients=("triton_grpc",),
        status="in_stream",
    ),
)
