"""How good predictions were, by labels that came later, and how good they should be before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tidegate.errors import NotFoundError, StateError

__all__ = [
    "Bin",
    "ClassQuality",
    "Measure",
    "Metric",
    "QualityFigures",
    "QualityReport",
    "QualityWindow",
    "Received",
    "VersionQuality",
    "version_quality",
]

VERSION: Final = 1
"""The newest form of the report that is read."""


@dataclass(frozen=True, slots=True)
class Received:
    """What became of feedback.

    Attributes:
        labels: How many labels `joined` their prediction, were a `duplicate`, `conflicting` with an
            earlier one, of an `unknown` prediction or of an `other_model`, `missing`, `mismatched`
            in type or class, or under a `malformed` id.
        metrics: The same of named numbers; `unnamed` where a name is one too many or too long.
        problems: The first few entries that were not taken: `entry`, `prediction_id`, `problem`
            and a `message`.
    """

    labels: Mapping[str, int]
    metrics: Mapping[str, int]
    problems: Sequence[Mapping[str, Any]]

    @classmethod
    def from_json(cls, text: str | bytes) -> Received:
        """Reads what a server answers.

        Example:
            >>> Received.from_json('{"labels": {"joined": 1}, "metrics": {}, "problems": []}').labels
            {'joined': 1}
        """
        found = orjson.loads(text)
        return cls(found["labels"], found["metrics"], found["problems"])


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure, from labels.

    Attributes:
        value: The figure; `None` where it is not defined yet.
        error: How far it may be from the one of the raw rows; `None` where it is exact.
        interval: A confidence sequence of 95 %: it may be looked at after any label, and misses the
            truth at any time with a chance of at most 5 %. `None` where there is none.
    """

    value: float | None
    error: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that feedback has named.

    Attributes:
        count: Predictions that have it.
        mean: The mean.
        std: The standard deviation.
        min: The least.
        max: The greatest.
    """

    count: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class QualityFigures:
    """What is known of some predictions.

    Attributes:
        predictions: How many there were.
        labelled: How many have met their labels.
        measures: By name, from labels.
        estimates: By name, **estimated** from probabilities without labels.
        estimated_with_labels: Labels that have corrected the probabilities of the estimates.
        metrics: The numbers that feedback has named.
    """

    predictions: int
    labelled: int
    measures: Mapping[str, Measure]
    estimates: Mapping[str, float | None]
    estimated_with_labels: int
    metrics: Mapping[str, Metric]

    def measure(self, name: str) -> Measure:
        """One figure.

        Raises:
            NotFoundError: If the model has no such figure.
        """
        try:
            return self.measures[name]
        except KeyError:
            raise NotFoundError(
                f"no measure {name!r}: there are {', '.join(self.measures)}"
            ) from None


@dataclass(frozen=True, slots=True)
class QualityWindow:
    """The predictions of one span of time.

    Attributes:
        start: Seconds since 1970.
        end: Seconds since 1970.
        figures: What is known of them.
    """

    start: float
    end: float
    figures: QualityFigures


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """One class of a classifier.

    Attributes:
        label: The class.
        support: Labels of it.
        precision: Of those predicted so the share that were.
        recall: Of those that were the share predicted so.
        f1: The harmonic mean of both.
    """

    label: object
    support: float
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of probabilities.

    Attributes:
        rows: Labels in it.
        probability: The mean probability.
        rate: How often it came true.
    """

    rows: float
    probability: float | None
    rate: float | None


@dataclass(frozen=True, slots=True)
class VersionQuality:
    """The quality of one version of a model.

    Attributes:
        version: The bundle's version.
        digest: The bundle's digest.
        kind: `"classification"` or `"regression"`.
        total: Over all predictions.
        classes: By class.
        confusion: How often each class happened (rows) and was predicted (columns).
        calibration: Mean probability and observed rate, bin by bin.
        windows: By the time of prediction, oldest first.
        segments: By the value of the deployment's segment column.
    """

    version: str
    digest: str | None
    kind: str
    total: QualityFigures
    classes: tuple[ClassQuality, ...]
    confusion: tuple[tuple[float, ...], ...]
    calibration: tuple[Bin, ...]
    windows: tuple[QualityWindow, ...]
    segments: Mapping[str, QualityFigures]

    def measure(self, name: str) -> Measure:
        """One figure over all predictions."""
        return self.total.measure(name)


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The quality of all versions of a model that have predicted.

    Attributes:
        model: The bundle's own name.
        versions: In the order in which they were first loaded.
        labels: What became of labels that were sent.
        metrics: What became of named numbers that were sent.
        awaiting: The store of predictions: `rows`, `bytes`, `limit_bytes`, `evicted`, `journal`.
    """

    model: str
    versions: tuple[VersionQuality, ...]
    labels: Mapping[str, int]
    metrics: Mapping[str, int]
    awaiting: Mapping[str, Any]

    @classmethod
    def from_json(cls, text: str | bytes) -> QualityReport:
        """Reads what `GET /v1/models/{name}/quality` answers.

        Raises:
            StateError: If a later tidegate wrote it.
        """
        found = orjson.loads(text)
        if found["version"] > VERSION:
            raise StateError(
                f"a report of quality of version {found['version']} is newer than {VERSION}: "
                "upgrade tidegate"
            )
        return cls(
            model=found["model"],
            versions=tuple(
                version_quality(each["version"], each["digest"], each) for each in found["versions"]
            ),
            labels=found["labels"],
            metrics=found["metrics"],
            awaiting=found["awaiting"],
        )

    @property
    def newest(self) -> VersionQuality:
        """The version that was loaded last.

        Raises:
            NotFoundError: If none has been loaded.
        """
        if not self.versions:
            raise NotFoundError(f"no version of {self.model} has been loaded")
        return self.versions[-1]


def version_quality(version: str, digest: str | None, found: Mapping[str, Any]) -> VersionQuality:
    """The quality of a version from the part of a report that tells it."""
    return VersionQuality(
        version=version,
        digest=digest,
        kind=found["task"]["kind"],
        total=_figures(found["total"]),
        classes=tuple(
            ClassQuality(
                each["class"], each["support"], each["precision"], each["recall"], each["f1"]
            )
            for each in found["classes"]
        ),
        confusion=tuple(tuple(row) for row in found["confusion"]),
        calibration=tuple(Bin(**each) for each in found["calibration"]),
        windows=tuple(
            QualityWindow(each["start"], each["end"], _figures(each)) for each in found["windows"]
        ),
        segments={each["segment"]: _figures(each) for each in found["segments"]},
    )


def _figures(found: Mapping[str, Any]) -> QualityFigures:
    return QualityFigures(
        predictions=found["predictions"],
        labelled=found["labelled"],
        measures={name: _measure(each) for name, each in found["measures"].items()},
        estimates=found["estimates"],
        estimated_with_labels=found["estimated_with_labels"],
        metrics={name: Metric(**each) for name, each in found["metrics"].items()},
    )


def _measure(found: Mapping[str, Any]) -> Measure:
    interval = found.get("interval")
    return Measure(
        value=found["value"],
        error=found.get("error"),
        interval=None if interval is None else (interval["lower"], interval["upper"]),
    )
