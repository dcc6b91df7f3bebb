from __future__ import annotations

from collections import Counter

import pytest

from tidegate.errors import InputError, TooLargeError
from tidegate.sketch import Frequencies

TEXTS = ["UA", "AA", "", "UA", "Zürich", "\0", "UA"]


def test_counts_are_counters() -> None:
    frequencies = Frequencies(TEXTS)
    due = Counter(TEXTS)
    assert dict(frequencies.sorted()) == due
    assert frequencies.sorted() == sorted(due.items(), key=lambda pair: (-pair[1], pair[0]))
    assert (len(frequencies), frequencies.count, frequencies["none"]) == (5, 7, 0)


def test_the_limit_refuses_or_gathers() -> None:
    with pytest.raises(TooLargeError, match="more than 2 distinct"):
        Frequencies(TEXTS, limit=2)
    gathered = Frequencies(TEXTS, limit=2, gather=True)
    assert (len(gathered), gathered.other, gathered.count) == (2, 3, 7)


def test_refuses_what_is_no_text() -> None:
    with pytest.raises(InputError):
        Frequencies([1])  # type: ignore[list-item]
