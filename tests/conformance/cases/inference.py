"""Inference as clients usually ask for it."""

from __future__ import annotations

import math

from tests.conformance.case import ANY, Case, Differs, Output, Tensor
from tests.conformance.cases.tensors import BOTH, DIFFERENCE, EVERY, HALF, SUM, given_back, tensor

__all__ = ["INFERENCE"]

NAMED = {"model_name": "add_sub"}
BY_TRITON = ("plain", "triton_http", "triton_grpc")
THREE = (
    tensor("INPUT0", "INT32", [1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 0, 0]),
    tensor("INPUT1", "INT32", [1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]),
)
THREE_OUT = (
    tensor("OUTPUT0", "INT32", [2, 3, 4, 5], [7, 8, 9, 10], [3, 3, 3, 3]),
    tensor("OUTPUT1", "INT32", [0, 1, 2, 3], [3, 4, 5, 6], [-3, -3, -3, -3]),
)
SPECIAL = tensor("IN", "FP32", [math.nan, math.inf, -math.inf, -0.0])

INFERENCE = (
    Case(
        name="one row",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        gives=(SUM, DIFFERENCE),
        fields=NAMED,
    ),
    Case(
        name="one row in JSON",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        binary=False,
        gives=(SUM, DIFFERENCE),
        fields=NAMED,
    ),
    Case(name="three rows", call="infer", model="add_sub", inputs=THREE, gives=THREE_OUT),
    Case(
        name="inputs in another order",
        call="infer",
        model="add_sub",
        inputs=BOTH[::-1],
        gives=(SUM, DIFFERENCE),
    ),
    Case(
        name="an exact version",
        call="infer",
        model="add_sub",
        version="{version}",
        inputs=BOTH,
        gives=(SUM, DIFFERENCE),
        fields={"model_name": "add_sub", "model_version": "{version}"},
    ),
    Case(
        name="an id comes back",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        id="request-1",
        fields={"id": "request-1"},
    ),
    Case(
        name="no id, none comes back",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        # KServe's makes one up.
        clients=BY_TRITON,
        fields={"id": ""},
    ),
    Case(
        name="one output",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        outputs=(Output("OUTPUT1"),),
        gives=(DIFFERENCE,),
    ),
    Case(
        name="one output in JSON",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        outputs=(Output("OUTPUT1", binary=False),),
        gives=(DIFFERENCE,),
    ),
    Case(
        name="one output binary and one in JSON",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        outputs=(Output("OUTPUT0"), Output("OUTPUT1", binary=False)),
        gives=(SUM, DIFFERENCE),
    ),
    Case(
        name="all outputs binary",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        parameters={"binary_data_output": True},
        clients=("plain",),
        gives=(SUM, DIFFERENCE),
        fields={"is_binary": True},
    ),
    Case(
        name="an output's own word counts for more",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        outputs=(Output("OUTPUT0", binary=False),),
        parameters={"binary_data_output": True},
        clients=("plain",),
        gives=(SUM,),
        fields={"is_binary": False},
    ),
    Case(
        name="every datatype",
        call="infer",
        model="every",
        inputs=EVERY,
        gives=given_back(*EVERY),
    ),
    Case(
        name="every datatype in JSON",
        call="infer",
        model="every",
        inputs=EVERY,
        binary=False,
        gives=given_back(*EVERY),
    ),
    Case(
        name="every datatype in JSON from binary",
        call="infer",
        model="every",
        inputs=EVERY,
        outputs=tuple(Output(t.name, binary=False) for t in given_back(*EVERY)),
        gives=given_back(*EVERY),
    ),
    Case(
        name="half precision",
        call="infer",
        model="half",
        inputs=HALF,
        # KServe's knows no BF16.
        clients=BY_TRITON,
        gives=given_back(*HALF),
    ),
    Case(
        name="half precision in JSON",
        call="infer",
        model="half",
        inputs=HALF,
        binary=False,
        clients=("plain",),
        gives=given_back(*HALF),
        differs={"triton": Differs("FP16 and BF16 in binary only", "invalid")},
    ),
    Case(
        name="NaN and infinities",
        call="infer",
        model="vector",
        inputs=(SPECIAL,),
        # KServe's REST client takes the answer in JSON, which has no word for them.
        clients=(*BY_TRITON, "kserve_grpc"),
        gives=given_back(SPECIAL),
    ),
    Case(
        name="no batch",
        call="infer",
        model="fixed",
        inputs=(tensor("IN", "FP32", [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),),
        gives=(tensor("OUT", "FP32", [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),),
    ),
    Case(
        name="a variable extent",
        call="infer",
        model="vector",
        inputs=(tensor("IN", "FP32", [float(i) for i in range(1000)]),),
        gives=(tensor("OUT", "FP32", [float(i) for i in range(1000)]),),
    ),
    Case(
        name="an extent of nothing",
        call="infer",
        model="vector",
        inputs=(Tensor("IN", "FP32", (1, 0), ()),),
        differs={
            "tidegate": Differs("nothing to compute on is a mistake of the caller", "invalid")
        },
        # KServe's REST client sends both forms of no elements.
        clients=(*BY_TRITON, "kserve_grpc"),
        gives=(Tensor("OUT", "FP32", (1, 0), ()),),
    ),
    Case(
        name="custom parameters",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        parameters={"tenant": "a", "urgent": True, "depth": 3},
        gives=(SUM, DIFFERENCE),
    ),
    Case(
        name="priority and timeout",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        parameters={"priority": 1, "timeout": 10_000_000},
        clients=BY_TRITON,
        gives=(SUM, DIFFERENCE),
    ),
    *(
        Case(
            name=f"compressed with {coding}",
            call="infer",
            model="add_sub",
            inputs=BOTH,
            compression=coding,
            clients=BY_TRITON,
            gives=(SUM, DIFFERENCE),
        )
        for coding in ("gzip", "deflate")
    ),
    Case(
        name="nested data",
        call="http",
        path="/v2/models/fixed/infer",
        body=b'{"inputs":[{"name":"IN","shape":[2,3],"datatype":"FP32","data":[[1,2,3],[4,5,6]]}]}',
        gives=(tensor("OUT", "FP32", [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),),
        fields={"is_binary": False},
    ),
    Case(
        name="data before its datatype, and unknown keys",
        call="http",
        path="/v2/models/text/infer",
        body=b'{"more":1,"inputs":[{"data":["a"],"datatype":"BYTES","name":"IN","shape":[1,1]}]}',
        gives=(tensor("OUT", "BYTES", ["a"]),),
    ),
    Case(
        name="streamed",
        call="stream",
        model="add_sub",
        inputs=BOTH,
        id="request-2",
        clients=("triton_grpc",),
        gives=(SUM, DIFFERENCE),
        fields={"id": "request-2", "parameters": {"triton_final_response": ANY}},
    ),
)
