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
from sklearn.tree import DecisionTreeClassifier

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
    cuts = [(0, 1000), (1000, 1000), (1000, ROWS)]
    pairs = [(table.slice(a, b - a), frame["late"][a:b]) for a, b in cuts]

    def streamed() -> Iterator[tuple[pa.Table, Any]]:
        yield from pairs

    for beside_each in (pairs, streamed):
        np.testing.assert_array_equal(beside.fit_transform(beside_each), expected)
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
        (["a", "b", "c"] * 1000, "the target is a string: say classes=True"),
        (["a", 1.0, None] * 1000, "y has texts and numbers"),
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
    with pytest.raises(InputError, match="the target is a string: say classes=True"):
        FeatureSet(Schema.infer(frame), [col("count").target_mean()], target="code").fit(frame)
    with pytest.raises(InputError, match='did you mean "late"'):
        FeatureSet(Schema.infer(frame), [col("count")], target="lat")
    with pytest.raises(InputError, match=r"give each its own as a pair \(table, y\)"):
        FeatureSet(Schema.infer(frame), [feature]).fit([frame], frame["late"])
    mixed: list[Any] = [(frame, frame["late"]), frame]
    with pytest.raises(InputError, match="some tables have a y beside them"):
        FeatureSet(Schema.infer(frame), [feature]).fit(mixed)
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


LABELS = np.array(["early", "late", "on time"])


def classes(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    late = frame["late"].to_numpy().astype(np.int64)
    return (late + (frame["count"].to_numpy() > 5)).astype(np.int64)


@pytest.mark.parametrize("smooth", ["auto", 0.0, 12.5])
def test_target_mean_of_classes_is_target_encoder(frame: pd.DataFrame, smooth: Any) -> None:
    codes = classes(frame)
    reference = TargetEncoder(smooth=smooth, target_type="multiclass").fit(frame[["code"]], codes)
    live = pd.DataFrame({"code": ["ZZ", "UA"]})
    feature = col("code").target_mean(smooth=smooth, classes=True)
    for y, names in ((codes, "012"), (LABELS[codes], LABELS), (LABELS[codes].tolist(), LABELS)):
        ours = fitted(frame, feature, y)
        assert ours.get_feature_names_out().tolist() == [f"code_target_mean={n}" for n in names]
        for rows in (frame, live):
            same(ours.transform(rows), reference.transform(rows[["code"]]))
        row = ours.transform_row({"code": "UA"})
        same(row[None], reference.transform(live[["code"]])[1:])
    named = frame.assign(label=LABELS[codes])
    from_column = FeatureSet(Schema.infer(named), [feature], target="label")
    pieces = [named[:1000], named[1000:]]
    np.testing.assert_array_equal(
        from_column.fit_transform(pieces), from_column.fit_transform(named)
    )
    pairs = [(part[["code"]], part["label"]) for part in pieces]
    beside = FeatureSet(Schema.infer(frame), [feature]).fit(pairs)
    same(beside.transform(frame), reference.transform(frame[["code"]]))


def test_weight_of_evidence_of_classes_is_one_against_the_rest(frame: pd.DataFrame) -> None:
    codes = classes(frame)
    several = fitted(frame, col("code").weight_of_evidence(classes=True), LABELS[codes])
    for place in range(3):
        one = fitted(frame, col("code").weight_of_evidence(), codes == place)
        same(several.transform(frame)[:, [place]], one.transform(frame))


def test_bucketize_tree_of_classes_is_a_classifier(frame: pd.DataFrame) -> None:
    codes = classes(frame)
    values = frame[["delay"]].to_numpy()
    tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=20).fit(values, codes)
    inner = np.sort(tree.tree_.threshold[tree.tree_.feature >= 0])
    expected = np.searchsorted(inner, values[:, 0], side="left")
    for y, numbers in ((LABELS[codes], False), (codes, True)):
        feature = col("delay").bucketize_tree(3, min_rows=20, classes=numbers)
        found = fitted(frame, feature, y).transform(frame)[:, 0]
        np.testing.assert_array_equal(found, expected)


def test_buckets_of_rows_that_taught_are_of_other_folds() -> None:
    rng = np.random.default_rng(11)
    noise = pd.DataFrame({"x": rng.random(2_000)})
    y = rng.random(2_000)
    features = FeatureSet(Schema.infer(noise), [col("x").bucketize_tree(13, min_rows=1)])
    learned = features.fit_transform(noise, y)[:, 0]
    served = features.transform(noise)[:, 0]

    def explained(buckets: npt.NDArray[np.float32]) -> float:
        means = pd.Series(y).groupby(buckets).transform("mean")
        return float(np.corrcoef(means, y)[0, 1])

    assert not np.array_equal(learned, served)
    assert explained(served) > explained(learned) + 0.02
