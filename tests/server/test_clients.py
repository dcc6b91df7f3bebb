"""NVIDIA's and KServe's clients as they are, each in a process of its own, against a live server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tidegate.registry import Bundle
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

CLIENTS = Path(__file__).parent / "clients"
KSERVE = Path(__file__).parents[2] / ".venv-kserve" / "bin" / "python"
"""kserve's dependencies do not install next to ours, nor load next to `tritonclient.grpc`."""

ROWS = [
    {"x": 1.25, "colour": "red", "at": "2024-03-01T10:00:00Z"},
    {"x": None, "colour": "blue"},
    {"x": -3e5, "colour": "grün"},
]
"""What both clients send, with its missing values; one colour was never seen."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a feature set: y = x · w, of three columns to two."""
    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    tensor = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "plain",
        [onnx.helper.make_tensor_value_info("x", tensor, ["n", 3])],
        [onnx.helper.make_tensor_value_info("y", tensor, ["n", 2])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 9
    path = tmp_path_factory.mktemp("plain") / "plain.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def live(bundle: Bundle, plain: Path) -> Iterator[tuple[Server, Runtime]]:
    with Runtime() as runtime:
        runtime.deploy(bundle)
        runtime.deploy(plain)
        with Server(runtime, Settings(port=0)) as server:
            yield server, runtime


@pytest.fixture(scope="module")
def expected(live: tuple[Server, Runtime]) -> dict[str, list[Any]]:
    outputs = live[1].predict_many("tiny", ROWS).outputs
    return {name: np.asarray(values).tolist() for name, values in outputs.items()}


def run(python: Path | str, script: str, address: str) -> dict[str, Any]:
    command = [str(python), str(CLIENTS / script), address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def same(found: dict[str, Any], expected: dict[str, list[Any]]) -> None:
    assert set(found) <= set(expected)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-6, err_msg=name)


@pytest.fixture(scope="module")
def triton(live: tuple[Server, Runtime]) -> dict[str, Any]:
    server = live[0]
    return run(sys.executable, "run_triton.py", f"{server.host}:{server.port}")


def test_triton_sees_a_server_and_its_models(triton: dict[str, Any]) -> None:
    assert triton["live"] is triton["ready"] is triton["model_ready"] is True
    assert triton["version_ready"] is True
    assert triton["unknown_ready"] is False
    assert triton["server"]["name"] == "tidegate"
    assert set(triton["server"]["extensions"]) >= {
        "binary_tensor_data",
        "classification",
        "logging",
        "model_configuration",
        "model_repository",
        "model_repository(unload_dependents)",
        "statistics",
    }
    assert triton["model"]["inputs"] == [
        {"name": "x", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "colour", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "at", "datatype": "INT64", "shape": [-1, 1]},
    ]
    assert triton["model"]["versions"] == ["1.0.0"]
    assert triton["config"]["max_batch_size"] > 1
    assert {entry["name"] for entry in triton["index"]} == {"tiny", "plain"}
    assert {entry["state"] for entry in triton["index"]} == {"READY"}


@pytest.mark.parametrize("form", ["usual", "json", "mixed", "one_output", "gzip", "deflate"])
def test_triton_infers(triton: dict[str, Any], expected: dict[str, list[Any]], form: str) -> None:
    same(triton[form], expected)


def test_triton_infers_many_at_once(triton: dict[str, Any], expected: dict[str, list[Any]]) -> None:
    assert len(triton["async"]) == 8
    for outputs in triton["async"]:
        same(outputs, expected)


def test_triton_gets_the_outputs_that_it_asked_for(triton: dict[str, Any]) -> None:
    assert list(triton["one_output"]) == ["label"]
    assert list(triton["mixed"]) == ["probabilities", "label"]
    probabilities, label = triton["mixed_reply"]["outputs"]
    assert probabilities["parameters"] == {"binary_data_size": 3 * 2 * 4}
    assert "data" in label
    assert triton["mixed_reply"]["id"] == "r-2"
    assert "id" not in triton["usual_reply"]
    assert set(triton["usual_reply"]["parameters"]) == {"prediction_id", "revision"}


def test_triton_gets_classes(triton: dict[str, Any], expected: dict[str, list[Any]]) -> None:
    probabilities = np.asarray(expected["probabilities"])
    for texts, row in zip(triton["classes"]["probabilities"], probabilities, strict=True):
        assert len(texts) == 2
        for text, index in zip(texts, np.argsort(-row), strict=True):
            value, place, *_label = text.removeprefix("b'").removesuffix("'").split(":")
            assert int(place) == index
            assert float(value) == pytest.approx(row[index], abs=1e-6)


def test_triton_reads_and_changes_the_log(triton: dict[str, Any]) -> None:
    before, after = triton["log_before"], triton["log_after"]
    assert (before["log_info"], before["log_verbose_level"]) == (True, 0)
    assert (after["log_info"], after["log_verbose_level"]) == (False, 1)
    assert set(before) == set(after)
    assert triton["log_refused"]["status"] == "400"


def test_triton_serves_models_without_features(triton: dict[str, Any]) -> None:
    expected = np.arange(6).reshape(2, 3) @ np.arange(6).reshape(3, 2)
    assert triton["plain_True"]["y"] == triton["plain_False"]["y"] == expected.tolist()


@pytest.mark.parametrize(
    ("what", "status", "part"),
    [
        ("model", "404", "nobody"),
        ("version", "404", "9.9.9"),
        ("metadata", "404", "nobody"),
        ("column", "400", '"y"'),
        ("datatype", "400", "FP64"),
        ("output", "400", '"nothing"'),
        ("width", "400", "x"),
    ],
)
def test_triton_is_told_what_is_wrong(
    triton: dict[str, Any], what: str, status: str, part: str
) -> None:
    refusal = triton["refused"][what]
    assert refusal["status"] == status, refusal
    assert part in refusal["message"]


def test_triton_goes_on_after_refusals(triton: dict[str, Any]) -> None:
    assert len(triton["after"]["label"]) == 1
    (stats,) = triton["statistics"]["model_stats"]
    assert stats["name"] == "tiny"
    assert stats["inference_count"] >= stats["execution_count"] > 0
    assert stats["inference_stats"]["success"]["count"] > 0


@pytest.mark.kserve
@pytest.mark.skipif(not KSERVE.exists(), reason="`make test` makes .venv-kserve")
def test_kserve(live: tuple[Server, Runtime], expected: dict[str, list[Any]]) -> None:
    found = run(KSERVE, "run_kserve.py", live[0].url)
    assert found["live"] is found["ready"] is found["model_ready"] is True
    assert found["unknown_ready"] is False
    for form in ("json", "binary", "binary_reply"):
        same(found[form], expected)
        assert found[f"{form}_names"] == ["r-1", "tiny"]
    assert found["unknown"]["status"] == 404
    assert "nobody" in found["unknown"]["message"]
    assert found["malformed"]["status"] == 400
    assert "no inputs" in found["malformed"]["message"]
    assert found["v1_ready"] is True
    (prediction,) = found["rows"]["predictions"]
    # A batch of one and a batch of three differ in their last bits.
    np.testing.assert_allclose(prediction["probabilities"], expected["probabilities"][0], atol=1e-6)
