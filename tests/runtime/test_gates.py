"""Rollouts that gates decide about, on a runtime that serves: given up, with an incident; or promoted."""

from __future__ import annotations

import queue
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from tidegate.demo.tiny import tiny_table
from tidegate.features import FeatureSet, Field, Schema, col
from tidegate.monitoring.alerts import Alerts
from tidegate.monitoring.alerts.watch import Watch
from tidegate.registry import Bundle, Registry
from tidegate.routing.follower import Next
from tidegate.routing.incident import opened
from tidegate.routing.revision import Revision
from tidegate.routing.settings import Follow
from tidegate.runtime import Runtime

SCHEMA = Schema([Field("x", "float64", nullable=True), Field("colour", "string", nullable=False)])
FAST = Follow(every=0.05, samples=0.05)
PATIENCE = 60.0


def features(scale: float) -> FeatureSet:
    return FeatureSet(
        schema=SCHEMA,
        features=[col("x").fill_null("median").standardize() * scale, col("colour").one_hot()],
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.1.0 is as good as 1.0.0; of 1.2.0 a feature is scaled by ten."""
    folder, table = tmp_path_factory.mktemp("published"), tiny_table(2_000)
    registry, right = Registry(folder), features(1.0)
    labels = table["label"].to_numpy().astype(np.int64)
    model = LogisticRegression().fit(right.fit_transform(table), labels)
    for version, scale in (("1.0.0", 1.0), ("1.1.0", 1.0), ("1.2.0", 10.0)):
        fitted = features(scale)
        fitted.fit_transform(table)
        registry.publish(Bundle.build("tiny", version, features=fitted, model=model, sample=table))
    registry.alias("tiny", "champion", version="1.0.0")
    return folder


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """The same registry for each test, and a history of its own."""
    shutil.copytree(published, tmp_path / "registry")
    return tmp_path / "registry"


def plan(candidate: str, **more: Any) -> Mapping[str, Any]:
    step = {"percent": 50, "min_requests": 100, "min_seconds": 0}
    strategy = {"kind": "canary", "steps": [step]}
    return {"deployment": "tiny", "candidate": candidate, "strategy": strategy, **more}


@dataclass
class Told:
    """What a replica has decided."""

    decisions: queue.SimpleQueue[tuple[Revision, Next]] = field(default_factory=queue.SimpleQueue)

    def __call__(self, before: Revision, decision: Next) -> None:
        self.decisions.put((before, decision))


def asked(runtime: Runtime, rows: int) -> dict[str, int]:
    found: dict[str, int] = {}
    table = tiny_table(rows, seed=11).select("x", "colour")
    for number, row in enumerate(table.iter_rows(named=True)):
        version = runtime.predict("tiny", row, key=str(number)).version
        found[version] = found.get(version, 0) + 1
    return found


def test_a_broken_feature_is_given_up_within_500_requests(folder: Path, tmp_path: Path) -> None:
    with Runtime(folder, follow=FAST) as runtime:
        runtime.follow("tiny@champion")
        told = runtime.replica.told = Told()
        rollout = runtime.rollout("tiny")
        rollout.start(plan("1.2.0"), actor="ann", skip_check="the test is of the gates")
        found = asked(runtime, 500)
        assert min(found.values()) > 150
        before, decision = told.decisions.get(timeout=PATIENCE)
        assert decision.event == "abort"
        assert decision.reason.startswith("1.2.0 fails gate prediction: +")
        watch = Watch(Alerts(storage=str(tmp_path / "alerts")), runtime)
        try:
            name = opened(watch, before, decision)
            assert name is not None
            assert "| 1.2.0 | prediction | fail |" in watch.review(name)
        finally:
            watch.close()
        rollout.verify()
        assert rollout.history()[0].revision.event == "abort"
        # The follower here is told of its own decision at once.
        runtime.replica.wake("tiny")
        assert asked(runtime, 50) == {"1.0.0": 50}


def test_a_shadow_is_given_up_before_it_has_answered_anybody(folder: Path) -> None:
    strategy = {"kind": "shadow", "min_requests": 100, "min_seconds": 0}
    gates = [{"kind": "disagreement", "of": "score"}]
    with Runtime(folder, follow=FAST) as runtime:
        runtime.follow("tiny@champion")
        told = runtime.replica.told = Told()
        wanted = plan("1.2.0", strategy=strategy, gates=gates)
        runtime.rollout("tiny").start(wanted, actor="ann", skip_check="of the gates")
        assert asked(runtime, 600) == {"1.0.0": 600}
        _, decision = told.decisions.get(timeout=PATIENCE)
        assert decision.event == "abort"
        assert decision.reason.startswith("1.2.0 fails gate disagreement: 0.")
        assert decision.routing.shadow is None


def shadow_copies(runtime: Runtime) -> float:
    """Requests of which something has become at a shadow, compared or not."""
    lines = runtime.metrics().splitlines()
    found = [line for line in lines if line.startswith("tidegate_shadow_copies_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def test_a_shadow_is_given_up_by_labels_that_come_late(folder: Path) -> None:
    """1.2.0 is far too sure of itself, which only labels tell."""
    strategy = {"kind": "shadow", "min_requests": 100, "min_seconds": 0}
    gates = [{"kind": "quality", "measure": "brier", "margin": 0.005}]
    rows = tiny_table(20_000, seed=11)
    with Runtime(folder, follow=FAST) as runtime:
        runtime.follow("tiny@champion")
        told = runtime.replica.told = Told()

        def labelled(part: pl.DataFrame) -> None:
            copies, given = shadow_copies(runtime), []
            for row in part.iter_rows(named=True):
                found = runtime.predict("tiny", {"x": row["x"], "colour": row["colour"]})
                assert found.version == "1.0.0"
                given.append({"prediction_id": found.id, "label": int(row["label"])})
            # Labels come late: by then the shadow, which runs when nobody else does, has its copies.
            while copies and told.decisions.empty():
                if shadow_copies(runtime) >= copies + len(given):
                    break
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert runtime.feedback("tiny", given).labels["joined"] == len(given)

        deadline = time.monotonic() + PATIENCE
        labelled(rows.head(10))
        wanted = plan("1.2.0", strategy=strategy, gates=gates)
        runtime.rollout("tiny").start(wanted, actor="ann", skip_check="of the gates")
        for part in rows.slice(10).iter_slices(250):
            labelled(part)
            if not told.decisions.empty():
                break
        _, decision = told.decisions.get(timeout=PATIENCE)
        assert decision.event == "abort", decision.reason
        assert decision.reason.startswith("1.2.0 fails gate quality: 0.")


def test_an_equal_version_is_promoted(folder: Path) -> None:
    gates = [{"kind": "errors", "margin": 0.05}, {"kind": "prediction", "margin": 0.2}]
    with Runtime(folder, follow=FAST) as runtime:
        runtime.follow("tiny@champion")
        told = runtime.replica.told = Told()
        rollout = runtime.rollout("tiny")
        rollout.start(plan("1.1.0", gates=gates), actor="ann", skip_check="of the gates")
        asked(runtime, 3_000)
        _, decision = told.decisions.get(timeout=PATIENCE)
        assert decision.event == "promote", decision.reason
        runtime.replica.wake("tiny")
        assert asked(runtime, 50) == {"1.1.0": 50}
