"""The stated bounds, against NumPy on raw values."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.errors import InputError
from tidegate.sketch import (
    Covariance,
    Distinct,
    FrequentItems,
    RelativeQuantiles,
    Reservoir,
)

RNG = np.random.default_rng(11)
STREAMS = {
    "lognormal": RNG.lognormal(-5, 2, 50_000),
    "pareto": RNG.pareto(0.7, 50_000),
    "signed": RNG.normal(0, 1000, 50_000).round(),
    "constant": np.full(1000, 0.25),
}


@pytest.mark.parametrize("name", sorted(STREAMS))
@pytest.mark.parametrize("accuracy", [0.001, 0.01, 0.1])
def test_relative_quantiles(name: str, accuracy: float) -> None:
    values = STREAMS[name]
    shares = [0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.9999, 1.0]
    sketch = RelativeQuantiles(values, accuracy=accuracy, limit=50_000)
    due = np.quantile(values, shares, method="lower")
    off = np.abs(sketch.quantile(shares) - due)
    assert (off <= accuracy * np.abs(due) * (1 + 1e-9)).all()
    assert sketch.gathered == 0


def test_distinct_over_many_streams() -> None:
    stated = Distinct().standard_error
    errors = []
    for seed in range(40):
        values = np.random.default_rng(seed).integers(0, 2**62, 30_000)
        errors.append(Distinct(values).estimate / len(np.unique(values)) - 1)
    # Of 40 normal errors the root mean square stays below 1.4 times its mean but once in 10,000 times.
    assert np.sqrt(np.mean(np.square(errors))) < 1.4 * stated
    assert np.max(np.abs(errors)) < 4.5 * stated


def test_frequent_items_of_a_heavy_tail() -> None:
    words = [f"w{x}" for x in RNG.zipf(1.3, 40_000)]
    items = FrequentItems(limit=200)
    for begin in range(0, len(words), 7000):
        part = FrequentItems(words[begin : begin + 7000], limit=200)
        items.merge(part)
    assert items.error <= len(words) / 201
    names, counts = np.unique(words, return_counts=True)
    for name, count in zip(names.tolist(), counts.tolist(), strict=True):
        least, most = items[name]
        assert least <= count <= most
        if count > len(words) / 201:
            assert least > 0


def test_a_sample_is_uniform() -> None:
    sums = []
    for seed in range(300):
        reservoir = Reservoir(50, seed=seed)
        reservoir.update(np.arange(2000.0))
        sums.append(reservoir.rows.mean())
    due, spread = 999.5, np.sqrt((2000**2 - 1) / 12 / 50 * (1950 / 1999))
    assert abs(np.mean(sums) - due) < 4 * spread / np.sqrt(300)
    assert np.std(sums) == pytest.approx(spread, rel=0.2)


def test_covariances_are_numpys() -> None:
    rows = RNG.normal(size=(3000, 5)) @ RNG.normal(size=(5, 5)) + 1e6
    covariance = Covariance(5)
    for part in np.array_split(rows, 7):
        covariance.update(part)
    spreads = rows.std(axis=0)
    scale = np.outer(spreads, spreads)
    assert (np.abs(covariance.matrix(ddof=1) - np.cov(rows.T)) <= 1e-8 * scale).all()
    np.testing.assert_allclose(covariance.means, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(covariance.correlation(), np.corrcoef(rows.T), atol=1e-9)
    rows[3, 2], rows[4, 0] = np.nan, np.inf
    holed = Covariance(5)
    holed.update(rows)
    assert (holed.count, holed.incomplete) == (2998, 2)
    assert np.isnan(Covariance(2).matrix()).all()


@pytest.mark.parametrize("precision", [-1, 3, 19, 300])
def test_bad_precision(precision: int) -> None:
    with pytest.raises(InputError, match="precision"):
        Distinct(precision=precision)
