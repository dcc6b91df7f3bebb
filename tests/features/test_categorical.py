"""Categories and texts as columns of numbers: scikit-learn's numbers, in both widths."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from tidegate.errors import InputError, TidegateError
from tidegate.features import Expr, FeatureSet, Schema, col

ROWS = 4_000
WORDS = ["delayed", "by", "late", "aircraft", "café", "a", "B2", "naïve", "the", "weather", "x_1"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    codes = ["UA", "AA", "DL", "a longer name", "", "é", "rare", "odd"]
    shares = [0.4, 0.25, 0.15, 0.1, 0.05, 0.048, 0.001, 0.001]
    lengths = rng.integers(0, 9, ROWS)
    return pd.DataFrame(
        {
            "code": rng.choice(codes, ROWS, p=shares),
            "count": rng.integers(0, 9, ROWS),
            "flag": rng.random(ROWS) < 0.3,
            "size": rng.choice(["small", "medium", "large"], ROWS),
            "text": [" ".join(rng.choice(WORDS, n)) + "  !" * (n % 2) for n in lengths],
        }
    )


def ours(frame: pd.DataFrame, feature: Expr, **options: Any) -> Any:
    features = FeatureSet(Schema.infer(frame), [feature], dtype="float64", **options)
    return features.fit_transform(frame)


def same(left: npt.NDArray[np.floating[Any]], right: Any) -> None:
    np.testing.assert_allclose(left, np.asarray(right).reshape(left.shape), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("drop", ["first", "if_binary"])
@pytest.mark.parametrize("column", ["code", "count", "flag", "size"])
def test_one_hot_drops_a_category(frame: pd.DataFrame, column: str, drop: Any) -> None:
    reference = OneHotEncoder(sparse_output=False, drop=drop)
    feature = col(column).one_hot(drop=drop, unknown=False)
    same(ours(frame, feature), reference.fit_transform(frame[[column]]))


@pytest.mark.parametrize("most", [1, 2, 5])
def test_one_hot_keeps_the_most_frequent(frame: pd.DataFrame, most: int) -> None:
    # scikit-learn counts the column of the others as one of them.
    reference = OneHotEncoder(
        sparse_output=False, max_categories=most + 1, handle_unknown="infrequent_if_exist"
    )
    for column in ("code", "count"):
        expected = reference.fit_transform(frame[[column]])
        same(ours(frame, col(column).one_hot(max_categories=most)), expected)


def test_one_hot_ties_are_scikit_learns() -> None:
    frame = pd.DataFrame({"s": list("ddccbbaa")})
    reference = OneHotEncoder(
        sparse_output=False, max_categories=3, handle_unknown="infrequent_if_exist"
    )
    same(ours(frame, col("s").one_hot(max_categories=2)), reference.fit_transform(frame))


def test_ordinal_in_a_given_order(frame: pd.DataFrame) -> None:
    order = ["small", "medium"]
    reference = OrdinalEncoder(
        categories=[order], handle_unknown="use_encoded_value", unknown_value=-1
    )
    same(
        ours(frame, col("size").ordinal(categories=order)), reference.fit_transform(frame[["size"]])
    )
    numbers = ours(frame, col("count").ordinal(categories=[8, 0]))
    same(numbers, np.select([frame["count"] == 8, frame["count"] == 0], [0, 1], -1))
    for feature, message in (
        (col("size").ordinal(categories=[1]), "a number among its categories where the input is"),
        (col("size").ordinal(categories=["a", "a"]), '"a" twice'),
        (col("size").ordinal(categories=[]), "0 categories"),
        (col("size").ordinal(categories=["a"], min_count=2), "not both"),
    ):
        with pytest.raises(InputError, match=message):
            ours(frame, feature)


def test_counts_and_shares(frame: pd.DataFrame) -> None:
    for column in ("code", "count", "flag"):
        counts = frame[column].map(frame[column].value_counts())
        same(ours(frame, col(column).count_encode()), counts)
        same(ours(frame, col(column).count_encode(normalize=True)), counts / ROWS)
    features = FeatureSet(Schema.infer(frame), [col("code").count_encode()]).fit(frame)
    assert features.transform(pd.DataFrame({"code": ["ZZ"]})).tolist() == [[0.0]]


def test_rare_categories_are_grouped(frame: pd.DataFrame) -> None:
    grouped = frame["code"].where(frame["code"].map(frame["code"].value_counts()) >= 100, "other")
    expected = OneHotEncoder(sparse_output=False).fit_transform(grouped.to_frame())
    for rule in ({"min_count": 100}, {"min_share": 100 / ROWS}):
        feature = col("code").group_rare(other="other", **rule).one_hot(unknown=False)
        same(ours(frame, feature), expected)
    features = FeatureSet(Schema.infer(frame), [col("code").group_rare(min_count=100).one_hot()])
    names = features.fit(frame).get_feature_names_out().tolist()
    assert "code=(rare)" in names
    live = features.transform(pd.DataFrame({"code": ["ZZ"]}))
    assert live[0, names.index("code=(rare)")] == 1.0
    with pytest.raises(InputError, match=r"min_share 1\.5"):
        ours(frame, col("code").group_rare(min_share=1.5).one_hot())


@pytest.mark.parametrize("base", [2, 3, 10])
def test_digits_of_categories(frame: pd.DataFrame, base: int) -> None:
    numbers = OrdinalEncoder().fit_transform(frame[["code"]])[:, 0].astype(int) + 1
    width = len(np.base_repr(numbers.max(), base))
    expected = [[int(digit) for digit in np.base_repr(n, base).zfill(width)] for n in numbers]
    same(ours(frame, col("code").base_n(base=base)), expected)


def test_crosses_of_any_arity(frame: pd.DataFrame) -> None:
    joined = frame["code"] + "\x1f" + frame["count"].astype(str) + "\x1f" + frame["size"]
    expected = OrdinalEncoder().fit_transform(joined.to_frame())
    feature = col("code").cross(col("count"), col("size"))
    same(ours(frame, feature.ordinal()), expected)
    assert repr(feature) == 'col("code").cross(col("count"), col("size"))'
    with pytest.raises(InputError, match="at least one other"):
        col("code").cross()


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("columns", [1, 7, 1024])
def test_hash_vector_is_feature_hasher(frame: pd.DataFrame, columns: int, *, signed: bool) -> None:
    reference = FeatureHasher(columns, input_type="string", alternate_sign=signed)
    expected = reference.transform([[code] for code in frame["code"]])
    found = ours(frame, col("code").hash_vector(columns, signed=signed), output="sparse")
    assert found.shape == expected.shape
    assert (found != expected).nnz == 0


TEXT_OPTIONS: list[dict[str, Any]] = [
    {},
    {"ngrams": (1, 2)},
    {"ngrams": (2, 3), "lowercase": False},
    {"analyzer": "char", "ngrams": (1, 3)},
    {"analyzer": "char_wb", "ngrams": (2, 5)},
]


def reference_options(options: dict[str, Any]) -> dict[str, Any]:
    names = {"ngrams": "ngram_range"}
    return {names.get(name, name): value for name, value in options.items()}


@pytest.mark.parametrize("options", TEXT_OPTIONS, ids=str)
@pytest.mark.parametrize("normalize", [True, False])
def test_hash_ngrams_is_hashing_vectorizer(
    frame: pd.DataFrame, options: dict[str, Any], *, normalize: bool
) -> None:
    reference = HashingVectorizer(
        n_features=64, norm="l2" if normalize else None, **reference_options(options)
    )
    expected = reference.transform(frame["text"]).toarray()
    feature = col("text").str.hash_ngrams(64, normalize=normalize, **options)
    same(ours(frame, feature), expected)


@pytest.mark.parametrize("options", TEXT_OPTIONS, ids=str)
@pytest.mark.parametrize(("min_count", "sublinear"), [(1, False), (50, True)])
def test_tfidf_is_tfidf_vectorizer(
    frame: pd.DataFrame, options: dict[str, Any], min_count: int, *, sublinear: bool
) -> None:
    reference = TfidfVectorizer(
        min_df=min_count, sublinear_tf=sublinear, **reference_options(options)
    )
    expected = reference.fit_transform(frame["text"])
    feature = col("text").str.tfidf(min_count=min_count, sublinear=sublinear, **options)
    features = FeatureSet(Schema.infer(frame), [feature], output="sparse", dtype="float64")
    found: Any = features.fit_transform(frame)
    names = [f"text_tfidf={term}" for term in reference.get_feature_names_out()]
    assert features.get_feature_names_out().tolist() == names
    same(found.toarray(), expected.toarray())


def test_the_vocabulary_is_bound(frame: pd.DataFrame) -> None:
    features = FeatureSet(Schema.infer(frame), [col("text").str.tfidf(max_terms=3)]).fit(frame)
    texts = frame["text"].str.lower().str.findall(r"\b\w\w+\b")
    counts = texts.map(set).explode().value_counts()
    most = sorted(counts.index, key=lambda term: (-counts[term], term.encode()))[:3]
    names = [f"text_tfidf={term}" for term in sorted(most)]
    assert features.get_feature_names_out().tolist() == names
    missing = pa.table({"text": pa.array([None, ""], pa.string())})
    nullable = FeatureSet(Schema.infer(missing), [col("text").str.tfidf()])
    assert nullable.fit_transform(missing).shape == (2, 0)


# What a later Unicode assigned is a letter to one side and nothing to the other.
ASSIGNED = st.characters(exclude_categories=["Cn", "Cs"])


@settings(deadline=None)
@given(st.lists(st.text(ASSIGNED, max_size=20), min_size=1, max_size=10))
def test_any_text_is_cut_as_scikit_learn_cuts_it(texts: list[str]) -> None:
    # Python and Unicode differ about the control characters 1C to 1F, which are no white space.
    clean = ["".join(c for c in text if not "\x1c" <= c <= "\x1f") for text in texts]
    table = pa.table({"text": clean})
    for options in TEXT_OPTIONS:
        reference = HashingVectorizer(n_features=50, **reference_options(options))
        feature = col("text").str.hash_ngrams(50, **options)
        features = FeatureSet(Schema.infer(table), [feature], dtype="float64")
        same(features.fit_transform(table), reference.transform(clean).toarray())


def test_a_million_categories_are_an_error_or_bounded() -> None:
    table = pa.table({"id": [f"user {row}" for row in range(1_000_000)]})
    schema = Schema.infer(table)
    y = np.zeros(1_000_000)
    for feature in (
        col("id").one_hot(max_categories=5),
        col("id").ordinal(),
        col("id").count_encode(),
        col("id").base_n(),
        col("id").group_rare(min_count=2).one_hot(),
        col("id").target_mean(),
    ):
        with pytest.raises(TidegateError, match=r"100,?000.*(categories|distinct)"):
            FeatureSet(schema, [feature]).fit(table, y)
    bounded = [col("id").hash(32), col("id").hash_vector(8), col("id").str.hash_ngrams(8)]
    assert FeatureSet(schema, bounded).fit_transform(table).shape == (1_000_000, 17)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (col("code").one_hot(max_categories=0), "max_categories is 0"),
        (col("code").base_n(base=1), "base 1"),
        (col("code").hash_vector(0), "0 columns"),
        (col("code").hash_vector(100_000), "1 to 65536"),
        (col("code").str.hash_ngrams(8, ngrams=(2, 1)), "ngrams from 2 to 1"),
        (col("code").str.tfidf(max_terms=100_000), "1 to 50000"),
        (col("code").target_mean(folds=1), "1 folds"),
        (col("code").target_mean(smooth=-1), "smooth -1"),
        (col("code").weight_of_evidence(regularization=0), "regularization 0"),
        (col("code").str.matches("(a"), r'pattern "\(a" cannot be used: unclosed group'),
        (col("count").str.len_chars(), "takes a string but gets a number"),
    ],
    ids=repr,
)
def test_wrong_parameters_are_named(frame: pd.DataFrame, feature: Expr, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FeatureSet(Schema.infer(frame), [feature])
