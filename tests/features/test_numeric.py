"""Numbers: NumPy, SciPy, scikit-learn and polars are the references."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import (
    MaxAbsScaler,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tidegate.errors import InputError
from tidegate.features import (
    Expr,
    FeatureSet,
    Schema,
    col,
    polynomial,
    row_all,
    row_any,
    row_count_null,
    row_max,
    row_mean,
    row_median,
    row_min,
    row_std,
    row_sum,
    when,
)

ROWS = 5_000
TOLERANCE = 1e-6
COLUMNS = ["normal", "holes", "heavy", "count", "constant"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    heavy = rng.lognormal(3.0, 2.0, ROWS)
    return pd.DataFrame(
        {
            "normal": rng.normal(-2.0, 5.0, ROWS),
            "holes": np.where(rng.random(ROWS) < 0.2, np.nan, rng.gamma(2.0, 10.0, ROWS)),
            "heavy": heavy,
            "count": rng.integers(0, 9, ROWS).astype(float),
            "constant": np.full(ROWS, 0.1),
        }
    )


def ours(frame: pd.DataFrame, feature: Expr) -> npt.NDArray[np.float32]:
    schema = Schema.infer(frame, nullable=True)
    return FeatureSet(schema, [feature.alias("out")]).fit_transform(frame)


def same(left: npt.NDArray[np.float32], right: Any, tolerance: float = TOLERANCE) -> None:
    expected = np.asarray(right, dtype=np.float64).reshape(left.shape)
    expected = np.where(np.isfinite(expected), expected, np.nan).astype(np.float32)
    np.testing.assert_allclose(left, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("column", COLUMNS)
def test_scalers(frame: pd.DataFrame, column: str) -> None:
    values = frame[[column]]
    same(ours(frame, col(column).max_abs()), MaxAbsScaler().fit_transform(values))
    same(ours(frame, col(column).robust_scale()), RobustScaler().fit_transform(values))
    wide = RobustScaler(quantile_range=(5.0, 90.0)).fit_transform(values)
    same(ours(frame, col(column).robust_scale(0.05, 0.9)), wide)
    low, high = np.nanquantile(values, [0.01, 0.99])
    same(ours(frame, col(column).clip_quantiles()), np.clip(values, low, high))


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("quantiles", [1, 10, 1000, 10_000])
@pytest.mark.parametrize("column", COLUMNS)
def test_quantile_transform(
    frame: pd.DataFrame, column: str, quantiles: int, distribution: Any
) -> None:
    reference = QuantileTransformer(
        n_quantiles=min(quantiles, ROWS), output_distribution=distribution, subsample=None
    ).fit(frame[[column]].to_numpy())
    features = FeatureSet(
        Schema.infer(frame, nullable=True),
        [col(column).quantile_transform(distribution, quantiles=quantiles)],
    ).fit(frame)
    same(features.transform(frame), reference.transform(frame[[column]].to_numpy()))
    beyond = pd.DataFrame({column: [-1e9, 1e9, 0.1, np.nan, 3.0]})
    same(features.transform(beyond), reference.transform(beyond.to_numpy()))


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("column", COLUMNS)
def test_power_transform(frame: pd.DataFrame, column: str, standardize: bool) -> None:
    reference = PowerTransformer(standardize=standardize)
    expected = reference.fit_transform(frame[[column]].to_numpy())
    # Both stop within 1.5e-8 of the most likely exponent, so the last digits differ.
    same(ours(frame, col(column).power_transform(standardize=standardize)), expected, 1e-5)


@pytest.mark.parametrize("column", ["holes", "heavy"])
def test_box_cox(frame: pd.DataFrame, column: str) -> None:
    reference = PowerTransformer(method="box-cox").fit(frame[[column]].to_numpy())
    expected = reference.transform(frame[[column]].to_numpy())
    same(ours(frame, col(column).power_transform("box_cox")), expected, 1e-5)
    features = FeatureSet(
        Schema.infer(frame, nullable=True), [col(column).power_transform("box_cox")]
    ).fit(frame)
    outside = features.transform(pd.DataFrame({column: [0.0, -1.0]}))
    assert np.isnan(outside).all()
    with pytest.raises(InputError, match="box_cox takes numbers above 0 but learns from -"):
        ours(frame, col("normal").power_transform("box_cox"))


@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=60, unique=True),
    st.sampled_from(["max_abs", "robust_scale", "quantile_transform"]),
)
@settings(max_examples=60, deadline=None)
def test_scalers_of_any_values(values: list[float], method: str) -> None:
    references: dict[str, Any] = {
        "max_abs": MaxAbsScaler(),
        "robust_scale": RobustScaler(),
        "quantile_transform": QuantileTransformer(n_quantiles=len(values)),
    }
    frame = pd.DataFrame({"x": values})
    expected = references[method].fit_transform(frame.to_numpy())
    same(ours(frame, getattr(col("x"), method)()), expected)


@pytest.mark.parametrize(
    ("feature", "reference"),
    [
        (Expr.log, np.log),
        (lambda x: x.log(2), np.log2),
        (lambda x: x.log(10), np.log10),
        (lambda x: x.log(7), lambda x: np.log(x) / np.log(7)),
        (Expr.log1p, np.log1p),
        (Expr.exp, np.exp),
        (Expr.expm1, np.expm1),
        (Expr.sqrt, np.sqrt),
        (abs, np.abs),
        (Expr.sign, np.sign),
        (Expr.floor, np.floor),
        (Expr.ceil, np.ceil),
        (Expr.round, np.round),
        (lambda x: x.round(2), lambda x: np.round(x, 2)),
        (lambda x: x.round(-1), lambda x: np.round(x, -1)),
    ],
)
@pytest.mark.parametrize("column", COLUMNS)
def test_functions_agree_with_numpy(
    frame: pd.DataFrame,
    column: str,
    feature: Callable[[Expr], Expr],
    reference: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
) -> None:
    with np.errstate(all="ignore"):
        expected = reference(frame[column].to_numpy())
    expected = np.where(np.abs(expected) > np.finfo(np.float32).max, np.nan, expected)
    same(ours(frame, feature(col(column))), expected)


def test_halves_round_to_even() -> None:
    frame = pd.DataFrame({"x": [0.5, 1.5, 2.5, -0.5, -1.5, 0.125, 2.675, 1e300]})
    same(ours(frame.iloc[:-1], col("x").round()), np.round(frame["x"][:-1]))
    same(ours(frame.iloc[:-1], col("x").round(2)), np.round(frame["x"][:-1], 2))
    assert np.isnan(ours(frame, col("x").round(20))[-1]), "1e300 does not fit 32 bits"


@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(-1e6, 1e6), st.integers(-9, 9).map(float)),
            st.one_of(st.floats(-1e3, 1e3), st.integers(-9, 9).map(float)),
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([operator.mod, operator.floordiv, operator.pow]),
)
@settings(max_examples=150, deadline=None)
def test_division_and_powers_agree_with_numpy(
    pairs: list[tuple[float, float]], sign: Callable[[Any, Any], Any]
) -> None:
    frame = pd.DataFrame(pairs, columns=["x", "y"])
    x, y = frame["x"].to_numpy(), frame["y"].to_numpy()
    with np.errstate(all="ignore"):
        expected = sign(x, y)
    expected = np.where(np.abs(expected) > np.finfo(np.float32).max, np.nan, expected)
    same(ours(frame, sign(col("x"), col("y"))), expected)


def test_constants_on_the_left(frame: pd.DataFrame) -> None:
    x = frame["count"].to_numpy()
    with np.errstate(all="ignore"):
        same(ours(frame, 2 ** col("count")), 2**x)
        same(ours(frame, 7 % col("count")), 7 % x)
        same(ours(frame, 7 // col("count")), 7 // x)
    assert str(-(col("x") ** 2) % 3 // 4) == '((-(col("x") ** 2) % 3) // 4)'


def test_safe_divide(frame: pd.DataFrame) -> None:
    x, n = frame["holes"].to_numpy(), frame["count"].to_numpy()
    with np.errstate(all="ignore"):
        expected = np.where((n == 0) & ~np.isnan(x), -1.0, x / n)
    same(ours(frame, col("holes").safe_divide(col("count"), -1)), expected)
    same(ours(frame, col("count").safe_divide(0)), np.zeros(ROWS))


@pytest.mark.parametrize(
    ("feature", "reference"),
    [
        (row_sum, lambda t: t.sum(axis=1, min_count=1)),
        (row_mean, lambda t: t.mean(axis=1)),
        (row_min, lambda t: t.min(axis=1)),
        (row_max, lambda t: t.max(axis=1)),
        (row_median, lambda t: t.median(axis=1)),
        (row_std, lambda t: t.std(axis=1)),
        (lambda *x: row_std(*x, ddof=0), lambda t: t.std(axis=1, ddof=0)),
        (row_count_null, lambda t: t.isna().sum(axis=1)),
    ],
)
@pytest.mark.parametrize("width", [1, 2, 3, 40])
def test_rows_agree_with_pandas(
    feature: Callable[..., Expr],
    reference: Callable[[pd.DataFrame], Any],
    width: int,
) -> None:
    rng = np.random.default_rng(width)
    values = rng.normal(0.0, 100.0, (700, width))
    values[rng.random(values.shape) < 0.3] = np.nan
    frame = pd.DataFrame(values, columns=[f"c{i}" for i in range(width)])
    columns = [col(name) for name in frame.columns]
    same(ours(frame, feature(*columns)), reference(frame), 1e-5)


def test_conditions_of_a_row_and_choices() -> None:
    table = pl.DataFrame(
        {
            "a": [True, False, None, True, None],
            "b": [True, True, True, False, None],
            "x": [1.0, 2.0, None, 4.0, 5.0],
            "y": [10, 20, 30, None, 50],
            "s": ["p", None, "q", "r", "s"],
        }
    )

    def run(feature: Expr) -> list[float | None]:
        schema = Schema.infer(table, nullable=True)
        out = FeatureSet(schema, [feature.alias("out")]).fit(table).transform(table, output="arrow")
        return pl.DataFrame(out)["out"].to_list()

    def expected(feature: pl.Expr) -> list[float | None]:
        return table.select(feature.cast(pl.Float64)).to_series().to_list()

    assert run(row_any(col("a"), col("b"))) == expected(pl.any_horizontal("a", "b"))
    assert run(row_all(col("a"), col("b"))) == expected(pl.all_horizontal("a", "b"))
    chain = when(col("a")).then(col("x")).when(col("x") > 1.5).then(col("y"))
    theirs = pl.when("a").then("x").when(pl.col("x") > 1.5).then("y")
    assert run(chain.otherwise(-1)) == expected(theirs.otherwise(-1))
    assert run(chain.otherwise()) == expected(theirs)
    texts = when(col("b")).then(col("s")).otherwise("else")
    assert run(texts == "else") == expected(
        pl.when("b").then("s").otherwise(pl.lit("else")) == "else"
    )
    assert str(chain.otherwise(0)) == (
        'when(col("a")).then(col("x")).when((col("x") > 1.5)).then(col("y")).otherwise(0)'
    )


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (col("x").robust_scale(0.9, 0.1), "quantiles 0.9 and 0.1: give shares from 0 to 1"),
        (col("x").clip_quantiles(1, 99), "give shares from 0 to 1"),
        (col("x").quantile_transform(quantiles=0), "0 quantiles: use 1 to 100000"),
        (col("x").quantile_transform("gamma"), "quantile_transform: unknown variant"),  # type: ignore[arg-type]
        (col("x").log(1), "base 1 has no logarithm"),
        (col("x").round(99), "99 decimals: use -22 to 22"),
        (col("s").sqrt(), "takes a number but gets a string"),
        (col("s") ** 2, "takes a number but gets a string"),
        (row_std(col("x"), ddof=2), "ddof is 2: use 1"),
        (row_sum(), "takes 1 to 256 inputs but gets 0"),
        (row_sum(col("x"), col("s")), "takes a number but gets a string"),
        (row_min(col("s")), "takes numbers or timestamps but gets a string"),
        (row_any(col("x")), "takes conditions but gets a number"),
        (when(col("x")).then(1).otherwise(0), "when: takes conditions but gets a number"),
        (when(col("x") > 1).then("a").otherwise(0), "then and otherwise: takes values of one type"),
    ],
)
def test_bad_input(feature: Expr, message: str) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "s": ["a", "b"]})
    with pytest.raises(InputError, match=message):
        FeatureSet(Schema.infer(frame), [feature])


def test_values_too_far_apart_to_learn_from() -> None:
    frame = pd.DataFrame({"x": [1.7e308, -1.7e308, 1.0]})
    with pytest.raises(InputError, match=r'col\("x"\).standardize\(\): the .* exceeds 64-bit'):
        ours(frame, col("x").standardize())
    with pytest.raises(InputError, match="the variance of the values exceeds 64-bit floats"):
        ours(frame, col("x").power_transform())
    assert np.isfinite(ours(frame, col("x").max_abs())).all()


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("interaction_only", [True, False])
@pytest.mark.parametrize("include_bias", [True, False])
def test_polynomials(degree: int, interaction_only: bool, include_bias: bool) -> None:
    frame = pd.DataFrame(np.random.default_rng(2).normal(0, 3, (400, 3)), columns=["a", "b", "c"])
    reference = PolynomialFeatures(
        degree, interaction_only=interaction_only, include_bias=include_bias
    )
    expected = reference.fit_transform(frame)
    feature = polynomial(
        col("a"),
        col("b"),
        col("c"),
        degree=degree,
        interaction_only=interaction_only,
        include_bias=include_bias,
    )
    features = FeatureSet(Schema.infer(frame), [feature, feature.alias("p")]).fit(frame)
    names = reference.get_feature_names_out().tolist()
    assert features.get_feature_names_out().tolist() == names + [f"p_{name}" for name in names]
    np.testing.assert_allclose(
        features.transform(frame), np.hstack([expected, expected]), rtol=TOLERANCE
    )


def test_two_polynomials_and_their_bounds() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [3.0, 4.0, 5.0]})
    two = [polynomial(col("a"), degree=3), polynomial(col("b"), col("a") + 1)]
    features = FeatureSet(Schema.infer(frame), two).fit(frame)
    assert features.get_feature_names_out().tolist()[3:] == [
        "b",
        "a + 1",
        "b^2",
        "b a + 1",
        "a + 1^2",
    ]
    assert np.isnan(features.transform(frame)[2, [0, 1, 2, 4, 6, 7]]).all()
    with pytest.raises(InputError, match='are both named "a"'):
        FeatureSet(Schema.infer(frame), [col("a"), polynomial(col("a"))]).fit(frame)
    with pytest.raises(InputError, match="more than 10000 columns"):
        FeatureSet(Schema.infer(frame), [polynomial(*[col("a") + i for i in range(200)])])
    with pytest.raises(InputError, match="degree 0: use 1 to 10"):
        FeatureSet(Schema.infer(frame), [polynomial(col("a"), degree=0)])


@pytest.mark.parametrize("depth", [1, 3, 6])
@pytest.mark.parametrize("leaves", [None, 2, 5, 11])
@pytest.mark.parametrize("min_rows", [1, 50])
@pytest.mark.parametrize("column", ["normal", "holes", "heavy", "count", "constant"])
def test_bucketize_tree(
    frame: pd.DataFrame, column: str, depth: int, leaves: int | None, min_rows: int
) -> None:
    # Trees of the reference hold 32 bits.
    values = frame[[column]].astype(np.float32)
    rng = np.random.default_rng(4)
    amount = np.sin(values[column].fillna(0) / 4) * 3 + rng.normal(0, 0.7, ROWS)
    known = values[column].notna()
    limits: Any = {"max_depth": depth, "max_leaf_nodes": leaves, "min_samples_leaf": min_rows}
    feature = col(column).bucketize_tree(depth, max_leaves=leaves, min_rows=min_rows)
    features = FeatureSet(Schema.infer(values, nullable=True), [feature])
    for model, target in (
        (DecisionTreeRegressor(**limits), amount),
        (DecisionTreeClassifier(**limits), (amount > 0.5).astype(int)),
    ):
        tree = model.fit(values[known], target[known]).tree_
        edges = np.sort(tree.threshold[tree.feature >= 0])
        expected = np.searchsorted(edges, values[column], side="left").astype(float)
        expected[~known] = np.nan
        found = features.fit(values, target).transform(values)
        # Splits of equal merit may be taken in another order: none of these columns has one, but
        # for groups that no split improves.
        same(found, expected)


def test_bucketize_tree_in_pieces_and_without_a_target() -> None:
    rng = np.random.default_rng(8)
    table = pl.DataFrame({"x": rng.normal(size=3000), "y": rng.random(3000) < 0.3})
    table = table.with_columns(y=pl.when(pl.col("x") > 1).then(True).otherwise("y"))
    features = FeatureSet(
        Schema.infer(table, nullable=True), [col("x").bucketize_tree()], target="y"
    )
    whole = features.fit(table).to_json()
    assert features.fit([table[:1000], table[1000:1001], table[1001:]]).to_json() == whole
    with pytest.raises(InputError, match="bucketize_tree"):
        FeatureSet(Schema.infer(table), [col("x").bucketize_tree()]).fit(table)
    cases: list[dict[str, Any]] = [{"max_depth": 0}, {"max_leaves": 1}, {"min_rows": 0}]
    for wrong in [*cases, {"folds": 1}]:
        with pytest.raises(InputError, match=next(iter(wrong))):
            FeatureSet(Schema.infer(table), [col("x").bucketize_tree(**wrong)], target="y")
