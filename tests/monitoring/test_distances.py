"""Distances against SciPy on raw values, and their bounds on sketches."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from tidegate.errors import InputError
from tidegate.monitoring import distances
from tidegate.sketch import Frequencies, Histogram, Quantiles

Floats = npt.NDArray[np.float64]
RNG = np.random.default_rng(5)
PAIRS: dict[str, tuple[Floats, Floats]] = {
    "normal": (RNG.normal(0, 1, 700), RNG.normal(0.3, 1.4, 450)),
    "ties": (RNG.integers(0, 6, 300).astype(float), RNG.integers(1, 8, 500).astype(float)),
    "apart": (RNG.normal(0, 1, 40), RNG.normal(50, 1, 60)),
    "few": (np.array([1.0, 2.0, 2.0]), np.array([2.0, 3.0])),
    "same": (np.arange(10.0), np.arange(10.0)),
}


@pytest.fixture(params=sorted(PAIRS))
def pair(request: pytest.FixtureRequest) -> tuple[Floats, Floats]:
    return PAIRS[request.param]


@pytest.mark.filterwarnings("ignore")
def test_distances_of_values_are_scipys(pair: tuple[Floats, Floats]) -> None:
    x, y = pair
    due = stats.ks_2samp(x, y).statistic
    assert distances.kolmogorov_smirnov(x, y) == pytest.approx(due, rel=1e-9, abs=1e-12)
    due = stats.wasserstein_distance(x, y)
    assert distances.wasserstein(x, y) == pytest.approx(due, rel=1e-9, abs=1e-12)
    due = stats.cramervonmises_2samp(x, y).statistic
    assert distances.cramer_von_mises(x, y) == pytest.approx(due, rel=1e-9, abs=1e-12)
    due = stats.anderson_ksamp([x, y], midrank=True).statistic
    assert distances.anderson_darling(x, y) == pytest.approx(due, rel=1e-9, abs=1e-9)
    en = len(x) * len(y) / (len(x) + len(y))
    due = stats.kstwobign.sf(np.sqrt(en) * stats.ks_2samp(x, y).statistic)
    assert distances.kolmogorov_smirnov_p(x, y) == pytest.approx(due, rel=1e-8, abs=1e-12)


def test_distances_of_shares_are_scipys() -> None:
    before, after = [10, 20, 30, 40], [40, 30, 20, 0]
    names = ["a", "b", "c", "d"]
    x = [name for name, count in zip(names, before, strict=True) for _ in range(count)]
    y = [name for name, count in zip(names, after, strict=True) for _ in range(count)]
    p, q = np.array(before) / sum(before), np.array(after) / sum(after)
    floor = np.maximum(q, 1e-4)
    due = {
        "jensen_shannon": jensenshannon(p, q, base=2),
        "hellinger": np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2),
        "total_variation": np.abs(p - q).sum() / 2,
        "psi": ((floor - p) * np.log(floor / p)).sum(),
    }
    forms: list[tuple[Any, Any]] = [
        (x, y),
        (np.array(x), np.array(y)),
        (pa.array(x), pl.Series(y)),
        (Frequencies(x), Frequencies(y)),
    ]
    for baseline, live in forms:
        for name, figure in due.items():
            found = getattr(distances, name)(baseline, live)
            assert found == pytest.approx(figure, rel=1e-12), name
        chi = stats.chi2_contingency([before, after], correction=False)
        statistic, freedom = distances.chi_square(baseline, live)
        assert statistic == pytest.approx(chi.statistic, rel=1e-12)
        assert freedom == chi.dof


def test_numbers_are_put_into_the_bins_of_the_baseline() -> None:
    x, y = PAIRS["normal"]
    edges = np.quantile(x, np.arange(11) / 10, method="higher")
    inner = np.histogram(y, edges)[0]
    live = np.array([(y < edges[0]).sum(), *inner, (y > edges[-1]).sum(), 0])
    base = np.array([0, *np.histogram(x, edges)[0], 0, 0])
    p, q = base / base.sum(), live / live.sum()
    due = (
        (np.maximum(q, 1e-4) - np.maximum(p, 1e-4))
        * np.log(np.maximum(q, 1e-4) / np.maximum(p, 1e-4))
    ).sum()
    assert distances.psi(x, y) == pytest.approx(due, rel=1e-9)
    assert distances.psi(Histogram(edges, x), Histogram(edges, y)) == pytest.approx(due, rel=1e-9)
    assert distances.jensen_shannon(x, y) == pytest.approx(jensenshannon(p, q, base=2), rel=1e-9)
    # Missing values are a cell among shares, and left out of an order.
    holed = np.append(y, np.full(200, np.nan))
    assert distances.psi(x, holed) > distances.psi(x, y)
    assert distances.kolmogorov_smirnov(x, holed) == distances.kolmogorov_smirnov(x, y)


def test_bounds_hold_on_sketches(pair: tuple[Floats, Floats]) -> None:
    x, y = pair
    both = np.concatenate([x, y])
    ends = (float(both.min()), float(both.max()))
    edges = np.unique(np.quantile(x, [0.1, 0.4, 0.5, 0.9, 1.0]))
    exact, moved = distances.kolmogorov_smirnov(x, y), distances.wasserstein(x, y)
    thinned = [Quantiles(values, exact_limit=32, level_limit=16) for values in (x, y)]
    for first, second in ([Histogram(edges, x), Histogram(edges, y)], thinned):
        low, high = distances.kolmogorov_smirnov_bounds(first, second)
        assert low - 1e-12 <= exact <= high + 1e-12
        low, high = distances.wasserstein_bounds(first, second, least=ends[0], greatest=ends[1])
        assert low - 1e-9 <= moved <= high + 1e-9
    whole = [Quantiles(values) for values in (x, y)]
    assert distances.kolmogorov_smirnov_bounds(*whole) == pytest.approx((exact, exact))
    assert distances.anderson_darling(*whole) == pytest.approx(distances.anderson_darling(x, y))


def test_thinned_quantiles_come_near_the_statistics_of_squares() -> None:
    x, y = RNG.normal(0, 1, 60_000), RNG.normal(0.05, 1, 60_000)
    rough = [Quantiles(values, exact_limit=4096, level_limit=4096) for values in (x, y)]
    assert not rough[0].exact
    for name in ("cramer_von_mises", "anderson_darling"):
        distance = getattr(distances, name)
        assert distance(*rough) == pytest.approx(distance(x, y), rel=0.05)


def test_nothing_has_no_distance() -> None:
    for name in distances.__all__:
        if name in ("Discrepancy", "maximum_mean_discrepancy"):
            continue
        extra = {"least": 0.0, "greatest": 1.0} if name == "wasserstein_bounds" else {}
        found = getattr(distances, name)([1.0, 2.0], [np.nan] if "psi" not in name else [], **extra)
        first = found[0] if isinstance(found, tuple) else found
        if name not in ("jensen_shannon", "hellinger", "total_variation", "chi_square"):
            assert np.isnan(first), name
        empty = getattr(distances, name)([1.0], [], **extra)
        assert np.isnan(empty[0] if isinstance(empty, tuple) else empty), name


def test_what_cannot_be_compared_is_refused() -> None:
    for baseline, live in (
        (Quantiles([1.0]), [1.0]),
        (Histogram([0, 1]), Histogram([0, 2])),
        (["a"], ["b"]),
        (Frequencies(["a"]), Frequencies(["b"])),
    ):
        with pytest.raises(InputError):
            distances.kolmogorov_smirnov(baseline, live)
    with pytest.raises(InputError, match="Histogram"):
        distances.psi(Quantiles([1.0]), Quantiles([1.0]))
    with pytest.raises(InputError, match="bounds"):
        distances.wasserstein(Histogram([0, 1]), Histogram([0, 1]))
    with pytest.raises(InputError, match="same columns"):
        distances.maximum_mean_discrepancy(np.zeros((5, 2)), np.zeros((5, 3)))


def test_a_changed_correlation_is_found_though_no_margin_changed() -> None:
    before = RNG.multivariate_normal([0, 0, 0], np.eye(3), 400)
    turned = np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
    after = RNG.multivariate_normal([0, 0, 0], turned, 400)
    for column in range(3):
        assert distances.kolmogorov_smirnov_p(before[:, column], after[:, column]) > 0.01
    found = distances.maximum_mean_discrepancy(before, after)
    assert found.p_value <= 0.01
    assert distances.maximum_mean_discrepancy(before, after) == found
    other = distances.maximum_mean_discrepancy(before[:200], before[200:], permutations=99, seed=4)
    assert other.p_value > 0.01
