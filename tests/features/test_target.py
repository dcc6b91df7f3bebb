"""Expressions that learn from a target: how it reaches them, and scikit-learn's numbers."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder

from tidegate.errors import InputError
from tidegate.features import Expr, FeatureSet, Schema, col

ROWS = 3_000


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    code = rng.choice(["UA", "AA", "DL", "a longer name", ""], ROWS, p=[0.5, 0.3, 0.1, 0.09, 0.01])
    late = rng.random(ROWS) < np.where(code == "UA", 0.7, 0.2)
    return pd.DataFrame(
        {
            "code": code,
            "count": rng.integers(0, 9, ROWS),
            "late": late,
            "delay": rng.gamma(2.0, 10.0, ROWS) + 1e4 * late,
            "constant": 0.1,
        }
    )


def fitted(frame: pd.DataFrame, feature: Expr, y: object = None, **options: Any) -> FeatureSet:
    return FeatureSet(Schema.infer(frame), [feature], **options).fit(frame, y)


def same(left: npt.NDArray[np.float32], right: Any) -> None:
    expected = np.asarray(right, dtype=np.float32).reshape(left.shape)
    np.testing.assert_allclose(left, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("smooth", ["auto", 0.0, 12.5])
@pytest.mark.parametrize("target", ["late", "delay", "constant"])
@pytest.mark.parametrize("column", ["code", "count"])
def test_target_mean_is_target_encoder(
    frame: pd.DataFrame, column: str, target: str, smooth: Any
) -> None:
    kind = "binary" if target == "late" else "continuous"
    reference = TargetEncoder(smooth=smooth, target_type=kind).fit(frame[[column]], frame[target])
    ours = fitted(frame, col(column).target_mean(smooth=smooth), frame[target])
    same(ours.transform(frame), reference.transform(frame[[column]]))
    live = pd.DataFrame({"code": ["ZZ", "UA"], "count": [99, 3]})
    same(ours.transform(live), reference.transform(live[[column]]))


def test_weight_of_evidence_is_its_formula(frame: pd.DataFrame) -> None:
    for regularization in (0.5, 1.0):
        feature = col("code").weight_of_evidence(regularization=regularization)
        counts = frame.groupby("code")["late"].agg(["sum", "count"])
        ones, total = frame["late"].sum(), len(frame)
        share = (counts["sum"] + regularization) / (ones + 2 * regularization)
        other = (counts["count"] - counts["sum"] + regularization) / (
            total - ones + 2 * regularization
        )
        weights = pd.Series(np.log(share / other), counts.index)
        expected = weights.loc[frame["code"]]
        ours = fitted(frame, feature, frame["late"])
        same(ours.transform(frame), expected)
        assert ours.transform(pd.DataFrame({"code": ["ZZ"]})).tolist() == [[0.0]]
    with pytest.raises(InputError, match=r"row \d+: the target is .* where 0 or 1 is due"):
        fitted(frame, col("code").weight_of_evidence(), frame["delay"])


def test_fit_transform_does_not_leak(frame: pd.DataFrame) -> None:
    noise = frame.assign(id=[f"row {row // 2}" for row in range(ROWS)])
    y = np.random.default_rng(5).random(ROWS)
    features = FeatureSet(Schema.infer(noise), [col("id").target_mean(smooth=0)])
    learned = features.fit_transform(noise, y)[:, 0]
    served = features.transform(noise)[:, 0]
    assert np.corrcoef(served, y)[0, 1] > 0.6
    assert abs(np.corrcoef(learned, y)[0, 1]) < 0.1
    same(features.fit(noise, y).transform(noise), served)
    other = FeatureSet(Schema.infer(noise), [col("id").target_mean(smooth=0, seed=1)])
    assert not np.array_equal(other.fit_transform(noise, y)[:, 0], learned)


def test_a_column_and_y_and_pieces_are_one(frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    schema = Schema.infer(table)
    feature = [col("code").target_mean(), col("count").target_mean().standardize()]
    named = FeatureSet(schema, feature, target="late")
    expected = named.fit_transform(table)
    state = named.to_json()
    assert named.input_schema.names == ["code", "count"]
    assert named.transform_row({"code": "UA", "count": 3}).shape == (2,)
    pieces = [table.slice(0, 1000), table.slice(1000, 0), table.slice(1000)]

    def anew() -> Iterator[pa.Table]:
        yield from pieces

    for data in (pieces, anew):
        np.testing.assert_array_equal(named.fit_transform(data), expected)
        assert named.to_json() == state
    beside = FeatureSet(schema, feature)
    for y in (frame["late"], table["late"], pl.Series(frame["late"]), frame["late"].tolist()):
        np.testing.assert_array_equal(beside.fit_transform(table, y), expected)
    # What is given is taken before what is named.
    turned = named.fit(table, ~frame["late"]).transform(table)[:, 0]
    served = named.fit(table).transform(table)[:, 0]
    np.testing.assert_allclose(turned, 1 - served, atol=1e-6)


def test_state_keeps_the_target_where_it_is_due(frame: pd.DataFrame) -> None:
    named = FeatureSet(Schema.infer(frame), [col("code").target_mean()], target="late")
    assert FeatureSet.from_json(named.to_json()).target == "late"
    assert clone(named).get_params()["target"] == "late"
    named.fit(frame)
    served = named.transform(frame)
    for again in (pickle.loads(pickle.dumps(named)), FeatureSet.from_json(named.to_json())):
        np.testing.assert_array_equal(again.transform(frame), served)
        # Read from state, a row is one like any other.
        np.testing.assert_array_equal(again._fitted().transform(frame, learned=0), served)
    assert FeatureSet.from_json(named.to_json()).target is None
    assert "late" not in named.to_json()


def test_missing_targets_teach_nothing(frame: pd.DataFrame) -> None:
    head = frame.head(500)
    expected = fitted(head, col("code").target_mean(), head["delay"])
    y = frame["delay"].where(frame.index < 500)
    for given in (y, pl.Series(y.to_list(), dtype=pl.Float64), pa.array(y, from_pandas=True)):
        assert fitted(frame, col("code").target_mean(), given).transform(head).tolist() == (
            expected.transform(head).tolist()
        )
    with pytest.raises(InputError, match=r"target_mean\(.*only missing targets"):
        fitted(frame, col("code").target_mean(), [None] * ROWS)


def test_bad_targets_are_refused(frame: pd.DataFrame) -> None:
    feature = col("code").target_mean()
    cases: list[tuple[object, str]] = [
        ([1.0], "y has 1 values for 3000 rows"),
        (np.ones((ROWS, 2)), r"shape \(3000, 2\)"),
        (["a", "b", "c"] * 1000, "3 different texts"),
        (["a", 1.0, None] * 1000, "1 different texts"),
        ([np.inf] * ROWS, '"y" is infinite in row 0'),
        ([object()] * ROWS, "object in y"),
    ]
    for y, message in cases:
        with pytest.raises(InputError, match=message):
            fitted(frame, feature, y)
    with pytest.raises(InputError, match=r"target_mean\(.*learns from a target: pass y"):
        fitted(frame, feature)
    with pytest.raises(InputError, match='"late" is the target and cannot be a feature'):
        FeatureSet(Schema.infer(frame), [col("late")], target="late")
    with pytest.raises(InputError, match='"code" is string: a target is'):
        FeatureSet(Schema.infer(frame), [col("count")], target="code")
    with pytest.raises(InputError, match='did you mean "late"'):
        FeatureSet(Schema.infer(frame), [col("count")], target="lat")
    with pytest.raises(InputError, match="y beside several tables"):
        FeatureSet(Schema.infer(frame), [feature]).fit([frame], frame["late"])
    with pytest.raises(InputError, match="can be read once"):
        FeatureSet(Schema.infer(frame), [feature], target="late").fit_transform(iter([frame]))
    # Nothing learns from it, so it is not looked at.
    assert fitted(frame, col("count"), object()).transform(frame).shape == (ROWS, 1)


def test_it_stands_in_a_pipeline_and_in_a_search(frame: pd.DataFrame) -> None:
    features = FeatureSet(Schema.infer(frame), [col("code").target_mean()])
    pipeline = make_pipeline(features, LogisticRegression())
    labels = np.where(frame["late"], "late", "on time")
    assert pipeline.fit(frame, labels).score(frame, labels) > 0.6
    search = GridSearchCV(
        pipeline,
        {
            "featureset__features__0__smooth": ["auto", 0, 5],
            "featureset__features": [features.features, [col("count").target_mean()]],
        },
    )
    search.fit(frame, labels)
    assert search.best_score_ > 0.6
