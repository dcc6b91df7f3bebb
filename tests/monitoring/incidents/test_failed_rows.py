"""Rows that failed in a model or broke a rule: kept by a real runtime, redacted into an incident."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper

from tidegate import Rules
from tidegate.errors import InputError, NotFoundError
from tidegate.features import FeatureSet, Schema, col
from tidegate.monitoring.alerts import Alerts
from tidegate.monitoring.alerts.watch import Watch
from tidegate.monitoring.incidents.redaction import redacted_text
from tidegate.monitoring.log import Log
from tidegate.registry import Bundle
from tidegate.registry.build import BuildOptions
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings
from tidegate.validation import in_range

BUSY = {
    "name": "busy",
    "kind": "threshold",
    "signal": "rows_per_second",
    "above": 0.0001,
    "over": "1h",
}
SECRET = "Ada Lovelace"


def raises(path: Path) -> Path:
    """A model of two features that fails where the first is none of the digits 0 to 7."""
    constants = [
        onnx.numpy_helper.from_array(np.arange(8, dtype=np.float32) ** 2, "squares"),
        onnx.numpy_helper.from_array(np.array([0], np.int64), "first"),
    ]
    nodes = [
        helper.make_node("Gather", ["x", "first"], ["digit"], axis=1),
        helper.make_node("Cast", ["digit"], ["at"], to=TensorProto.INT64),
        helper.make_node("Gather", ["squares", "at"], ["y"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])
        for name, width in (("x", 2), ("y", 1))
    ]
    graph = helper.make_graph(nodes, "raises", ports[:1], ports[1:], constants)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Fails above 7, and has a rule that 100 is too much."""
    folder = tmp_path_factory.mktemp("raises")
    table = pl.DataFrame(
        {"digit": [float(i % 8) for i in range(200)], "name": ["Bob", "Eve"] * 100}
    )
    features = FeatureSet(
        schema=Schema.infer(table, nullable=True),
        features=[col("digit"), col("name").str.len_chars()],
    )
    features.fit(table)
    return Bundle.build(
        "raises",
        "1.0.0",
        model=raises(folder / "raises.onnx"),
        features=features,
        sample=table,
        options=BuildOptions(rules=Rules(in_range("digit", 0, 100, name="digits"))),
        directory=folder / "bundle",
    )


def go_wrong(runtime: Runtime) -> None:
    """One row fails in the model, another breaks a rule."""
    runtime.predict("raises", {"digit": 3.0, "name": SECRET})
    with pytest.raises(InputError, match="the model failed"):
        runtime.predict("raises", {"digit": 12.0, "name": SECRET})
    with pytest.raises(InputError, match='rule "digits"'):
        runtime.predict_many(
            "raises", [{"digit": 2.0, "name": "Eve"}, {"digit": 12_345.0, "name": SECRET}]
        )


def examples(
    runtime: Runtime, folder: Path, act: Callable[[Runtime], object], **more: Any
) -> list[Mapping[str, Any]]:
    """Those of an incident that opens with what is done."""
    watch = Watch(Alerts(storage=str(folder), rules=(BUSY,)), runtime, **more)
    watch.look()
    act(runtime)
    watch.look()
    name = watch.incidents()[0]["id"]
    records = watch.incident(name)["records"]
    text = watch.review(name)
    assert SECRET not in json.dumps(records) + text
    watch.close()
    found = next(record for record in records if record["type"] == "evidence")["examples"]
    assert all(f"`{example['row']}`" in text for example in found if "row" in example)
    return list(found)


def test_rows_are_kept_with_what_was_wrong(bundle: Bundle) -> None:
    with Runtime() as runtime:
        runtime.deploy(bundle)
        assert runtime.failed_rows("raises") == []
        go_wrong(runtime)
        newest, oldest = runtime.failed_rows("raises")
        assert (newest.version, newest.reason) == ("1.0.0", 'it breaks rule "digits"')
        assert newest.row == {"digit": 12_345.0, "name": SECRET}
        assert oldest.row == {"digit": 12.0, "name": SECRET}
        assert oldest.at <= newest.at
        with pytest.raises(NotFoundError):
            runtime.failed_rows("nobody")
    with Runtime() as runtime:
        runtime.deploy(bundle)
        # The first row stands for a table.
        with pytest.raises(InputError, match="the model failed"):
            runtime.predict_many("raises", pl.DataFrame({"digit": [9.0, 1.0], "name": ["a", "b"]}))
        (kept,) = runtime.failed_rows("raises")
        assert kept.reason.startswith("the model failed")
        assert kept.row == {"digit": 9.0, "name": "a"}


