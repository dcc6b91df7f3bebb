"""From a drifted column on a live runtime to an alert, an incident and its evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from tidegate.demo.tiny import tiny_bundle, tiny_table
from tidegate.monitoring.alerts import Alerts
from tidegate.monitoring.alerts.watch import Watch
from tidegate.monitoring.watching import Watching
from tidegate.runtime import Runtime


def test_a_column_beyond_what_is_tolerated_opens_an_incident(tmp_path: Path) -> None:
    rule = {"name": "drifted", "kind": "drift", "column": "x", "severity": "critical"}
    rows = tiny_table(4_000, seed=8).select("x", "colour", "at")
    moved = rows.with_columns(x=pl.Series(np.random.default_rng(1).normal(3, 1, 4_000)))
    with Runtime(watching=Watching(rows=1_000)) as runtime:
        runtime.deploy(tiny_bundle())
        watch = Watch(Alerts(storage=str(tmp_path), rules=(rule,)), runtime)
        runtime.predict_many("tiny", rows)
        runtime.drift("tiny")
        watch.look()
        assert watch.alerts()["alerts"] == []
        runtime.predict_many("tiny", moved)
        runtime.drift("tiny")
        watch.look()
        [alert] = watch.alerts()["alerts"]
        assert alert["labels"]["column"] == "x"
        assert alert["text"] == "x is beyond the distance that is tolerated"
        found = watch.incident(alert["incident"])
        evidence = next(record for record in found["records"] if record["type"] == "evidence")
        assert evidence["columns"][0]["column"] in ("x", "probabilities[1]", "label")
        assert any(
            cause["what"] == "x" and cause["kind"] == "feature" for cause in evidence["causes"]
        )
        watch.close()
