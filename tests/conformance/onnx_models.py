"""The models as ONNX, for servers that run it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from tests.conformance.models import MODELS, Model, Port

__all__ = ["write_models"]

ELEMENT = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def write_models(folder: Path) -> list[Path]:
    """Writes `NAME.onnx` of every model into a folder; returns their paths."""
    paths = []
    for model in MODELS:
        nodes, constants = _body(model)
        graph = helper.make_graph(
            nodes,
            model.name,
            [_port(port, model) for port in model.inputs],
            [_port(port, model) for port in model.outputs],
            constants,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(made)
        path = folder / f"{model.name}.onnx"
        path.write_bytes(made.SerializeToString())
        paths.append(path)
    return paths


def _port(port: Port, model: Model) -> onnx.ValueInfoProto:
    dims: list[str | int] = [f"{port.name}_{i}" if d < 0 else d for i, d in enumerate(port.dims)]
    if model.batched:
        dims.insert(0, "rows")
    return helper.make_tensor_value_info(port.name, ELEMENT[port.datatype], dims)


def _body(model: Model) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    inputs = [port.name for port in model.inputs]
    outputs = [port.name for port in model.outputs]
    match model.does:
        case "echo":
            pairs = zip(inputs, outputs, strict=True)
            return [helper.make_node("Identity", [a], [b]) for a, b in pairs], []
        case "add_sub":
            return [
                helper.make_node("Add", inputs, [outputs[0]]),
                helper.make_node("Sub", inputs, [outputs[1]]),
            ], []
        case "look_up":
            # An index out of bounds fails the run.
            squares = np.arange(10, dtype=np.float32) ** 2
            return [
                helper.make_node("Cast", inputs, ["index"], to=TensorProto.INT64),
                helper.make_node("Gather", ["squares", "index"], outputs),
            ], [onnx.numpy_helper.from_array(squares, "squares")]