def test_an_incident_has_them_without_their_values(bundle: Bundle, tmp_path: Path) -> None:
    with Runtime() as runtime:
        runtime.deploy(bundle)
        rule, model = examples(runtime, tmp_path, go_wrong)
    assert rule["why"] == 'raises 1.0.0: it breaks rule "digits"'
    assert rule["row"]["digit"] == 12_000.0
    assert model["why"].startswith("raises 1.0.0: ")
    # Both rows have the same name, and nobody can read which.
    assert model["row"]["name"] == rule["row"]["name"]
    assert rule["row"]["name"].startswith("text of 12 (")


def test_what_the_prediction_log_hides_is_hidden(bundle: Bundle, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    log = Log(
        location=str(tmp_path / "log"),
        redact=("digit",),
        hash=("name",),
        hash_key_file=str(key),
    )
    with Runtime(log=log) as runtime:
        runtime.deploy(bundle)
        found = examples(runtime, tmp_path / "alerts", go_wrong)
        kept = runtime.failed_rows("raises")
    for row in kept:
        assert set(row.row) == {"name"}
        assert len(row.row["name"]) == 32
    assert [set(example["row"]) for example in found] == [{"name"}, {"name"}]


def test_a_server_keeps_them_beside_requests(bundle: Bundle, tmp_path: Path) -> None:
    def requests(model: str | None, since: float) -> list[dict[str, Any]]:
        return [{"at": since, "why": f"a request to {model} failed", "request": "r-1"}]

    path = "/v1/models/raises:predict"

    def ask(runtime: Runtime) -> None:
        with (
            Server(runtime, Settings(port=0)) as server,
            httpx.Client(base_url=server.url, timeout=60) as client,
        ):
            rows = [{"digit": 1.0, "name": "Eve"}, {"digit": 700.0, "name": SECRET}]
            assert client.post(path, json={"instances": rows}).status_code == 400
            reply = client.post(path, json={"instances": [{"digit": 50.0, "name": SECRET}]})
            assert reply.status_code == 400, reply.text
            assert "the model failed" in reply.text
            tensors = [
                {"name": "digit", "datatype": "FP64", "shape": [1, 1], "data": [60.0]},
                {"name": "name", "datatype": "BYTES", "shape": [1, 1], "data": [SECRET]},
            ]
            reply = client.post("/v2/models/raises/infer", json={"inputs": tensors})
            assert reply.status_code == 400, reply.text
            # Serving goes on.
            assert client.post(path, json={"instances": rows[:1]}).status_code == 200

    with Runtime() as runtime:
        runtime.deploy(bundle)
        found = examples(runtime, tmp_path, ask, failing=requests)
    digits = [example["row"]["digit"] for example in found if "row" in example]
    assert 700.0 in digits
    assert {50.0, 60.0} & set(digits)
    assert found[-1]["request"] == "r-1"


def test_a_flood_is_bounded(bundle: Bundle, tmp_path: Path) -> None:
    long = SECRET * 10_000

    def flood(runtime: Runtime) -> None:
        for _ in range(2_000):
            with pytest.raises(InputError):
                runtime.predict("raises", {"digit": 1e9, "name": long})
        runtime.predict("raises", {"digit": 1.0, "name": "Eve"})

    with Runtime() as runtime:
        runtime.deploy(bundle)
        found = examples(runtime, tmp_path, flood)
        kept = runtime.failed_rows("raises")
    assert 1 <= len(kept) <= 8
    assert all(len(str(row.row["name"])) == 1_024 for row in kept)
    assert len(found) == len(kept)
    assert all(row["row"]["name"].startswith("text of 1024 (") for row in found)


def test_names_of_rules_are_no_values() -> None:
    text = redacted_text('row 1 breaks rule "far", "4111 1111" is too much')
    assert text == 'row 1 breaks rule "far", "…" is too much'
