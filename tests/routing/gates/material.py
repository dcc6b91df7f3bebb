"""Samples of made-up versions, for the gates to look at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tidegate.monitoring.sequential import Mean, Proportion, Quantile
from tidegate.routing.gates import (
    Disagreement,
    Errors,
    Expression,
    Features,
    Gate,
    Latency,
    Material,
    Metric,
    Prediction,
    Quality,
)
from tidegate.routing.samples import Pairs, Sample
from tidegate.routing.samples import Prediction as Predicted

EVERY: tuple[Gate, ...] = (
    Errors(),
    Errors(name="few", at_most=0.02),
    Latency(),
    Latency(name="median", quantile=0.5, at_most=0.02),
    Prediction(),
    Disagreement(),
    Disagreement(name="scores", of="score", at_most=0.1),
    Features(),
    Quality(),
    Quality(name="brier", measure="brier", margin=0.05),
    Quality(name="good", at_most=0.3),
    Metric(name="revenue", metric="revenue", margin=0.5),
    Metric(name="cost", metric="cost", better="lower", margin=0.5),
    Metric(name="least", metric="revenue", bound=4.0),
)
"""One of each kind and of each way to ask."""


def cells(shares: npt.ArrayLike, rows: int, rng: np.random.Generator) -> list[int]:
    return [int(count) for count in rng.multinomial(rows, np.asarray(shares) / np.sum(shares))]


def sample(
    rows: int,
    *,
    errors: float = 0.002,
    slower: float = 1.0,
    tilt: float = 0.0,
    wrong: float = 0.04,
    revenue: float = 5.0,
    seed: int = 0,
) -> Sample:
    """A version's sample: worse in as many ways as are asked for."""
    rng = np.random.default_rng(seed)
    shares = 1.0 + tilt * np.linspace(-1.0, 1.0, 10)
    times: npt.NDArray[np.float64] = slower * rng.lognormal(-4.6, 0.5, rows)
    labels = rng.random(rows) < wrong
    money = rng.normal(revenue, 1.0, rows)
    return Sample(
        requests=rows,
        errors=int(rng.binomial(rows, errors)),
        latency={"0.99": Quantile(0.99).update(times), "0.5": Quantile(0.5).update(times)},
        prediction=Predicted(cells(shares, rows, rng), Mean(0, 1).update(rng.random(rows))),
        features={"x": cells(shares, rows, rng), "y": cells([3, 2, 1], rows, rng)},
        quality={
            "error": Proportion().update(labels),
            "brier": Mean(0, 1).update(np.where(labels, 0.6, 0.1)),
        },
        metrics={
            "revenue": Mean(0, 10).update(money),
            "cost": Mean(0, 10).update(10 - money),
        },
    )


def pairs(rows: int, *, disagree: float = 0.01, seed: int = 0) -> Pairs:
    rng = np.random.default_rng(seed)
    differs = rng.random(rows) < disagree
    apart = np.where(differs, 0.6, 0.02)
    return Pairs(rows, Proportion().update(differs), Mean(0, 1).update(apart))


def good(rows: int, seed: int = 0) -> Material:
    """A candidate that is as good as stable."""
    stable, candidate = sample(4 * rows, seed=seed), sample(rows, seed=seed + 1)
    return Material(stable, candidate, "split", pairs(rows, seed=seed))


def bad(rows: int, seed: int = 0) -> Material:
    """One that is worse in every way."""
    candidate = sample(
        rows, errors=0.1, slower=3.0, tilt=0.9, wrong=0.5, revenue=2.0, seed=seed + 1
    )
    stable = sample(4 * rows, seed=seed)
    return Material(stable, candidate, "split", pairs(rows, disagree=0.5, seed=seed))


def joined(when: str, *gates: Gate) -> Expression:
    return Expression(name="joined", when=when, gates=gates)
