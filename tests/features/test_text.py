"""Texts: each method against Python's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tidegate.features import Expr, FeatureSet, Schema, col

TEXTS = ["", "N1234", "  two words ", "ÉCOLE straße", "naïve 😀", "aXbXc", "a\nb", "N12"]
TABLE = pa.table({"s": [*TEXTS, None]})


def values(feature: Expr) -> list[Any]:
    found: list[Any] = (
        FeatureSet(Schema.infer(TABLE), [feature]).fit_transform(TABLE)[:, 0].tolist()
    )
    return found


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (col("s").str.len_chars(), len),
        (col("s").str.len_bytes(), lambda s: len(s.encode())),
        (col("s").str.token_count(), lambda s: len(s.split())),
        (col("s").str.contains("X"), lambda s: "X" in s),
        (col("s").str.contains(""), lambda s: "" in s),
        (col("s").str.starts_with("N1"), lambda s: s.startswith("N1")),
        (col("s").str.ends_with("😀"), lambda s: s.endswith("😀")),
        (col("s").str.matches(r"^N\d{3,}$"), lambda s: bool(re.search(r"^N\d{3,}$", s))),
        (col("s").str.matches(r"(?i)é"), lambda s: bool(re.search(r"(?i)é", s))),
    ],
    ids=repr,
)
def test_numbers_of_texts(feature: Expr, expected: Callable[[str], float]) -> None:
    found = values(feature)
    assert found[:-1] == [float(expected(text)) for text in TEXTS]
    assert np.isnan(found[-1])


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (col("s").str.to_lowercase(), str.lower),
        (col("s").str.to_uppercase(), str.upper),
        (col("s").str.strip(), str.strip),
        (col("s").str.replace("X", "--"), lambda s: s.replace("X", "--")),
        (col("s").str.replace("", "."), lambda s: s.replace("", ".")),
        (
            col("s").str.replace(r"(\w)(\d)", "$2$1", regex=True),
            lambda s: re.sub(r"(\w)(\d)", r"\2\1", s),
        ),
        (col("s").str.slice(1), lambda s: s[1:]),
        (col("s").str.slice(0, 3), lambda s: s[:3]),
        (col("s").str.slice(-2), lambda s: s[-2:]),
        (col("s").str.slice(100, 3), lambda s: s[100:]),
    ],
    ids=repr,
)
def test_texts_of_texts(feature: Expr, expected: Callable[[str], str]) -> None:
    # A text equals what Python makes of it: one comparison for each.
    for position, text in enumerate(TEXTS):
        assert values(feature == expected(text))[position] == 1.0, text
    assert np.isnan(values(feature == "")[-1])


def test_patterns_take_linear_time() -> None:
    table = pa.table({"s": ["a" * 50_000 + "!"]})
    # Exponential with back-tracking.
    features = FeatureSet(Schema.infer(table), [col("s").str.matches(r"^(a+)+$")])
    assert features.fit_transform(table).tolist() == [[0.0]]
