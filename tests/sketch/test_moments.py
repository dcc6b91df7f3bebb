from __future__ import annotations

import numpy as np
import pytest

from tidegate.errors import InputError
from tidegate.sketch import Moments


def test_figures_are_numpys() -> None:
    values = np.random.default_rng(1).lognormal(2, 1, 10_000)
    moments = Moments(values)
    assert moments.mean == pytest.approx(values.mean(), rel=1e-13)
    assert moments.variance(1) == pytest.approx(values.var(ddof=1), rel=1e-13)
    assert moments.std() == pytest.approx(values.std(), rel=1e-13)
    assert (moments.min, moments.max) == (values.min(), values.max())


def test_missing_and_infinite_enter_no_figure() -> None:
    moments = Moments([1.0, np.nan, 3.0, np.inf, -np.inf])
    assert (moments.count, moments.missing, moments.infinite) == (2, 1, 2)
    assert (moments.mean, moments.max) == (2.0, 3.0)


def test_nothing_is_nan() -> None:
    moments = Moments()
    assert np.isnan([moments.mean, moments.variance(), moments.min, moments.max]).all()


@pytest.mark.parametrize(
    "values",
    [
        np.arange(12, dtype=np.int64).reshape(3, 4).T,
        np.arange(12, dtype=np.float32),
        np.arange(24.0)[::2] / 2,
        [True] * 3 + list(range(9)),
    ],
)
def test_takes_any_numbers(values: object) -> None:
    assert Moments(values).count == 12  # type: ignore[arg-type]


def test_refuses_text() -> None:
    with pytest.raises(InputError, match="convert them to float64"):
        Moments(["1"])
