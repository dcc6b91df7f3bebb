"""The prediction log on real storage: complete, sampled, redacted, bounded, readable after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from tests.storage.conftest import s3_endpoint

from tidegate.demo.tiny import tiny_bundle, tiny_table
from tidegate.errors import ConfigurationError, StorageError
from tidegate.monitoring.log import Log, LogWriter
from tidegate.registry import Bundle
from tidegate.runtime import Options, Runtime
from tidegate.storage import FolderStore, Store, open_store

__all__ = ["s3_endpoint"]

ROW = {"x": 1.25, "colour": "red"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


def until(true: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def logged(folder: Path, kind: str = "predictions") -> pl.DataFrame:
    files = sorted((folder / kind).rglob("*.parquet"))
    return pl.concat([pl.read_parquet(file) for file in files], how="diagonal")


def test_what_was_asked_and_answered_is_there(bundle: Bundle, tmp_path: Path) -> None:
    table = tiny_table(500, seed=3).drop("label")
    log = Log(location=str(tmp_path))
    with Runtime(log=log) as runtime:
        runtime.deploy(bundle)
        answer = runtime.predict_many("tiny", table)
        single = runtime.predict("tiny", ROW)
        runtime.feedback("tiny", [{"prediction_id": single.id, "label": 1, "metrics": {"eur": 2}}])
    (day,) = (tmp_path / "predictions" / "model=tiny").iterdir()
    assert day.name.startswith("day=20")
    found = logged(tmp_path)
    assert found.height == 501
    many = found.filter(pl.col("prediction_id") == answer.id).sort("row")
    assert many["row"].to_list() == list(range(500))
    assert many["feature_colour"].to_list() == table["colour"].to_list()
    assert np.allclose(
        many["feature_x"].fill_null(np.nan).to_numpy(),
        table["x"].fill_null(np.nan).to_numpy(),
        equal_nan=True,
    )
    scores = many["prediction_probabilities_1"].to_numpy()
    assert np.array_equal(scores.astype(np.float32), answer.outputs["probabilities"][:, 1])
    assert many["prediction_label"].to_list() == answer.outputs["label"].tolist()
    assert set(found["version"]) == {"1.0.0"}
    assert set(found["revision"]) == {1}
    assert (found["latency_ms"] > 0).all()
    assert found["caller"].null_count() == 501
    labels = logged(tmp_path, "feedback").sort("label")
    assert labels["outcome"].to_list() == ["joined", "joined"]
    assert labels["metric"].to_list() == ["eur", None]
    assert labels["label"].to_list() == [None, "1"]


def test_rules_say_what_is_logged(bundle: Bundle, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    log = Log(
        location=str(tmp_path / "log"),
        sample=1.0,
        rules=("t*=0.2",),
        redact=("at", "caller"),
        hash=("colour",),
        hash_key_file=str(key),
    )
    with Runtime(log=log) as runtime:
        runtime.deploy(bundle)
        for _ in range(1_000):
            runtime.predict("tiny", ROW)
        metrics = runtime.metrics()
    found = logged(tmp_path / "log")
    assert 130 < found.height < 270
    assert {"feature_at", "caller"}.isdisjoint(found.columns)
    (hashed,) = set(found["feature_colour"])
    assert len(hashed) == 32
    assert "red" not in hashed
    assert "tidegate_log_dropped_total 0" in metrics


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        Log(sample=2)
    with pytest.raises(ConfigurationError, match="flight"):
        Log(rules=("nonsense",))
    with pytest.raises(ConfigurationError, match="hash_key_file"):
        Log(hash=("name",))
    with pytest.raises(ConfigurationError, match="cannot read"):
        LogWriter(Log(location=str(tmp_path), hash=("a",), hash_key_file="/nowhere"))


class Flaky(FolderStore):
    """A folder that does not answer while it is told so."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.broken = threading.Event()
        self.refused = 0

    def _create(self, key: str, data: bytes) -> None:
        if self.broken.is_set():
            self.refused += 1
            raise StorageError("the storage is away")
        super()._create(key, data)


