"""The tensors that the cases are made of."""

from __future__ import annotations

from typing import Any

from tests.conformance.case import Tensor

__all__ = ["BOTH", "DIFFERENCE", "EVERY", "HALF", "SUM", "A", "B", "given_back", "tensor"]


def tensor(name: str, datatype: str, *rows: list[Any]) -> Tensor:
    """A tensor of two dimensions from its rows."""
    flat = tuple(element for row in rows for element in row)
    return Tensor(name, datatype, (len(rows), len(rows[0])), flat)


def given_back(*tensors: Tensor) -> tuple[Tensor, ...]:
    """What a model that gives back what it gets answers."""
    return tuple(
        Tensor("OUT" + t.name.removeprefix("IN"), t.datatype, t.shape, t.data) for t in tensors
    )


EVERY = (
    tensor("IN_BOOL", "BOOL", [True, False], [False, True]),
    tensor("IN_UINT8", "UINT8", [0, 1], [127, 255]),
    tensor("IN_UINT16", "UINT16", [0, 1], [256, 65535]),
    tensor("IN_UINT32", "UINT32", [0, 1], [65536, 2**32 - 1]),
    tensor("IN_UINT64", "UINT64", [0, 1], [2**53 + 1, 2**64 - 1]),
    tensor("IN_INT8", "INT8", [0, -1], [127, -128]),
    tensor("IN_INT16", "INT16", [0, -1], [32767, -32768]),
    tensor("IN_INT32", "INT32", [0, -1], [2**31 - 1, -(2**31)]),
    tensor("IN_INT64", "INT64", [0, -1], [2**63 - 1, -(2**63)]),
    tensor("IN_FP32", "FP32", [0.0, -1.5], [2.0**-126, 3.4028234663852886e38]),
    tensor("IN_FP64", "FP64", [0.1, -1.5], [5e-324, 1.7976931348623157e308]),
    tensor("IN_BYTES", "BYTES", ["", "ash"], ["grün", '"quoted", {braced}']),
)
"""Each datatype that every client can send in every form, with the ends of its range."""

HALF = (
    tensor("IN_FP16", "FP16", [0.0, -1.5], [65504.0, 0.00006103515625]),
    tensor("IN_BF16", "BF16", [0.0, -1.5], [256.0, 0.0078125]),
)

A = tensor("INPUT0", "INT32", [1, 2, 3, 4])
B = tensor("INPUT1", "INT32", [10, 20, 30, -40])
BOTH = (A, B)
SUM = tensor("OUTPUT0", "INT32", [11, 22, 33, -36])
DIFFERENCE = tensor("OUTPUT1", "INT32", [-9, -18, -27, 44])
