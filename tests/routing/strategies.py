"""Random routings, strategies and revisions."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from tidegate.routing import (
    AB,
    Arm,
    BlueGreen,
    Canary,
    Experiment,
    Key,
    Metric,
    Observe,
    Revision,
    RolloutState,
    Routing,
    Rule,
    Shadow,
    ShadowFirst,
    Step,
    Strategy,
)
from tidegate.routing.weights import FULL

VERSIONS = st.builds("{}.{}.{}".format, *[st.integers(0, 9)] * 3)
DIGESTS = st.none() | st.binary(min_size=32, max_size=32).map(lambda b: f"sha256:{b.hex()}")
NAMES = st.text("abcxyz-_09", min_size=1, max_size=12).filter(lambda name: name[0].isalnum())
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)
SHARES = st.integers(1, FULL).map(lambda points: points / 100)
TIMES = st.floats(0, 2**33, allow_nan=False)


@st.composite
def keys(draw: st.DrawFn) -> Key:
    source = draw(st.sampled_from(["request", "header", "claim", "column"]))
    return Key(source, None if source == "request" else draw(NAMES))  # type: ignore[arg-type]


@st.composite
def observes(draw: st.DrawFn) -> Observe:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    return Observe(
        tuple(draw(st.lists(st.sampled_from([0.5, 0.9, 0.99]), max_size=3))),
        draw(st.none() | NAMES),
        tuple(Metric(name, -1.0, draw(st.floats(0, 100))) for name in names),
        draw(st.booleans()),
        draw(st.floats(0, 1)),
    )


@st.composite
def routings(draw: st.DrawFn) -> Routing:
    versions = draw(st.lists(VERSIONS, min_size=1, max_size=5, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, FULL), min_size=len(versions) - 1, max_size=4)))
    cuts = [0, *cuts[: len(versions) - 1], FULL]
    weights = [after - before for before, after in pairwise(cuts)]
    others = draw(st.sampled_from(["arm", "candidate"])) if len(versions) == 2 else "arm"
    arms = tuple(
        Arm(version, weight, others if index else "stable", draw(DIGESTS))  # type: ignore[arg-type]
        for index, (version, weight) in enumerate(zip(versions, weights, strict=True))
    )
    shadow = draw(VERSIONS)
    begin = draw(st.integers(0, FULL - 1))
    rules = draw(
        st.lists(
            st.builds(
                Rule,
                st.sampled_from(["header", "claim", "column"]),
                NAMES,
                st.lists(VALUES, min_size=1, max_size=3).map(tuple),
                st.sampled_from(versions),
            ),
            max_size=3,
        )
    )
    return Routing(
        arms,
        None if shadow in versions else Shadow(shadow, draw(st.integers(1, FULL)), draw(DIGESTS)),
        draw(keys()),
        tuple(rules),
        draw(st.none() | st.builds(Experiment, NAMES, st.none() | NAMES, st.just(begin))),
        draw(observes()),
    )


@st.composite
def steps(draw: st.DrawFn, percent: float) -> Step:
    least = draw(st.floats(0, 1_000))
    most = draw(st.none() | st.floats(1, 1_000).map(lambda more: least + more))
    return Step(percent, draw(st.integers(0, 10**6)), least, most, draw(st.booleans()))


@st.composite
def canaries(draw: st.DrawFn) -> Canary:
    points = sorted(draw(st.lists(st.integers(1, FULL - 1), min_size=1, max_size=5, unique=True)))
    return Canary(tuple(draw(steps(point / 100)) for point in points))


@st.composite
def experiments(draw: st.DrawFn, most: int = 3) -> AB:
    versions = draw(st.lists(VERSIONS, min_size=1, max_size=most, unique=True))
    return AB(
        draw(NAMES),
        tuple((version, draw(st.integers(1, 3_000)) / 100) for version in versions),
        draw(st.none() | NAMES),
        (0.0, draw(SHARES)),
    )


ONE: st.SearchStrategy[Strategy] = canaries() | st.builds(BlueGreen, st.floats(0, 1_000))
STRATEGIES: st.SearchStrategy[Strategy] = (
    ONE | experiments() | st.builds(ShadowFirst, SHARES, then=st.none() | ONE | experiments(most=1))
)


@st.composite
def rollouts(draw: st.DrawFn) -> RolloutState:
    strategy = draw(STRATEGIES)
    candidates = draw(st.lists(st.tuples(VERSIONS, DIGESTS), min_size=1, max_size=3))
    return RolloutState(
        f"r{draw(st.integers(1, 99))}",
        strategy,
        tuple(draw(st.lists(st.just({"kind": "errors", "margin": 0.01}), max_size=2))),
        tuple(Arm(version, 0, "candidate", digest) for version, digest in candidates),
        draw(st.sampled_from(["progressing", "paused", "promoted", "aborted"])),
        draw(st.integers(0, len(strategy.steps) - 1)),
        draw(TIMES),
        draw(TIMES),
        draw(st.none() | st.just({"errors": {"outcome": "pass"}})),
    )


REVISIONS = st.builds(
    Revision,
    NAMES,
    st.integers(1, 10**9),
    TIMES,
    st.text(max_size=20),
    st.text(max_size=50),
    st.sampled_from(["set", "start", "step", "pause", "resume", "promote", "abort", "undo"]),
    routings(),
    st.none() | rollouts(),
    st.none() | st.integers(1, 10**6),
    st.integers(0, 100),
    st.none() | st.just("0" * 64),
)
