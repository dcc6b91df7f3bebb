"""A bundle whose feature is scaled by ten, served beside the right one: caught within 500 requests."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from tidegate.demo.tiny import tiny_table
from tidegate.features import FeatureSet, Field, Schema, col
from tidegate.monitoring.sequential import Mean
from tidegate.registry import Bundle
from tidegate.routing import Canary, ShadowFirst, Step
from tidegate.routing.gates import (
    Budget,
    Disagreement,
    Material,
    Prediction,
    default_gates,
)
from tidegate.routing.samples import Pairs, Sample
from tidegate.routing.samples import Prediction as Predicted
from tidegate.runtime import Runtime

SCHEMA = Schema([Field("x", "float64", nullable=True), Field("colour", "string", nullable=False)])
CANARY = Canary((Step(20), Step(50)))


def features(scale: float) -> FeatureSet:
    return FeatureSet(
        schema=SCHEMA,
        features=[
            col("x").fill_null("median").standardize() * scale,
            col("colour").one_hot(),
        ],
    )


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    table = tiny_table(2_000)
    right, broken = features(1.0), features(10.0)
    model = LogisticRegression().fit(
        right.fit_transform(table), table["label"].to_numpy().astype(np.int64)
    )
    broken.fit_transform(table)
    with Runtime() as runtime:
        for version, fitted in (("1.0.0", right), ("1.2.0", broken)):
            bundle = Bundle.build(
                "tiny",
                version,
                features=fitted,
                model=model,
                sample=table,
                directory=tmp_path_factory.mktemp("bundle") / version,
            )
            runtime.deploy(bundle, name=f"tiny-{version[2]}")
        yield runtime


def scores(runtime: Runtime, version: str, rows: pl.DataFrame) -> npt.NDArray[np.float64]:
    outputs = runtime.predict_many(f"tiny-{version[2]}", rows).outputs
    return np.asarray(outputs["probabilities"], dtype=np.float64)[:, 1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("requests", "share"), [(500, 0.5), (2_500, 0.2)])
def test_it_is_caught_and_the_right_one_is_not(
    runtime: Runtime, seed: int, requests: int, share: float
) -> None:
    """Within 500 requests of both versions at 50 %, and of the broken one at 20 %."""
    table = tiny_table(requests, seed=100 + seed).select("x", "colour")
    tried = np.random.default_rng(seed).random(requests) < share
    right, broken = (scores(runtime, version, table) for version in ("1.0.0", "1.2.0"))
    # The cells of stable's baseline: deciles of its own scores.
    sample = tiny_table(2_000).select("x", "colour")
    edges = np.quantile(scores(runtime, "1.0.0", sample), np.linspace(0.1, 0.9, 9))

    def counted(values: npt.NDArray[np.float64]) -> Sample:
        cells = np.bincount(np.searchsorted(edges, values), minlength=10)
        return Sample(requests=len(values), prediction=Predicted(cells.tolist()))

    # Of a plan without gates of its own.
    budget = Budget().over(len(CANARY.steps) * len(default_gates(CANARY)))
    stable = counted(right[~tried])
    found = Prediction().check(Material(stable, counted(broken[tried])), budget)
    assert found.outcome == "fail", found.sentence
    assert found.cells is not None
    same = Prediction().check(Material(stable, counted(right[tried])), budget)
    assert same.outcome != "fail", same.sentence


@pytest.mark.parametrize("seed", range(3))
def test_a_shadow_gives_it_away_sooner(runtime: Runtime, seed: int) -> None:
    """Row by row, 300 copied requests are enough, and nobody has had a wrong answer."""
    table = tiny_table(300, seed=200 + seed).select("x", "colour")
    right, broken = (scores(runtime, version, table) for version in ("1.0.0", "1.2.0"))
    apart = np.abs(right - broken)
    pairs = Pairs(len(apart), difference=Mean(0, 1).update(apart))
    budget = Budget().over(len(default_gates(ShadowFirst())) * len(ShadowFirst().steps))
    gate = Disagreement(of="score")
    found = gate.check(Material(Sample(), Sample(), "shadow", pairs), budget)
    assert found.outcome == "fail", found.sentence
