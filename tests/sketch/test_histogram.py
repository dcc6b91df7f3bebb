from __future__ import annotations

import numpy as np
import pytest

from tidegate.errors import InputError
from tidegate.sketch import Histogram


@pytest.mark.parametrize("edges", [[0.0, 1.0], [-2.0, -1.0, 0.0, 0.5, 2.0], [0.0, 1.0, 1.0]])
def test_bins_are_numpys(edges: list[float]) -> None:
    values = np.round(np.random.default_rng(3).normal(size=3001), 1)
    histogram = Histogram(edges, values)
    assert np.array_equal(histogram.counts, np.histogram(values, edges)[0])
    assert histogram.below == (values < edges[0]).sum()
    assert histogram.above == (values > edges[-1]).sum()


@pytest.mark.parametrize("edges", [[1.0], [1.0, 0.0], [0.0, np.nan], [0.0, 0.0, 1.0], [0, np.inf]])
def test_bad_edges_are_refused(edges: list[float]) -> None:
    with pytest.raises(InputError):
        Histogram(edges)


def test_other_edges_do_not_merge() -> None:
    with pytest.raises(InputError, match="different edges"):
        Histogram([0, 1]).merge(Histogram([0, 2]))
