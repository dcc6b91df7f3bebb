"""One tiny bundle for all tests of this folder, and a runtime that serves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.demo.tiny import tiny_bundle
from tidegate.registry import Bundle
from tidegate.runtime import Runtime


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX model without a feature set: y = x · w, of three columns to two."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper

    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path = tmp_path_factory.mktemp("linear") / "linear.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def runtime(bundle: Bundle) -> Iterator[Runtime]:
    with Runtime() as runtime:
        runtime.deploy(bundle)
        yield runtime
