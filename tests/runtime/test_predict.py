"""Predictions from dicts, lists, tables and matrices: the same numbers from each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tidegate.demo.tiny import tiny_table
from tidegate.errors import InputError, NotFoundError, UnsupportedError
from tidegate.registry import Bundle
from tidegate.runtime import Options, Runtime

RAW = ["x", "colour", "at"]
ROW: dict[str, Any] = {"x": 0.5, "colour": "red", "at": datetime(2024, 5, 1, 12, tzinfo=UTC)}


def test_a_prediction_says_what_answered(runtime: Runtime) -> None:
    prediction = runtime.predict("tiny", ROW)
    assert (prediction.model, prediction.version, prediction.revision) == ("tiny", "1.0.0", 1)
    assert prediction.label in (0, 1)
    assert set(prediction.probabilities) == {0, 1}
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert prediction.value == prediction.probabilities[1]
    assert prediction.outputs["probabilities"].shape == (2,)
    assert prediction.id.endswith("/0")
    assert prediction.id != runtime.predict("tiny", ROW).id
    assert "value=" in repr(prediction)


def test_every_form_of_input_gives_the_same_numbers(runtime: Runtime) -> None:
    table = tiny_table(50, seed=11).select(RAW)
    rows = table.to_dicts()
    expected = [runtime.predict("tiny", row).value for row in rows]
    forms: list[Any] = [
        rows,
        table,
        table.to_arrow(),
        pa.table(table.to_arrow()).slice(0, 50),
        pa.concat_tables([table.head(20).to_arrow(), table.tail(30).to_arrow()]),
        table.to_pandas(),
    ]
    for form in forms:
        predictions = runtime.predict_many("tiny", form)
        assert len(predictions) == len(predictions.ids) == 50
        values = predictions.outputs["probabilities"][:, 1]
        # Features are the same to the bit; ONNX Runtime's sums depend on the batch's size.
        np.testing.assert_allclose(values, expected, atol=1e-6)
    arrow = pl.DataFrame(runtime.predict_many("tiny", rows).to_arrow())
    assert arrow.columns == ["label", "probabilities[0]", "probabilities[1]"]


def test_more_rows_than_a_batch(bundle: Bundle) -> None:
    table = tiny_table(1000, seed=5).select(RAW)
    with Runtime(options=Options(max_batch_rows=7)) as small, Runtime() as large:
        small.deploy(bundle)
        large.deploy(bundle)
        np.testing.assert_allclose(
            small.predict_many("tiny", table).outputs["probabilities"],
            large.predict_many("tiny", table).outputs["probabilities"],
            atol=1e-6,
        )


@pytest.mark.parametrize(
    "value",
    [0.5, np.float64(0.5), np.float32(0.5), np.float16(0.5)],
)
def test_floats_of_all_kinds(runtime: Runtime, value: object) -> None:
    assert runtime.predict("tiny", {**ROW, "x": value}).value == runtime.predict("tiny", ROW).value


@pytest.mark.parametrize("value", [2, np.int8(2), np.int64(2), np.uint32(2)])
def test_integers_are_floats_where_floats_are_due(runtime: Runtime, value: object) -> None:
    expected = runtime.predict("tiny", {**ROW, "x": 2.0}).value
    assert runtime.predict("tiny", {**ROW, "x": value}).value == expected


@pytest.mark.parametrize(
    "value", [None, float("nan"), np.float32("nan"), pd.NA, np.datetime64("NaT"), pd.NaT]
)
def test_missing_is_one_thing(runtime: Runtime, value: object) -> None:
    absent = runtime.predict("tiny", {"colour": "red", "at": ROW["at"]}).value
    assert runtime.predict("tiny", {**ROW, "x": value}).value == absent


@pytest.mark.parametrize(
    "value",
    [
        datetime(2024, 5, 1, 12),
        datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        pd.Timestamp("2024-05-01T12:00:00Z"),
        np.datetime64("2024-05-01T12:00:00", "ns"),
        "2024-05-01T12:00:00Z",
        1714564800000000,
    ],
)
def test_times_of_all_kinds(runtime: Runtime, value: object) -> None:
    assert runtime.predict("tiny", {**ROW, "at": value}).value == runtime.predict("tiny", ROW).value


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**ROW, "colur": "red"}, 'did you mean "colour"'),
        ({"x": 1.0}, '"colour" is missing'),
        ({**ROW, "x": "1.0"}, "column \"x\", value '1.0'"),
        ({**ROW, "x": True}, 'column "x"'),
        ({**ROW, "x": 10**400}, 'column "x"'),
        ({**ROW, "x": [1.0]}, 'column "x"'),
        ({**ROW, "x": float("inf")}, 'column "x" is infinite'),
        ({**ROW, "x": np.array([1.0, 2.0])}, 'column "x"'),
        ({**ROW, "colour": 3}, 'column "colour"'),
        ({**ROW, "colour": None}, '"colour"'),
        ({**ROW, "at": "yesterday"}, 'column "at"'),
        ({1: 2}, "columns are named by text"),
        ([1, 2], "predict_many"),
        ({}, '"colour" is missing'),
    ],
)
def test_bad_rows_are_named_and_the_next_is_served(
    runtime: Runtime, row: Any, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        runtime.predict("tiny", row)
    assert message in str(caught.value)
    assert runtime.predict("tiny", ROW).label in (0, 1)


def test_bad_tables_are_named(runtime: Runtime) -> None:
    table = tiny_table(5).select(RAW)
    bad: list[tuple[Any, str]] = [
        ([ROW, {**ROW, "x": "a"}], "row 1"),
        ([ROW, 3], "row 1"),
        ([], "no rows"),
        (table.head(0), "no rows"),
        (table.drop("colour"), '"colour" is missing'),
        (table.with_columns(pl.col("x").cast(pl.String)), 'column "x"'),
        (table.with_columns(colour=pl.lit(None, dtype=pl.String)), '"colour"'),
        (np.zeros((2, 3)), "no numeric matrix holds"),
        (np.zeros((2, 2)), "[rows, 3]"),
        ({"x": [1.0]}, "PyCapsule"),
        (3, "PyCapsule"),
    ]
    for rows, message in bad:
        with pytest.raises(InputError) as caught:
            runtime.predict_many("tiny", rows)
        assert message in str(caught.value), rows
    with pytest.raises(NotFoundError, match="unknown model"):
        runtime.predict("tinny", ROW)
    with pytest.raises(NotFoundError, match="unknown version"):
        runtime.predict("tiny", ROW, version="1")
    with pytest.raises(InputError, match="extra"):
        runtime.predict("tiny", ROW, extra="maybe")  # type: ignore[arg-type]


def test_extra_columns_are_ignored_on_request(runtime: Runtime) -> None:
    row = {**ROW, "label": True}
    with pytest.raises(InputError, match="label"):
        runtime.predict("tiny", row)
    expected = runtime.predict("tiny", ROW).value
    assert runtime.predict("tiny", row, extra="ignore").value == expected


def test_unseen_categories_and_huge_values_are_answered(runtime: Runtime) -> None:
    for row in [{**ROW, "colour": "ultraviolet"}, {**ROW, "x": 1e30}]:
        assert 0 <= runtime.predict("tiny", row).value <= 1


def test_a_bare_model_takes_its_tensors(linear: Path) -> None:
    with Runtime() as runtime:
        deployed = runtime.deploy(linear)
        assert (deployed.name, deployed.digest) == ("linear", None)
        matrix = np.eye(3, dtype=np.float32)
        expected = np.arange(6, dtype=np.float32).reshape(3, 2)
        for form in (matrix, {"x": matrix}, {"x": np.asfortranarray(matrix)}):
            answer = runtime.predict_many("linear", form).outputs["y"]
            np.testing.assert_array_equal(answer, expected)
        prediction = runtime.predict("linear", {"x": matrix[:1]})
        np.testing.assert_array_equal(prediction.outputs["y"], expected[0])
        with pytest.raises(UnsupportedError, match="label"):
            _ = prediction.label
        for bad in [np.zeros((1, 4), np.float32), np.zeros((1, 3)), np.zeros((0, 3), np.float32)]:
            with pytest.raises(InputError, match='"x"'):
                runtime.predict_many("linear", bad)
        with pytest.raises(NotFoundError):
            runtime.drift("linear")
