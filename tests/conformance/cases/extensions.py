"""What the protocol calls extensions: classification, the raw binary request, statistics."""

from __future__ import annotations

import struct

from tests.conformance.case import ABOVE, DIES, Case, Differs, Output
from tests.conformance.cases.tensors import BOTH, tensor

__all__ = ["EXTENSIONS"]

BY_TRITON = ("plain", "triton_http", "triton_grpc")
SCORES = (tensor("IN", "FP32", [1.0, 10.0, -2.0, 3.5], [0.5, 0.25, 8.0, 7.0]),)
ONE_RAW = {"Inference-Header-Content-Length": "0"}

EXTENSIONS = (
    Case(
        name="the class of each row",
        call="infer",
        model="scores",
        inputs=SCORES,
        outputs=(Output("OUT", classes=1),),
        clients=BY_TRITON,
        gives=(tensor("OUT", "BYTES", ["10.000000:1"], ["8.000000:2"]),),
    ),
    Case(
        name="three classes",
        call="infer",
        model="scores",
        inputs=SCORES,
        outputs=(Output("OUT", classes=3),),
        clients=BY_TRITON,
        gives=(
            tensor(
                "OUT",
                "BYTES",
                ["10.000000:1", "3.500000:3", "1.000000:0"],
                ["8.000000:2", "7.000000:3", "0.500000:0"],
            ),
        ),
    ),
    Case(
        name="more classes than there are",
        call="infer",
        model="scores",
        inputs=SCORES[:1],
        outputs=(Output("OUT", classes=9),),
        clients=BY_TRITON,
        gives=(
            tensor(
                "OUT",
                "BYTES",
                ["10.000000:1", "3.500000:3", "1.000000:0", "-2.000000:2"],
                ["8.000000:2", "7.000000:3", "0.500000:0", "0.250000:1"],
            ),
        ),
    ),
    Case(
        name="classes of integers",
        call="infer",
        model="add_sub",
        inputs=BOTH,
        outputs=(Output("OUTPUT0", classes=2),),
        clients=BY_TRITON,
        gives=(tensor("OUTPUT0", "BYTES", ["33:2", "22:1"]),),
    ),
    Case(
        name="classes of texts",
        call="infer",
        model="text",
        inputs=(tensor("IN", "BYTES", ["a"]),),
        outputs=(Output("OUT", classes=1),),
        clients=BY_TRITON,
        status="invalid",
        differs={"triton": Differs("it ends Triton 2.51, for all its clients", DIES)},
    ),
    Case(
        name="a raw body",
        call="http",
        path="/v2/models/vector/infer",
        headers=ONE_RAW,
        body=struct.pack("<3f", 1.5, -2.0, 0.25),
        gives=(tensor("OUT", "FP32", [1.5, -2.0, 0.25]),),
        fields={"is_binary": True},
    ),
    Case(
        name="a raw body of bytes",
        call="http",
        path="/v2/models/text/infer",
        headers=ONE_RAW,
        # The whole body is the one element: its length needs no telling.
        body=b"ash",
        gives=(tensor("OUT", "BYTES", ["ash"]),),
    ),
    Case(
        name="a raw body without a batch",
        call="http",
        path="/v2/models/fixed/infer",
        headers=ONE_RAW,
        body=struct.pack("<6f", *range(6)),
        gives=(tensor("OUT", "FP32", [0.0, 1.0, 2.0], [3.0, 4.0, 5.0]),),
    ),
    Case(
        name="a raw body for two inputs",
        call="http",
        path="/v2/models/add_sub/infer",
        headers=ONE_RAW,
        body=struct.pack("<8i", *range(8)),
        status="invalid",
    ),
    Case(
        name="a raw body of another size",
        call="http",
        path="/v2/models/scores/infer",
        headers=ONE_RAW,
        body=b"\0" * 17,
        status="invalid",
    ),
    Case(
        name="statistics of a model",
        call="statistics",
        model="add_sub",
        fields={
            "model_stats": [
                {
                    "name": "add_sub",
                    "version": "{version}",
                    "inference_count": ABOVE(0),
                    "execution_count": ABOVE(0),
                    "inference_stats": {
                        "success": {"count": ABOVE(0), "ns": ABOVE(0)},
                        "queue": {"count": ABOVE(0)},
                        "compute_infer": {"count": ABOVE(0), "ns": ABOVE(0)},
                    },
                }
            ]
        },
    ),
    Case(
        name="failures are counted",
        call="statistics",
        model="poison",
        fields={"model_stats": [{"inference_stats": {"fail": {"count": ABOVE(0)}}}]},
        differs={"triton": Differs("its Python backend's errors count as answers", "ok")},
    ),
)
