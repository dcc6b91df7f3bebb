"""Writes the ONNX models that the runtime's tests load; run once, its results are committed.

Opset and IR version are held down to what every supported ONNX Runtime reads.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

HERE = Path(__file__).parent / "models"
DATATYPES = {
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


def tensor(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def constant(name: str, values: object) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(values), name)


def save(
    name: str,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: list[onnx.TensorProto] | None = None,
) -> None:
    graph = helper.make_graph(nodes, name, inputs, outputs, constants or [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def classifier(name: str, weights: list[float]) -> None:
    """A logistic regression: label = p > 0.5, probabilities = [1 - p, p]."""
    node = helper.make_node
    save(
        name,
        [
            node("MatMul", ["X", "weights"], ["z"]),
            node("Add", ["z", "bias"], ["logit"]),
            node("Sigmoid", ["logit"], ["p"]),
            node("Sub", ["one", "p"], ["q"]),
            node("Concat", ["q", "p"], ["probabilities"], axis=1),
            node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ],
        [tensor("X", TensorProto.FLOAT, "rows", len(weights))],
        [
            tensor("label", TensorProto.INT64, "rows"),
            tensor("probabilities", TensorProto.FLOAT, "rows", 2),
        ],
        [
            constant("weights", np.array(weights, np.float32).reshape(-1, 1)),
            constant("bias", np.array([0.25], np.float32)),
            constant("one", np.array([1.0], np.float32)),
        ],
    )


def main() -> None:
    node = helper.make_node
    HERE.mkdir(exist_ok=True)
    classifier("classifier", [1.0, -0.5, 0.125])
    classifier("classifier_of_4", [1.0, -0.5, 0.125, 2.0])
    save(
        "linear",
        [node("MatMul", ["x", "weights"], ["y"])],
        [tensor("x", TensorProto.FLOAT, "rows", 3)],
        [tensor("y", TensorProto.FLOAT, "rows", 2)],
        [constant("weights", np.array([[1, 10], [2, 20], [4, 40]], np.float32))],
    )
    save(
        "identity",
        [node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in DATATYPES],
        [tensor(f"in_{name}", kind, "rows", "width") for name, kind in DATATYPES.items()],
        [tensor(f"out_{name}", kind, "rows", "width") for name, kind in DATATYPES.items()],
    )
    save(
        "fixed",
        [node("Identity", ["x"], ["y"])],
        [tensor("x", TensorProto.FLOAT, 2, 3)],
        [tensor("y", TensorProto.FLOAT, 2, 3)],
    )
    # An index out of bounds fails the run: so does NaN, which is cast to the least integer.
    save(
        "poison",
        [
            node("Cast", ["x"], ["index"], to=TensorProto.INT64),
            node("Gather", ["table", "index"], ["y"]),
        ],
        [tensor("x", TensorProto.FLOAT, "rows")],
        [tensor("y", TensorProto.FLOAT, "rows")],
        [constant("table", np.array([0, 1, 4, 9, 16, 25, 36, 49], np.float32))],
    )
    # Gives one row for all: its requests must not be merged.
    save(
        "total",
        [node("ReduceSum", ["x", "axis"], ["y"], keepdims=1)],
        [tensor("x", TensorProto.FLOAT, "rows", 2)],
        [tensor("y", TensorProto.FLOAT, "some", 2)],
        [constant("axis", np.array([0], np.int64))],
    )
    # Gives any number of rows: that its requests must not be merged shows only when they were.
    save(
        "unique",
        [node("Unique", ["x"], ["y"])],
        [tensor("x", TensorProto.FLOAT, "rows")],
        [tensor("y", TensorProto.FLOAT, "some")],
    )
    save(
        "sequence",
        [node("SequenceConstruct", ["x"], ["y"])],
        [tensor("x", TensorProto.FLOAT, "rows")],
        [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)],
    )


if __name__ == "__main__":
    main()
