"""How far two samples are apart.

Each function takes a baseline and a live sample. A sample is raw values (numbers or texts; NumPy, Arrow,
lists), or a sketch: `Quantiles`, a `Histogram`, `Frequencies`. Distances over the values themselves equal SciPy's; those
over shares put numbers into the quantile bins of the baseline first, as `docs/drift.md` defines them,
and count texts one by one. A missing value is left out of an order, and is a cell of its own among shares.

None of these figures is a test but the two that return a chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate import _core
from tidegate.errors import InputError
from tidegate.sketch import Frequencies, Histogram, Quantiles
from tidegate.sketch.summary import Numbers, TextValues, floats, is_numbers, matrix

if TYPE_CHECKING:
    from typing import TypeAlias

    Sample: TypeAlias = Numbers | TextValues | Quantiles | Histogram | Frequencies

__all__ = [
    "Discrepancy",
    "anderson_darling",
    "chi_square",
    "cramer_von_mises",
    "hellinger",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "kolmogorov_smirnov_bounds",
    "kolmogorov_smirnov_p",
    "maximum_mean_discrepancy",
    "psi",
    "total_variation",
    "wasserstein",
    "wasserstein_bounds",
]


def _sketched(baseline: Any, live: Any) -> _core.Cells | None:
    if isinstance(baseline, Histogram) and isinstance(live, Histogram):
        return _core.Cells.of_histograms(baseline._native, live._native)
    if isinstance(baseline, Frequencies) and isinstance(live, Frequencies):
        return _core.Cells.of_frequencies(baseline._native, live._native)
    if isinstance(baseline, Quantiles) and isinstance(live, Quantiles):
        return _core.Cells.of_quantiles(baseline._native, live._native)
    for sample in (baseline, live):
        if isinstance(sample, Quantiles | Histogram | Frequencies):
            raise InputError(
                f"{type(baseline).__name__} against {type(live).__name__}: "
                "pass values on both sides, or the same sketch"
            )
    return None


def _ordered(baseline: Any, live: Any) -> _core.Cells:
    sketched = _sketched(baseline, live)
    if sketched is not None:
        return sketched
    return _core.Cells.of_values(floats(baseline), floats(live))


def _shared(baseline: Any, live: Any, bins: int | None) -> _core.Cells:
    if isinstance(baseline, Quantiles) or isinstance(live, Quantiles):
        raise InputError("a distance of shares over Quantiles: pass a Histogram, or the values")
    sketched = _sketched(baseline, live)
    if sketched is not None:
        return sketched
    if is_numbers(baseline) and is_numbers(live):
        return _core.Cells.of_bins(floats(baseline), floats(live), bins)
    counted = Frequencies(baseline)._native, Frequencies(live)._native
    return _core.Cells.of_frequencies(*counted)


def _figure(found: float | None) -> float:
    return float("nan") if found is None else found


def psi(baseline: Sample, live: Sample, *, bins: int | None = None) -> float:
    """The population stability index, with shares of at least 0.0001.

    Args:
        baseline: the sample that things were like.
        live: the sample that things are like.
        bins: quantile bins of numbers; 10 when not given.

    Returns:
        0 for equal shares, without an upper bound; NaN when a sample is empty.

    Raises:
        InputError: samples that cannot be compared.

    Example:
        >>> round(psi(["a"] * 50 + ["b"] * 50, ["a"] * 20 + ["b"] * 80), 4)
        0.4159

    Source:
        `docs/drift.md`.
    """
    return _figure(_shared(baseline, live, bins).distance("psi"))


def jensen_shannon(baseline: Sample, live: Sample, *, bins: int | None = None) -> float:
    """The Jensen–Shannon distance in base 2, between 0 and 1; NaN when a sample is empty.

    Args:
        baseline: the sample that things were like.
        live: the sample that things are like.
        bins: quantile bins of numbers; 10 when not given.

    Example:
        >>> round(jensen_shannon(["a"] * 50 + ["b"] * 50, ["a"] * 20 + ["b"] * 80), 4)
        0.2704

    Source:
        `scipy.spatial.distance.jensenshannon(p, q, base=2)`.
    """
    return _figure(_shared(baseline, live, bins).distance("jensen_shannon"))


def hellinger(baseline: Sample, live: Sample, *, bins: int | None = None) -> float:
    """The Hellinger distance of shares, between 0 and 1; NaN when a sample is empty.

    Args:
        baseline: the sample that things were like.
        live: the sample that things are like.
        bins: quantile bins of numbers; 10 when not given.

    Example:
        >>> round(hellinger(["a"] * 50 + ["b"] * 50, ["a"] * 20 + ["b"] * 80), 4)
        0.2265

    Source:
        Hellinger 1909; `√(½ Σ (√p − √q)²)`.
    """
    return _figure(_shared(baseline, live, bins).distance("hellinger"))


def total_variation(baseline: Sample, live: Sample, *, bins: int | None = None) -> float:
    """The share of rows that would have to change cells; NaN when a sample is empty.

    Args:
        baseline: the sample that things were like.
        live: the sample that things are like.
        bins: quantile bins of numbers; 10 when not given.

    Example:
        >>> round(total_variation(["a"] * 50 + ["b"] * 50, ["a"] * 20 + ["b"] * 80), 4)
        0.3

    Source:
        `½ Σ |p − q|`.
    """
    return _figure(_shared(baseline, live, bins).distance("total_variation"))


def chi_square(baseline: Sample, live: Sample, *, bins: int | None = None) -> tuple[float, int]:
    """Pearson's statistic of the two samples' counts, and its degrees of freedom.

    Args:
        baseline: the sample that things were like.
        live: the sample that things are like.
        bins: quantile bins of numbers; 10 when not given.

    Returns:
        The statistic, NaN when a sample is empty, and one less than the cells in use.

    Example:
        >>> statistic, freedom = chi_square(["a"] * 50 + ["b"] * 50, ["a"] * 20 + ["b"] * 80)
        >>> round(statistic, 4), freedom
        (19.7802, 1)

    Source:
        `scipy.stats.chi2_contingency(counts, correction=False)`.
    """
    cells = _shared(baseline, live, bins)
    return _figure(cells.distance("chi_square")), cells.degrees_of_freedom or 0


def kolmogorov_smirnov(baseline: Sample, live: Sample) -> float:
    """The greatest difference of the cumulated shares; NaN when a sample is empty.

    Over histograms it is at most the distance of the values, and over thinned `Quantiles` it is off by at most
    their rank errors; `kolmogorov_smirnov_bounds` says how far.

    Example:
        >>> kolmogorov_smirnov([1, 2, 3, 4], [3, 4, 5, 6])
        0.5

    Source:
        `scipy.stats.ks_2samp`.
    """
    return _figure(_ordered(baseline, live).distance("kolmogorov_smirnov"))


def kolmogorov_smirnov_p(baseline: Sample, live: Sample) -> float:
    """The chance of a Kolmogorov–Smirnov distance as great without drift, by Kolmogorov's limit.

    It is for one look. Who looks after every window and alarms below 0.05 alarms in vain sooner or later.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> kolmogorov_smirnov_p(rng.normal(0, 1, 500), rng.normal(0.5, 1, 500)) < 0.001
        True

    Source:
        `scipy.stats.kstwobign`.
    """
    return _figure(_ordered(baseline, live).kolmogorov_p())


def kolmogorov_smirnov_bounds(baseline: Sample, live: Sample) -> tuple[float, float]:
    """Between which figures the distance of the raw values lies; NaN when a sample is empty.

    Example:
        >>> from tidegate.sketch import Histogram
        >>> edges = [0, 1, 2]
        >>> least, most = kolmogorov_smirnov_bounds(Histogram(edges, [0.1, 0.2, 1.5]), Histogram(edges, [0.3, 1.2, 1.7]))
        >>> round(least, 3), round(most, 3)
        (0.333, 0.667)

    Source:
        Inside of a bin the difference moves by at most the bin's share.
    """
    found = _ordered(baseline, live).bounds("kolmogorov_smirnov", 0.0, 1.0)
    return (float("nan"), float("nan")) if found is None else found


def wasserstein(baseline: Sample, live: Sample) -> float:
    """How far values have to be moved on average, in their units; NaN when a sample is empty.

    Args:
        baseline: values, or `Quantiles`.
        live: the same.

    Raises:
        InputError: histograms, which do not know where in a bin values lie: see `wasserstein_bounds`.

    Example:
        >>> wasserstein([0, 1, 3], [5, 6, 8])
        5.0

    Source:
        `scipy.stats.wasserstein_distance`.
    """
    return _figure(_ordered(baseline, live).distance("wasserstein"))


def wasserstein_bounds(
    baseline: Sample, live: Sample, *, least: float, greatest: float
) -> tuple[float, float]:
    """Between which figures the Wasserstein distance of the raw values lies; NaN without values.

    Args:
        baseline: a histogram, or `Quantiles`.
        live: the same.
        least: the least value of both samples, such as `Moments` knows.
        greatest: the greatest value of both.

    Example:
        >>> from tidegate.sketch import Histogram
        >>> edges = [0, 1, 2, 3]
        >>> before, after = Histogram(edges, [0.1, 0.2]), Histogram(edges, [2.3, 2.6])
        >>> wasserstein_bounds(before, after, least=0.0, greatest=3.0)
        (1.0, 3.0)

    Source:
        The integral of the least and of the greatest difference within each bin.
    """
    found = _ordered(baseline, live).bounds("wasserstein", least, greatest)
    return (float("nan"), float("nan")) if found is None else found


def anderson_darling(baseline: Sample, live: Sample) -> float:
    """The standardised Anderson–Darling statistic, which weighs the tails most.

    Without drift its mean is 0 and its standard deviation 1. NaN when a sample is empty, when all
    values are one, or with fewer than four of them.

    Example:
        >>> round(anderson_darling([1, 2, 2, 3.5, 7], [2, 3, 3.5, 8, 9, 9]), 6)
        1.270265

    Source:
        Scholz and Stephens 1987; `scipy.stats.anderson_ksamp([x, y]).statistic`.
    """
    return _figure(_ordered(baseline, live).distance("anderson_darling"))


def cramer_von_mises(baseline: Sample, live: Sample) -> float:
    """The two-sample Cramér–von Mises statistic; about 1/6 without drift, NaN without values.

    Example:
        >>> round(cramer_von_mises([1, 2, 2, 3.5, 7], [2, 3, 3.5, 8, 9, 9]), 6)
        0.275

    Source:
        Anderson 1962; `scipy.stats.cramervonmises_2samp(x, y).statistic`.
    """
    return _figure(_ordered(baseline, live).distance("cramer_von_mises"))


@dataclass(frozen=True)
class Discrepancy:
    """What a comparison of rows found.

    Attributes:
        statistic: how far the most telling kernel is above what shuffles give, in standard deviations.
        p_value: the chance of being as far apart without drift.
    """

    statistic: float
    p_value: float


def maximum_mean_discrepancy(
    baseline: Numbers,
    live: Numbers,
    *,
    permutations: int | None = None,
    features: int | None = None,
    seed: int | None = None,
) -> Discrepancy:
    """Compares samples of whole rows, so that a changed correlation is found though no margin changed.

    A kernel two-sample test with random features and a permutation p-value, whose level is exact. Columns are
    ranked first, so units and outliers do not matter; NaN is missing, and where values are missing is compared,
    too. `docs/drift.md` states its power. `tidegate.sketch.Reservoir` samples rows from a stream.

    Args:
        baseline: rows of numbers, `[rows, columns]`.
        live: rows of the same columns; both together at most 20,000.
        permutations: shuffles; the least p-value is one over one more. 499 when not given.
        features: random features; 192 when not given.
        seed: where the draws begin; 0 when not given.

    Raises:
        InputError: rows of different width, fewer than two, or too many.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> before = rng.multivariate_normal([0, 0], [[1, 0.0], [0.0, 1]], 500)
        >>> after = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 500)
        >>> maximum_mean_discrepancy(before, after).p_value
        0.002

    Source:
        Gretton and others, "A kernel two-sample test", 2012; Rahimi and Recht, "Random features for
        large-scale kernel machines", 2007.
    """
    rows = [np.ascontiguousarray(matrix(sample)) for sample in (baseline, live)]
    found = _core.maximum_mean_discrepancy(rows[0], rows[1], features, permutations, seed)
    return Discrepancy(*found)
