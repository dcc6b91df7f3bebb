"""scikit-learn's own checks of an estimator, and what goes with them."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from tidegate.errors import InputError, StateError
from tidegate.features import FeatureSet, Schema, col, numeric

# What does not apply, and why. docs/features.md has the same list.
NOT_APPLICABLE = {
    "check_do_not_raise_errors_in_init_or_set_params": (
        "what is wrong is an error where it is written, not at the first fit"
    ),
    "check_set_params": "what is wrong is an error where it is written, not at the first fit",
}


def expected_failures(estimator: object) -> dict[str, str]:
    del estimator
    return NOT_APPLICABLE


with warnings.catch_warnings():
    # It is an estimator by contract and not by inheritance: scikit-learn need not be installed.
    warnings.filterwarnings(
        "ignore", message=".*does not inherit from `sklearn.base.BaseEstimator`"
    )
    every_check = parametrize_with_checks(
        [
            FeatureSet(features=[numeric().fill_null("median").standardize()]),
            FeatureSet(features=[numeric(), numeric().is_null()], dtype="float64"),
        ],
        expected_failed_checks=expected_failures,
    )


@every_check  # type: ignore[untyped-decorator]
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_schema_is_learned_where_none_is_given() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "s": ["a", "b"]})
    features = FeatureSet(features=[col("x"), col("s").one_hot()])
    with pytest.raises(StateError, match="no schema yet"):
        features.to_json()
    assert features.fit(frame).transform(frame).shape == (2, 4)
    assert features.feature_names_in_.tolist() == ["x", "s"]
    assert features.schema is None
    live = features.transform(pd.DataFrame({"x": [None], "s": [None]}, dtype=object))
    assert np.isnan(live[0, 0])
    again = pickle.loads(pickle.dumps(features))
    np.testing.assert_array_equal(again.transform(frame), features.transform(frame))
    assert FeatureSet().fit_transform(frame).tolist() == [[1.0], [2.0]]
    with pytest.raises(InputError, match="learns it from one table"):
        FeatureSet(features=[col("x")]).fit([frame])


def test_a_matrix_has_the_schemas_columns() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "z": [3.0, 4.0]})
    features = FeatureSet(Schema.infer(frame), [col("z")]).fit(frame.to_numpy())
    assert features.transform([[9.0, 5.0]]).tolist() == [[5.0]]
    with pytest.raises(ValueError, match="X has 1 features, but FeatureSet is expecting 2"):
        features.transform([[9.0]])
    with pytest.raises(InputError, match="matrix of 3 columns where the schema has 2"):
        features.fit(np.zeros((2, 3)))


def test_names_are_known_before_a_fit_where_they_can_be() -> None:
    schema = Schema.infer(pd.DataFrame({"x": [1.0], "s": ["a"]}))
    small = col("x").min_max().alias("small")
    known = FeatureSet(schema, [col("x").cyclical(7), col("s").hash_vector(2), small])
    names = ["x_sin", "x_cos", "s_hash_vector[0]", "s_hash_vector[1]", "small"]
    assert known.get_feature_names_out().tolist() == names
    with pytest.raises(StateError, match="not fitted"):
        FeatureSet(schema, [col("s").one_hot()]).get_feature_names_out()


def test_parameters_inside_of_expressions_have_paths() -> None:
    frame = pd.DataFrame({"s": ["a", "b", "b"], "k": ["x", "y", "y"]})
    cross = col("s").group_rare(min_count=2).cross(col("k"), col("s"))
    features = FeatureSet(Schema.infer(frame), [cross.one_hot(min_count=1), col("s").hash(8)])
    params = features.get_params()
    assert {name: params[name] for name in params if name.startswith("features__")} == {
        "features__0__input__inputs__0__min_count": 2,
        "features__0__min_count": 1,
        "features__1__buckets": 8,
    }
    written = list(features.features or [])
    features.set_params(features__0__input__inputs__0__min_count=5, features__1__buckets=4)
    assert "group_rare(min_count=5" in repr((features.features or [])[0])
    assert "buckets=8" in repr(written[1])
    changed = clone(features).set_params(features__0__unknown=False)
    assert "unknown=False" in repr(changed.features)
    for path in ("features__9__buckets", "features__1__input__x__y", "features__x"):
        with pytest.raises(InputError, match="leads nowhere"):
            features.set_params(**{path: 1})
    with pytest.raises(InputError, match="0 buckets"):
        features.set_params(features__1__buckets=0)


def test_it_stands_in_a_column_transformer() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, None], "s": ["a", "b", "a"], "left": [1, 2, 3]})
    transformer = ColumnTransformer(
        [
            ("numbers", FeatureSet(features=[numeric().fill_null("mean")]), ["x"]),
            ("codes", FeatureSet(features=[col("s").one_hot(unknown=False)]), ["s"]),
        ],
        remainder="passthrough",
    )
    found = transformer.fit_transform(frame)
    assert found.tolist() == [[1, 1, 0, 1], [2, 0, 1, 2], [1.5, 1, 0, 3]]
    names = ["numbers__x", "codes__s=a", "codes__s=b", "remainder__left"]
    assert transformer.get_feature_names_out().tolist() == names


def test_matrices_and_what_is_none() -> None:
    matrix = np.array([[1.0, np.nan], [2.0, 4.0]])
    assert repr(Schema.infer(matrix)) == "Schema(x0: float64, x1: float64?)"
    structured = np.array([(1, 2.0)], dtype=[("a", "i8"), ("b", "f8")])
    with pytest.raises(InputError, match=r"structured array .* pass it as a table"):
        FeatureSet(features=[col("a")]).fit(structured)
    column: Any = pd.Series([1, 2])
    with pytest.raises(InputError, match="is no table with columns"):
        Schema.infer(column)
