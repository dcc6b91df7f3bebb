"""Models that misbehave when they are asked to, as ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

__all__ = ["write_times", "write_troubled"]

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def write_times(path: Path, factor: float) -> Path:
    """y = factor · x, row by row: whoever gets another caller's row can tell."""
    return _write(
        path,
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        [_port("x", FLOAT, "rows", 1)],
        [_port("y", FLOAT, "rows", 1)],
        [onnx.numpy_helper.from_array(np.array([factor], np.float32), "factor")],
    )


def write_troubled(folder: Path) -> list[Path]:
    """The misbehaving models; each does as its input says."""
    node = helper.make_node
    squares = onnx.numpy_helper.from_array(np.arange(10, dtype=np.float32) ** 2, "squares")
    one = onnx.numpy_helper.from_array(np.array([1], np.float32), "one")
    body = helper.make_graph(
        [node("Identity", ["on"], ["still_on"]), node("Add", ["sum", "one"], ["more"])],
        "body",
        [_port("i", INT), _port("on", TensorProto.BOOL), _port("sum", FLOAT, 1)],
        [_port("still_on", TensorProto.BOOL), _port("more", FLOAT, 1)],
    )
    return [
        # Raises for all but digits.
        _write(
            folder / "raises.onnx",
            [node("Cast", ["x"], ["at"], to=INT), node("Gather", ["squares", "at"], ["y"])],
            [_port("x", FLOAT, "rows")],
            [_port("y", FLOAT, "rows")],
            [squares],
        ),
        # Gives NaN for what is negative.
        _write(
            folder / "nan.onnx",
            [node("Sqrt", ["x"], ["y"])],
            [_port("x", FLOAT, "rows")],
            [_port("y", FLOAT, "rows")],
        ),
        # Says that it gives a row for each, and drops those that come twice.
        _write(
            folder / "drops.onnx",
            [node("Unique", ["x"], ["y"])],
            [_port("x", FLOAT, "rows")],
            [_port("y", FLOAT, "rows")],
        ),
        # As many elements as the input says.
        _write(
            folder / "grows.onnx",
            [node("ConstantOfShape", ["x"], ["y"])],
            [_port("x", INT, 1)],
            [_port("y", FLOAT, "some")],
        ),
        # As many turns as the input says: a billion is as good as for ever.
        _write(
            folder / "hangs.onnx",
            [
                node("Squeeze", ["x"], ["turns"]),
                node("Loop", ["turns", "", "one"], ["y"], body=body),
            ],
            [_port("x", INT, 1)],
            [_port("y", FLOAT, 1)],
            [one],
        ),
    ]


def _port(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: list[onnx.TensorProto] | None = None,
) -> Path:
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, constants or [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
