"""Bad input: each error names the column or the expression, and says how to mend it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tidegate.errors import InputError, TidegateError
from tidegate.features import Expr, FeatureSet, Schema, col, lit


def table(**columns: Any) -> pa.Table:
    defaults: dict[str, Any] = {
        "distance": [100.0, 200.0],
        "carrier": ["UA", "AA"],
        "stops": [0, 1],
    }
    return pa.table({**defaults, **columns})


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (col("distanse"), 'unknown column "distanse": did you mean "distance"?'),
        (col("zzz"), "the columns are distance, carrier, stops"),
        (col("carrier"), "end it with one_hot, ordinal or hash"),
        (col("carrier").log1p(), 'col("carrier").log1p(): takes a number but gets a string'),
        (col("carrier") + 1, "takes a number but gets a string"),
        (col("carrier") == 1, "gets a string and a number"),
        (col("distance").dt.hour(), "takes a timestamp but gets a number"),
        (col("carrier").one_hot().standardize(), "several columns can only be the end"),
        (col("distance").clip(), "give low, high or both"),
        (col("distance").clip(3, 2), "low 3 is above high 2"),
        (col("distance").fill_null("nothing"), "fills a number with a string"),
        (col("carrier").fill_null(0), "fills a string with a number"),
        (col("carrier").fill_null("median"), "takes a number but gets a string"),
        (col("distance").bucketize(1), "use 2 to"),
        (col("distance").bucketize(), "takes either a number of buckets"),
        (col("distance").bucketize(edges=[2, 1]), "rising"),
        (col("carrier").hash(0), "0 buckets"),
        (col("carrier").hash(-1), "hash: "),
        (col("distance").cyclical(0), "period 0 is not above 0"),
        (col("carrier").one_hot(min_count=0), "min_count is 0"),
        (Expr({"op": "log2"}), 'unknown expression "log2"'),
        (Expr({"op": "log1p"}), "input is left out"),
        (Expr({"op": "log1p", "input": {"op": "col", "name": "stops"}, "base": 2}), "base"),
    ],
)
def test_expressions(feature: Expr, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        FeatureSet(Schema.infer(table()), [feature])


def test_feature_sets() -> None:
    schema = Schema.infer(table())
    with pytest.raises(InputError, match="at least one"):
        FeatureSet(schema, [])
    with pytest.raises(InputError, match=r"both named \"distance\".*alias"):
        FeatureSet(schema, [col("distance"), col("distance").standardize()])
    with pytest.raises(InputError, match=r"write col\('distance'\)"):
        FeatureSet(schema, ["distance"])  # type: ignore[list-item]
    with pytest.raises(InputError, match="no schema"):
        FeatureSet(table(), [col("distance")])


def test_a_cycle_is_no_expression() -> None:
    cycle: dict[str, Any] = {"op": "negate"}
    cycle["input"] = cycle
    with pytest.raises(InputError, match=r"negate.*[Cc]ircular"):
        FeatureSet(Schema.infer(table()), [Expr(cycle)])
    deep: dict[str, Any] = {"op": "col", "name": "distance"}
    for _ in range(100_000):
        deep = {"op": "negate", "input": deep}
    with pytest.raises(InputError, match="recursion"):
        FeatureSet(Schema.infer(table()), [Expr(deep)])
    with pytest.raises(InputError, match="not JSON compliant"):
        FeatureSet(Schema.infer(table()), [Expr({"op": "literal", "value": float("nan")})])


TEXTS = {
    "one_hot": col("s").one_hot(),
    "ordinal": col("s").ordinal(),
    "base_n": col("s").base_n(),
    "count_encode": col("s").count_encode(),
    "group_rare": col("s").group_rare().one_hot(),
    "target_mean": col("s").target_mean(),
    "weight_of_evidence": col("s").weight_of_evidence(),
    "hash": col("s").hash(8),
    "hash_vector": col("s").hash_vector(8),
    "cross": col("s").cross(col("n")).hash(8),
    "fill_null": col("s").fill_null("most_frequent").hash(8),
    "len": col("s").str.len_chars(),
    "strip": col("s").str.strip().hash(8),
    "matches": col("s").str.matches("a"),
    "contains": col("s").str.contains("a"),
    "replace": col("s").str.replace("a", "b").hash(8),
    "slice": col("s").str.slice(0, 1).hash(8),
    "tfidf": col("s").str.tfidf(),
    "hash_ngrams": col("s").str.hash_ngrams(8),
    "is_in": col("s").is_in(["a"]),
    "is_null": col("s").is_null(),
    "equal": col("s") == "a",
    "list": col("l").list.contains("a"),
}


@pytest.mark.parametrize("feature", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_bytes_that_are_no_text(feature: Expr, kind: pa.DataType) -> None:
    def bytes_of(values: list[bytes | None]) -> pa.Table:
        lists = pa.array([[value] for value in values], pa.list_(pa.binary()))
        numbers = list(range(len(values)))
        flags = [row % 2 == 0 for row in numbers]
        return pa.table({"s": pa.array(values, kind), "l": lists, "n": numbers, "y": flags})

    good = bytes_of([b"a", "é".encode(), None, b"", b"a"])
    bad = bytes_of([b"a", "é".encode(), None, b"a\xff\x00", b"\xc3"])
    features = FeatureSet(Schema.infer(good, nullable=True), [feature], target="y")
    message = r'column "[sl]", row 3: the bytes are not valid UTF-8.*decode them first'
    with pytest.raises(InputError, match=message):
        features.fit(bad)
    fitted = features.fit(good)
    with pytest.raises(InputError, match=message):
        fitted.transform(bad)
    # What it learned before still serves.
    assert len(fitted.transform(good)) == good.num_rows


def test_constants() -> None:
    with pytest.raises(InputError, match="finite"):
        lit(float("nan"))
    with pytest.raises(InputError, match="list is no constant"):
        lit([1])
    with pytest.raises(InputError, match="neither true nor false"):
        assert col("x") > 1
    with pytest.raises(InputError, match="fill_null needs"):
        col("x").fill_null()


@pytest.fixture
def features() -> FeatureSet:
    schema = Schema.infer(table(), nullable=["carrier"])
    return FeatureSet(
        schema, [col("distance").standardize(), col("carrier").one_hot(), col("stops")]
    ).fit(table())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (table().drop_columns("distance"), "distance"),
        (table(distance=["a", "b"]), "distance"),
        (table(carrier=[1, 2]), "carrier"),
        (table(stops=[0.5, 1.0]), "stops"),
        (table(distance=[1.0, None]), 'column "distance" is missing in row 1'),
        (table(distance=[float("nan"), 1.0]), 'column "distance" is missing in row 0'),
        (table(distance=[1.0, float("inf")]), 'column "distance" is infinite in row 1'),
        (table(stops=[None, 1]), 'column "stops" is missing in row 0'),
    ],
)
def test_tables(features: FeatureSet, broken: pa.Table, message: str) -> None:
    for use in (features.transform, features.fit):
        with pytest.raises(InputError, match=re.escape(message)):
            use(broken)


def test_an_error_in_a_later_chunk_names_it(features: FeatureSet) -> None:
    chunked = pa.concat_tables([table(), table(distance=[1.0, float("inf")])])
    with pytest.raises(InputError, match=r"chunk 1.*begins at row 2.*infinite in row 1"):
        features.transform(chunked)


def test_what_is_no_table(features: FeatureSet) -> None:
    for thing in (5, {"distance": [1.0]}, np.zeros((2, 3)), None):
        with pytest.raises(TidegateError):
            features.transform(thing)  # type: ignore[arg-type]
        with pytest.raises((TidegateError, TypeError)):
            features.fit(thing)  # type: ignore[arg-type]


def test_rows(features: FeatureSet) -> None:
    good = {"distance": 1.0, "carrier": "UA", "stops": 0}
    cases: list[tuple[dict[str, Any], str]] = [
        ({**good, "distanse": 1.0}, 'unknown column "distanse": did you mean "distance"?'),
        ({**good, "distance": "1"}, 'column "distance"'),
        ({**good, "distance": float("inf")}, 'column "distance" is infinite'),
        ({**good, "distance": None}, 'column "distance" is missing'),
        ({"distance": 1.0, "carrier": "UA"}, 'column "stops" is missing'),
        ({**good, "carrier": 5}, 'column "carrier"'),
    ]
    for row, message in cases:
        with pytest.raises(InputError, match=re.escape(message)):
            features.transform_row(row)
        with pytest.raises(InputError, match=re.escape(message)):
            features.transform([row])
    assert features.transform_row({**good, "more": 1}, extra="ignore").shape == (5,)
    with pytest.raises(InputError, match="'error' or 'ignore'"):
        features.transform_row(good, extra="drop")  # type: ignore[arg-type]


def test_unseen_and_missing_categories(features: FeatureSet) -> None:
    names = features.get_feature_names_out().tolist()
    assert names[1:4] == ["carrier=AA", "carrier=UA", "carrier=(unknown)"]
    row = {"distance": 1.0, "stops": 0}
    assert features.transform_row({**row, "carrier": "ZZ"})[1:4].tolist() == [0, 0, 1]
    assert features.transform_row({**row, "carrier": None})[1:4].tolist() == [0, 0, 0]
    assert features.transform_row({**row, "carrier": ""})[1:4].tolist() == [0, 0, 1]


def test_empty_and_all_null_tables(features: FeatureSet) -> None:
    empty = table().slice(0, 0)
    assert features.transform(empty).shape == (0, 5)
    assert features.transform([]).shape == (0, 5)
    assert pa.table(features.transform(empty, output="arrow")).num_rows == 0
    with pytest.raises(InputError, match="no rows"):
        features.fit(empty)
    nothing = pa.table({"x": pa.array([None, None], pa.float64())})
    schema = Schema.infer(nothing)
    with pytest.raises(InputError, match=r'col\("x"\).fill_null.*only missing values'):
        FeatureSet(schema, [col("x").fill_null("median")]).fit(nothing)
    matrix = FeatureSet(schema, [col("x").standardize()]).fit_transform(nothing)
    assert np.isnan(matrix).all()


def test_too_many_categories() -> None:
    many = pa.table({"id": [f"user {i}" for i in range(10_001)]})
    with pytest.raises(InputError, match=r'col\("id"\).one_hot.*raise min_count, or use hash'):
        FeatureSet(Schema.infer(many), [col("id").one_hot()]).fit(many)


def test_columns_of_strange_types() -> None:
    with pytest.raises(InputError, match='column "x"'):
        Schema.infer(pa.table({"x": [{"a": 1}]}))
    frame = pd.DataFrame({"x": [1.0, None]})
    assert Schema.infer(frame).fields[0].nullable
