"""NVIDIA's and KServe's gRPC clients as they are, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.server.test_clients import CLIENTS, KSERVE, ROWS, plain, same

from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

__all__ = ["plain"]


@pytest.fixture(scope="module")
def live(registry_folder: Path, plain: Path) -> Iterator[tuple[Server, Runtime]]:
    with Runtime(registry_folder) as runtime:
        runtime.deploy("tiny@champion", name="tiny")
        runtime.deploy(plain)
        with Server(runtime, Settings(port=0, grpc_port=0)) as server:
            yield server, runtime


@pytest.fixture(scope="module")
def expected(live: tuple[Server, Runtime]) -> dict[str, list[Any]]:
    outputs = live[1].predict_many("tiny", ROWS).outputs
    return {name: np.asarray(values).tolist() for name, values in outputs.items()}


def run(python: Path | str, script: str, server: Server) -> dict[str, Any]:
    assert server.grpc_address is not None
    command = [str(python), str(CLIENTS / script), server.grpc_address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def triton(live: tuple[Server, Runtime], expected: dict[str, list[Any]]) -> dict[str, Any]:
    del expected  # Asked for before the client unloads and loads the model.
    return run(sys.executable, "run_triton_grpc.py", live[0])


def test_the_client_and_tidegate_live_in_one_process(triton: dict[str, Any]) -> None:
    assert triton["imported"] == "tidegate.server"


def test_triton_sees_a_server_and_its_models(triton: dict[str, Any]) -> None:
    assert triton["live"] is triton["ready"] is triton["model_ready"] is True
    assert triton["version_ready"] is True
    assert triton["coerced_ready"] is triton["unknown_ready"] is False
    assert triton["server"]["name"] == "tidegate"
    assert "statistics" in triton["server"]["extensions"]
    # The client writes 64-bit numbers as texts.
    assert triton["model"]["inputs"] == [
        {"name": "x", "datatype": "FP64", "shape": ["-1", "1"]},
        {"name": "colour", "datatype": "BYTES", "shape": ["-1", "1"]},
        {"name": "at", "datatype": "INT64", "shape": ["-1", "1"]},
    ]
    assert triton["model"]["versions"] == ["1.0.0"]
    config = triton["config"]["config"]
    assert config["max_batch_size"] > 1
    assert "dynamic_batching" in config
    assert [tensor["data_type"] for tensor in config["input"]] == [
        "TYPE_FP64",
        "TYPE_STRING",
        "TYPE_INT64",
    ]
    assert {entry["name"] for entry in triton["index"]["models"]} == {"tiny", "plain"}
    assert {entry["state"] for entry in triton["index"]["models"]} == {"READY"}


@pytest.mark.parametrize("form", ["usual", "one_output", "gzip", "deflate"])
def test_triton_infers(triton: dict[str, Any], expected: dict[str, list[Any]], form: str) -> None:
    same(triton[form], expected)


def test_triton_infers_many_at_once(triton: dict[str, Any], expected: dict[str, list[Any]]) -> None:
    assert len(triton["async"]) == 8
    for outputs in triton["async"]:
        same(outputs, expected)


def test_triton_gets_what_it_asked_for(triton: dict[str, Any]) -> None:
    assert triton["usual_names"] == ["tiny", "1.0.0"]
    assert triton["usual_parameters"] == ["prediction_id", "revision"]
    assert list(triton["one_output"]) == ["label"]
    assert triton["one_output_id"] == "r-1"
    expected = np.arange(6).reshape(2, 3) @ np.arange(6).reshape(3, 2)
    assert triton["plain"]["y"] == expected.tolist()
    assert triton["large"] is True


def test_a_stream_answers_in_order_and_goes_on_after_an_error(triton: dict[str, Any]) -> None:
    replies = triton["stream"]
    assert len(replies) == 20
    for i, reply in enumerate(replies):
        if i == 7:
            assert "nobody" in reply["error"]
        else:
            outputs = ["label", "probabilities"]
            assert reply == {"id": f"s-{i}", "final": True, "outputs": outputs}


@pytest.mark.parametrize(
    ("what", "status", "part"),
    [
        ("model", "NOT_FOUND", "nobody"),
        ("version", "NOT_FOUND", "9.9.9"),
        ("coerced", "NOT_FOUND", '"1"'),
        ("metadata", "NOT_FOUND", "nobody"),
        ("config", "NOT_FOUND", "nobody"),
        ("statistics", "NOT_FOUND", "nobody"),
        ("column", "INVALID_ARGUMENT", '"y"'),
        ("datatype", "INVALID_ARGUMENT", "FP64"),
        ("output", "INVALID_ARGUMENT", '"nothing"'),
        ("width", "INVALID_ARGUMENT", "x"),
        ("late", "DEADLINE_EXCEEDED", "eadline"),
        ("expired", "DEADLINE_EXCEEDED", ""),
        ("shared_memory", "UNIMPLEMENTED", "SystemSharedMemoryStatus"),
        ("load", "NOT_FOUND", "nobody"),
        ("load_parameters", "INVALID_ARGUMENT", "parameters"),
        ("unload", "NOT_FOUND", "nobody"),
    ],
)
def test_triton_is_told_what_is_wrong(
    triton: dict[str, Any], what: str, status: str, part: str
) -> None:
    refusal = triton["refused"][what]
    assert refusal["status"] == f"StatusCode.{status}", refusal
    assert part in refusal["message"]


def test_triton_goes_on_after_refusals(triton: dict[str, Any]) -> None:
    assert len(triton["after"]["label"]) == 1
    (stats,) = triton["statistics"]["model_stats"]
    assert stats["name"] == "tiny"
    assert int(stats["inference_count"]) >= int(stats["execution_count"]) > 0
    assert int(stats["inference_stats"]["success"]["count"]) > 0
    names = {entry["name"] for entry in triton["all_statistics"]["model_stats"]}
    assert names == {"tiny", "plain"}


def test_triton_unloads_and_loads(triton: dict[str, Any]) -> None:
    assert triton["unloaded"] is False
    assert triton["loaded"] is True


def test_health(triton: dict[str, Any]) -> None:
    serving = [8, 1]  # field 1 is SERVING
    assert triton["health"] == {
        "server": serving,
        "service": serving,
        "unknown": "NOT_FOUND",
        "watch": serving,
        "method": "UNIMPLEMENTED",
    }


def test_requests_are_counted(live: tuple[Server, Runtime], triton: dict[str, Any]) -> None:
    del triton
    import httpx

    page = httpx.get(f"{live[0].url}/metrics", timeout=60).text
    method = 'method="inference.GRPCInferenceService/ModelInfer"'
    assert f'tidegate_grpc_requests_total{{{method},code="OK"}}' in page
    assert f'tidegate_grpc_requests_total{{{method},code="NOT_FOUND"}} 3' in page


@pytest.mark.kserve
@pytest.mark.skipif(not KSERVE.exists(), reason="`make test` makes .venv-kserve")
def test_kserve(live: tuple[Server, Runtime], expected: dict[str, list[Any]]) -> None:
    found = run(KSERVE, "run_kserve_grpc.py", live[0])
    assert found["live"] is found["ready"] is found["model_ready"] is True
    assert found["unknown_ready"] is False
    for form in ("typed", "raw"):
        same(found[form], expected)
        assert found[f"{form}_names"] == ["r-1", "tiny", "1.0.0"]
    assert found["unknown"]["status"] == "NOT_FOUND"
    assert "nobody" in found["unknown"]["message"]
