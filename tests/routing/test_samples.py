"""Samples: parts add up to the whole, documents round-trip, and damage is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.routing.gates import material as made

from tidegate.errors import InputError, StateError
from tidegate.monitoring.sequential import Mean, Proportion, Quantile
from tidegate.routing.samples import Pairs, Prediction, Sample, Samples, ShadowSamples

GOLDEN = Path(__file__).parents[1] / "golden" / "drift" / "samples-1.json"

REQUESTS = st.lists(
    st.tuples(
        st.floats(0, 1),  # seconds, and the probability
        st.booleans(),  # failed, and a wrong label
        st.integers(0, 4),  # cell
        st.sampled_from(["a", "b"]),
    ),
    max_size=40,
)


def of(requests: list[tuple[float, bool, int, str]], *, segments: bool = True) -> Sample:
    sample = Sample(
        requests=len(requests),
        errors=sum(failed for _, failed, _, _ in requests),
        latency={"0.9": Quantile(0.9).update([seconds for seconds, *_ in requests])},
        prediction=Prediction([0] * 5, Mean(0, 1)),
        features={"x": [0] * 5} if segments else {},
        quality={"error": Proportion(), "brier": Mean(0, 1)},
        metrics={"revenue": Mean(0, 2)},
    )
    assert sample.prediction is not None
    for _, _, cell, _ in requests:
        sample.prediction.cells[cell] += 1
        if segments:
            sample.features["x"][cell] += 1
    seconds = np.array([seconds for seconds, *_ in requests])
    wrong = np.array([failed for _, failed, _, _ in requests])
    assert sample.prediction.mean is not None
    sample.prediction.mean.update(seconds)
    sample.quality["error"].update(wrong)
    sample.quality["brier"].update(seconds)
    sample.metrics["revenue"].update(seconds)
    if segments:
        for name in ("a", "b"):
            own = [request for request in requests if request[3] == name]
            if own:
                sample.segments[name] = of(own, segments=False)
    return sample


def counts(sample: Sample) -> Any:
    """The document, without sums whose last digits depend on the order, and means of an order."""
    document: Any = sample.to_document()
    for part in (document, *document["segments"].values()):
        part["prediction"].pop("mean")
        part["quality"].pop("brier")
        part.pop("metrics")
    return document


@settings(deadline=None)
@given(REQUESTS, REQUESTS)
def test_parts_add_up_to_the_whole(
    left: list[tuple[float, bool, int, str]], right: list[tuple[float, bool, int, str]]
) -> None:
    merged, whole = of(left), of(left + right)
    merged.merge(of(right))
    assert counts(merged) == counts(whole)
    for mine, theirs in (
        (merged, whole),
        *((merged.segments[n], whole.segments[n]) for n in whole.segments),
    ):
        assert mine.metrics["revenue"].rows == theirs.metrics["revenue"].rows
        assert mine.quality["brier"].estimate == pytest.approx(theirs.quality["brier"].estimate)


@settings(deadline=None)
@given(REQUESTS)
def test_documents_round_trip(requests: list[tuple[float, bool, int, str]]) -> None:
    sample = of(requests)
    again = Sample.from_document(orjson.loads(orjson.dumps(sample.to_document())))
    assert again == sample
    assert again.to_document() == sample.to_document()


def test_merging_leaves_the_other_as_it_was() -> None:
    mine, theirs = Sample(), made.sample(100)
    before = theirs.to_document()
    mine.merge(theirs)
    mine.merge(theirs)
    assert theirs.to_document() == before
    assert mine.requests == 200


def test_what_the_data_plane_writes_is_read() -> None:
    samples = Samples.from_json(GOLDEN.read_bytes())
    assert samples.arms
    assert all(sample.requests for sample in samples.arms.values())
    document = orjson.loads(GOLDEN.read_bytes())
    again = Samples.from_document(orjson.loads(orjson.dumps(samples.to_document())))
    assert again.to_document() == samples.to_document()
    for version, sample in samples.arms.items():
        written = document["arms"][version]
        assert sample.requests == written["requests"]
        assert sample.features == written["features"]
        assert set(sample.quality) == set(written["quality"])
    doubled = Samples.merged(samples.deployment, samples.revision, [samples, samples])
    for version, sample in doubled.arms.items():
        assert sample.requests == 2 * samples.arms[version].requests


def test_a_shadow_is_merged_too() -> None:
    shadow = ShadowSamples("1.1.0", made.sample(50), made.sample(50), made.pairs(50))
    one = Samples("m", 1, 5.0, 9.0, {"1.0.0": made.sample(50)}, shadow)
    both = Samples.merged("m", 1, [one, Samples.from_document(one.to_document())])
    assert both.shadow is not None
    assert both.shadow.pairs.pairs == 100
    assert both.shadow.pairs.disagree.rows == 100
    assert (both.began, both.until, both.replicas) == (5.0, 9.0, 2)
    assert Pairs.from_document({"pairs": 3}).disagree.rows == 0


@pytest.mark.parametrize(
    ("left", "right", "says"),
    [
        (Sample(features={"x": [1, 2]}), Sample(features={"x": [1]}), "same baseline"),
        (
            Sample(prediction=Prediction([1, 2])),
            Sample(prediction=Prediction([1, 2, 3])),
            "same baseline",
        ),
        (
            Sample(quality={"error": Proportion()}),
            Sample(quality={"error": Mean(0, 1)}),
            "a share on one replica",
        ),
        (
            Sample(quality={"error": Mean(0, 1)}),
            Sample(quality={"error": Proportion()}),
            "a mean on one replica",
        ),
        (Sample(metrics={"m": Mean(0, 1)}), Sample(metrics={"m": Mean(0, 2)}), "one range"),
    ],
)
def test_what_does_not_fit_is_named(left: Sample, right: Sample, says: str) -> None:
    with pytest.raises(InputError, match=says):
        left.merge(right)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "damaged"),
        ("[]", "no JSON object"),
        ("{}", "upgrade tidegate"),
        ('{"format": 2}', "upgrade tidegate"),
        ('{"format": 1}', "damaged"),
        (
            '{"format":1,"deployment":"m","revision":1,"began":0,"until":0,"arms":{"1":{"requests":1}}}',
            "damaged",
        ),
        (
            '{"format":1,"deployment":"m","revision":1,"began":0,"until":0,"arms":{"1":[]}}',
            "damaged",
        ),
        (
            '{"format":1,"deployment":"m","revision":1,"began":0,"until":0,"arms":'
            '{"1":{"requests":1,"errors":0,"latency":{"0.9":{"state":{},"version":1}}}}}',
            "not a sequential quantile",
        ),
    ],
)
def test_damage_is_named(text: str, says: str) -> None:
    with pytest.raises(StateError, match=says):
        Samples.from_json(text)
