"""What `/drift` reports of rows sent over HTTP equals NumPy's figures from the same raw rows."""

from __future__ import annotations

from collections import Counter

import httpx
import numpy as np
import polars as pl
import pytest
from tests.monitoring.reference import Floats, counts_of, edges_of, js_of, psi_of

from tidegate.demo.tiny import tiny_table
from tidegate.monitoring import DriftReport
from tidegate.runtime import Runtime
from tidegate.server import Server

RAW = ["x", "colour", "at"]


def live_rows() -> pl.DataFrame:
    """Rows unlike the training table: shifted, with unseen names and more missing values."""
    table = tiny_table(700, seed=99).select(RAW)
    places = np.arange(700)
    return table.with_columns(
        x=pl.when(pl.Series(places % 5 == 0)).then(None).otherwise(pl.col("x") * 1.5 + 0.8),
        colour=pl.when(pl.Series(places % 7 == 0)).then(pl.lit("mauve")).otherwise("colour"),
        at=pl.col("at").dt.offset_by("90d"),
    )


def numbers(values: pl.Series) -> Floats:
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)


def test_drift_over_http_equals_numpy(server: Server, runtime: Runtime) -> None:
    rows = live_rows()
    probabilities: list[float] = []
    labels: list[float] = []
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for piece in rows.iter_slices(37):
            instances = [
                {**row, "at": row["at"].isoformat() + "Z"} for row in piece.iter_rows(named=True)
            ]
            reply = client.post("/v1/models/tiny:predict", json={"instances": instances})
            assert reply.status_code == 200, reply.text
            for prediction in reply.json()["predictions"]:
                # JSON has the shortest text of the float32 that was observed.
                probabilities.append(float(np.float32(prediction["probabilities"][1])))
                labels.append(float(prediction["label"]))
        report = DriftReport.from_json(client.get("/v1/models/tiny/drift").text)
        metrics = client.get("/metrics").text
    (window,) = report.windows
    assert window.rows == 700

    before = tiny_table().select(RAW)
    with Runtime() as apart:
        assert runtime.registry is not None
        apart.deploy(runtime.registry.open("tiny@champion"))
        was = apart.predict_many("tiny", before).outputs
    columns = {
        "x": (numbers(before["x"]), numbers(rows["x"])),
        "at": (numbers(before["at"].dt.epoch("us")), numbers(rows["at"].dt.epoch("us"))),
        "probabilities[1]": (
            was["probabilities"][:, 1].astype(np.float64),
            np.array(probabilities),
        ),
        "label": (was["label"].astype(np.float64), np.array(labels)),
    }
    for name, (old, new) in columns.items():
        edges = edges_of(old)
        p, q = counts_of(old, edges), counts_of(new, edges)
        column = window.column(name)
        assert [cell.baseline for cell in column.cells] == p.tolist(), name
        assert [cell.live for cell in column.cells] == q.tolist(), name
        assert column.psi == pytest.approx(psi_of(p, q), abs=1e-9)
        assert column.js == pytest.approx(js_of(p, q), abs=1e-9)

    names = sorted(set(before["colour"]), key=lambda n: (-Counter(before["colour"])[n], n))
    old_counts, new_counts = Counter(before["colour"]), Counter(rows["colour"])
    p = np.array([*(old_counts[n] for n in names), 0, 0, 0], dtype=np.float64)
    q = np.array([*(new_counts[n] for n in names), 0, new_counts["mauve"], 0], dtype=np.float64)
    column = window.column("colour")
    assert [cell.live for cell in column.cells] == q.tolist()
    assert column.psi == pytest.approx(psi_of(p, q), abs=1e-9)
    assert column.js == pytest.approx(js_of(p, q), abs=1e-9)
    assert 'tidegate_observations_dropped_total{model="tiny",version="1.0.0"} 0' in metrics


def test_windows_close_with_a_label_and_show_on_metrics(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        rows = [{"x": 0.1, "colour": "red"}, {"colour": "blue"}]
        client.post("/v1/models/tiny:predict", json={"instances": rows})
        closed = client.post("/v1/models/tiny/drift:close", params={"label": "first"})
        assert closed.status_code == 200, closed.text
        report = DriftReport.from_json(client.get("/v1/models/tiny/drift").text)
        first = report.windows[0]
        assert (first.label, first.rows, first.closed) == ("first", 2, True)
        metrics = client.get("/metrics").text
    psi = first.column("x").psi
    lines = [line for line in metrics.splitlines() if "psi{" in line and 'column="x"' in line]
    assert len(lines) == 1
    assert float(lines[0].rsplit(" ", 1)[1]) == pytest.approx(psi, rel=1e-9)
