"""How bundles are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import InputError
from tidegate.registry import Reference

DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("m", "newest"),
        ("a.b_c-1@1.4.2", "version"),
        ("m@1.4.2-rc.1+b.2", "version"),
        ("m@champion", "alias"),
        ("m@v1.0", "alias"),
        (f"m@{DIGEST}", "digest"),
    ],
)
def test_references(text: str, kind: str) -> None:
    reference = Reference.parse(text)
    assert reference.kind == kind
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    ["", "@", "@1.0.0", "m@", "m@1.0", "m@sha256:ff", f"m@{DIGEST.upper()}", "../m", "m@../x",
     ".m", "m m", "m@a@b", "m/x", "é", "m" * 129],
)  # fmt: skip
def test_bad_references(text: str) -> None:
    with pytest.raises(InputError):
        Reference.parse(text)


@given(st.text(max_size=30))
def test_anything_parses_or_is_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InputError:
        return
    assert str(reference) == text
