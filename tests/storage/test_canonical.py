"""Canonical JSON has one text for one value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import InputError
from tidegate.storage.canonical import decode, encode
from tidegate.types import Json

VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text().filter(lambda key: key != "version"), VALUES, max_size=4))
def test_round_trip(body: dict[str, Json]) -> None:
    document: dict[str, Json] = {**body, "version": 1}
    data = encode(document)
    again = decode(data, "it", keys=set(document), newest=1)
    assert again == document
    assert encode(again) == data
    assert encode(dict(reversed(document.items()))) == data


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_json_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="finite"):
        encode({"a": value})