def test_storage_that_is_away_bounds_memory_and_comes_back(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Flaky(tmp_path / "log")
    store.broken.set()

    def opened(*_: object, **__: object) -> Store:
        return store

    monkeypatch.setattr("tidegate.monitoring.log.writer.open_store", opened)
    log = Log(location="away", file_seconds=0.05, queue_bytes=300_000)
    table = tiny_table(200, seed=4).drop("label")
    with Runtime(log=log) as runtime:
        runtime.deploy(bundle)
        writer = runtime._log
        assert writer is not None
        for _ in range(100):
            assert len(runtime.predict_many("tiny", table).ids) == 200
            assert writer.core.statistics()[3] <= 300_000
        until(lambda: store.refused > 0)
        files, rows, dropped, waiting = writer.core.statistics()
        assert (files, rows) == (0, 0)
        assert dropped > 0
        assert 0 < waiting <= 300_000
        store.broken.clear()
        until(lambda: writer.core.statistics()[3] == 0)
        runtime.predict_many("tiny", table)
    files, rows, dropped, waiting = writer.core.statistics()
    assert waiting == 0
    assert rows + dropped == 101 * 200
    assert logged(tmp_path / "log").height == rows


def test_a_killed_process_leaves_readable_files_only(bundle: Bundle, tmp_path: Path) -> None:
    folder, address = tmp_path / "log", tmp_path / "address"
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "tidegate.cli", "serve", str(bundle.path), "--port", "0", "--no-grpc"),
            *("--address-file", str(address)),
            *("--set", f"log.location={folder}"),
            *("--set", "log.file_seconds=0.2"),
        ]
    )
    try:
        until(lambda: address.exists() or process.poll() is not None)
        with httpx.Client(base_url=address.read_text().strip(), timeout=30) as client:
            asked = 0

            def stored() -> int:
                return len(list(folder.rglob("*.parquet"))) if folder.exists() else 0

            end = time.monotonic() + 60
            while stored() < 4:
                assert time.monotonic() < end
                reply = client.post("/v1/models/tiny:predict", json={"instances": [ROW] * 3})
                asked += 3
                assert reply.status_code == 200
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    rows = 0
    for file in (folder / "predictions").rglob("*.parquet"):
        rows += pq.read_table(file, partitioning=None).num_rows
    assert 0 < rows <= asked


def test_the_log_is_written_to_s3_and_queried(
    bundle: Bundle, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("duckdb")
    import urllib.request

    from tidegate.errors import InputError, NotFoundError
    from tidegate.monitoring.log.join import joined
    from tidegate.monitoring.log.query import Selection, query

    with urllib.request.urlopen(
        urllib.request.Request(f"{s3_endpoint}/predictions-log", method="PUT")
    ) as answer:
        assert answer.status == 200
    location = open_store(
        "s3://predictions-log/here",
        endpoint=s3_endpoint,
        region="us-east-1",
        access_key_id="test",
        secret_access_key="test",
    )
    monkeypatch.setattr("tidegate.monitoring.log.writer.open_store", lambda *_, **__: location)
    table = tiny_table(2_000, seed=8)
    # A store that holds no prediction for long: labels find nothing, and are joined from the log.
    options = Options(feedback_bytes=1)
    with Runtime(options=options, log=Log(location=location.location)) as runtime:
        runtime.deploy(bundle)
        answers = runtime.predict_many("tiny", table.drop("label"))
        received = runtime.feedback(
            "tiny",
            pl.DataFrame({"prediction_id": answers.ids, "label": table["label"].cast(pl.Int64)}),
        )
        assert received.labels["unknown"] == 2_000
    columns, rows = query(
        "SELECT count(*) AS n, min(feature_x) < 0 AS low FROM predictions", location
    )
    assert (columns, rows) == (["n", "low"], [(2_000, True)])
    (version,) = joined("tiny", location)
    truth = table["label"].to_numpy().astype(np.int64)
    due = float((answers.outputs["label"] == truth).mean())
    assert (version.total.predictions, version.total.labelled) == (2_000, 2_000)
    assert version.measure("accuracy").value == pytest.approx(due, rel=1e-12)
    with pytest.raises(InputError, match="query fails"):
        query("SELECT nothing FROM predictions", location)
    with pytest.raises(NotFoundError):
        query("SELECT 1", location, Selection(model="other"))
    with pytest.raises(NotFoundError):
        query("SELECT 1", location, Selection(until="2001-01-01"))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    import logging

    logging.getLogger("tidegate.log").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("tidegate.log").setLevel(logging.NOTSET)
