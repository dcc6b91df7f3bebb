from __future__ import annotations

import numpy as np
import pytest

from tidegate.errors import InputError
from tidegate.sketch import Quantiles

SHARES = np.linspace(0, 1, 41)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 997])
def test_exact_quantiles_are_numpys(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size)
    found = Quantiles(values).quantile(list(SHARES))
    assert np.array_equal(found, np.quantile(values, SHARES))


def test_ranks_stay_within_the_stated_error() -> None:
    values = np.random.default_rng(2).exponential(size=200_000)
    quantiles = Quantiles(values, exact_limit=10_000, level_limit=1000)
    assert not quantiles.exact
    assert 0 < quantiles.rank_error < 0.01
    ranks = np.searchsorted(np.sort(values), quantiles.quantile(list(SHARES))) / len(values)
    assert np.abs(ranks - SHARES).max() <= quantiles.rank_error + 1e-5


def test_infinite_values_are_counted_apart() -> None:
    quantiles = Quantiles([np.inf, 1.0, -np.inf, np.inf, np.nan])
    assert (quantiles.count, quantiles.missing, quantiles.infinite) == (1, 1, (1, 2))
    assert quantiles.quantile(0.3) == 1.0


def test_nothing_is_nan() -> None:
    assert np.isnan(Quantiles().quantile(0.5))
    assert np.isnan(Quantiles().quantile([0.1, 0.2])).all()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="not percentages"):
        Quantiles([1.0]).quantile(50)
    with pytest.raises(InputError):
        Quantiles(exact_limit=10_000_000)
