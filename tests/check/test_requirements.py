"""`check.json`: what a bundle requires of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.check.conftest import Make

from tidegate.errors import InputError, StateError
from tidegate.registry import Requirements
from tidegate.registry.requirements import LIMITS, MARGINS

texts = st.none() | st.text(min_size=1, max_size=20)
numbers = st.floats(0, 1e6)


@given(
    st.builds(
        Requirements,
        holdout=texts,
        label=texts,
        groups=st.lists(st.text(min_size=1, max_size=9), max_size=3).map(tuple),
        positive=st.none() | st.integers(-5, 5) | st.text(max_size=5),
        latency=st.none() | st.floats(1e-6, 100),
        memory=st.none() | st.integers(1, 10**12),
        limits=st.dictionaries(st.sampled_from(sorted(LIMITS)), numbers),
        margins=st.dictionaries(st.sampled_from(sorted(MARGINS)), numbers),
    )
)
def test_round_trip(requirements: Requirements) -> None:
    assert Requirements.parse(requirements.to_json()) == requirements
    assert requirements.over(requirements) == requirements
    assert Requirements().over(requirements) == requirements
    assert requirements.over(Requirements()) == requirements


def test_what_is_said_later_goes_before() -> None:
    before = Requirements(label="y", latency="20ms", limits={"psi": 0.5, "flips": 0.3})
    found = Requirements(latency=0.5, limits={"psi": 0.1}).over(before)
    assert found.latency_seconds == 0.5
    assert found.label == "y"
    assert (found.limit("psi"), found.limit("flips")) == (0.1, 0.3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"latency": "20 parsecs"}, "time '20 parsecs'"),
        ({"latency": 0.0}, "latency budget of 0.0"),
        ({"memory": "much"}, "size 'much'"),
        ({"memory": -1}, "memory budget of -1"),
        ({"limits": {"psi": -0.1}}, "limit psi is -0.1"),
        ({"margins": {"auk": 0.1}}, "margin 'auk' is none of accuracy, auc"),
        ({"margins": {"auc": float("nan")}}, "margin auc is nan"),
        ({"groups": ("g",) * 17}, "at most 16"),
    ],
)
def test_what_cannot_be_required(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Requirements(**wrong)  # type: ignore[arg-type]


def test_in_a_bundle(make: Make) -> None:
    wanted = Requirements(latency="50ms", groups=("colour",), label="label")
    bundle = make("3.0.0", requirements=wanted)
    assert bundle.requirements == wanted
    assert "check.json" in bundle.manifest.files
    assert make().requirements == Requirements()


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"version":2}',
        Requirements().to_json().replace(b'"limits":{}', b'"limits":{"psi":-1}'),
        Requirements().to_json().replace(b'"limits":{}', b'"limits":7'),
    ],
)
def test_a_file_that_is_none(data: bytes) -> None:
    with pytest.raises(StateError):
        Requirements.parse(data)
