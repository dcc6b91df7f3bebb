from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.demo import task


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_area_under_curve_is_scikit_learns(pairs: list[tuple[int, bool]]) -> None:
    from sklearn.metrics import roc_auc_score

    scores = np.array([score for score, _ in pairs], dtype=np.float64)
    late = np.array([label for _, label in pairs])
    found = task.area_under_curve(scores, late)
    if late.all() or not late.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(late, scores), abs=1e-12)


def test_no_column_tells_the_month_or_the_outcome() -> None:
    known_later = {"month", "day", "year", "dep_time", "dep_delay", "arr_time", "arr_delay", "late"}
    assert not known_later & set(task.RAW)
    assert len(task.NUMERIC) == 10
    assert len(task.CATEGORICAL) == 6
