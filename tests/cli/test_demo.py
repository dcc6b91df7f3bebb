from __future__ import annotations

import pytest

from tidegate.cli.demo import parse_months
from tidegate.errors import InputError


@pytest.mark.parametrize(
    ("text", "months"),
    [("7-12", (7, 8, 9, 10, 11, 12)), ("12,7", (7, 12)), ("9", (9,)), ("7-8,8", (7, 8))],
)
def test_months(text: str, months: tuple[int, ...]) -> None:
    assert parse_months(text) == months


@pytest.mark.parametrize("text", ["", "6", "13", "july", "9-7", "7,,8"])
def test_what_is_no_month(text: str) -> None:
    with pytest.raises(InputError, match="--months"):
        parse_months(text)
