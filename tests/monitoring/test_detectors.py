"""The Python face of the detectors; what they decide is held against river in Rust."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tidegate.errors import InputError, StateError
from tidegate.monitoring import detectors
from tidegate.monitoring.detectors import ADWIN, DDM, HDDMA, KSWIN, Detector

RECORDED = json.loads((Path(__file__).parents[1] / "golden/drift/decisions.json").read_text())
ERRORS = np.array(RECORDED["streams"]["errors"], dtype=float)
CLASSES = [getattr(detectors, name) for name in detectors.__all__ if name != "Detector"]


@pytest.fixture(params=CLASSES, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Detector]:
    found: type[Detector] = request.param
    return found


def test_one_by_one_is_at_once(kind: type[Detector]) -> None:
    at_once, one_by_one = kind(), kind()
    due = at_once.update_many(ERRORS).tolist()
    assert [at for at, value in enumerate(ERRORS) if one_by_one.update(value)] == due
    assert one_by_one == at_once
    assert at_once.drifts == len(due) > 0
    assert at_once.count == len(ERRORS)
    assert all(isinstance(value, float) for value in at_once.figures.values())


def test_states_round_trip(kind: type[Detector]) -> None:
    detector = kind()
    detector.update_many(ERRORS[:700])
    for again in (
        pickle.loads(pickle.dumps(detector)),
        kind.from_json(detector.to_json()),
        Detector.from_json(detector.to_json()),
    ):
        assert type(again) is kind
        assert again == detector
        assert repr(again) == repr(detector)
        np.testing.assert_array_equal(
            again.update_many(ERRORS[700:]),
            pickle.loads(pickle.dumps(detector)).update_many(ERRORS[700:]),
        )
    with pytest.raises(StateError, match="upgrade tidegate"):
        kind.from_json(detector.to_json().replace('"version":1', '"version":2'))
    other = ADWIN if kind is not ADWIN else DDM
    with pytest.raises(StateError, match="is no"):
        other.from_json(detector.to_json())


def test_missing_values_and_arrow(kind: type[Detector]) -> None:
    values = [None if at % 10 == 3 else value for at, value in enumerate(ERRORS.tolist())]
    holed, clean = kind(), kind()
    found = holed.update_many(pa.array(values))
    kept = [at for at in range(len(values)) if values[at] is not None]
    due = clean.update_many(ERRORS[kept])
    assert found.tolist() == [kept[at] for at in due.tolist()]
    assert holed.missing == len(values) - len(kept)
    assert not holed.update(float("nan"))


def test_warnings_come_before_changes() -> None:
    detector = DDM()
    warned = [
        at for at, value in enumerate(ERRORS) if not detector.update(value) and detector.warning
    ]
    due = next(
        case
        for case in RECORDED["cases"]
        if case["method"] == "ddm" and case["stream"] == "errors" and not case["parameters"]
    )
    assert warned == due["warnings"]


def test_restarting_forgets() -> None:
    detector = ADWIN()
    detector.update_many(ERRORS[:500])
    assert detector.figures["width"] == 500
    detector.restart()
    assert detector.figures["width"] == 0
    assert detector.count == 500


def test_bad_parameters_and_values() -> None:
    for make in (lambda: ADWIN(delta=2), lambda: KSWIN(recent=80), lambda: DDM(warning=9.0)):
        with pytest.raises(InputError):
            make()
    detector = HDDMA()
    with pytest.raises(InputError, match="from 0"):
        detector.update_many([0.0, 3.0])
    with pytest.raises(InputError, match="from 0"):
        detector.update(-1.0)
    assert detector.count == 0
    with pytest.raises(InputError):
        ADWIN().update_many(["a"])
