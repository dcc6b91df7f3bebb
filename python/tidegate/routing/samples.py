"""What was counted of each version of a deployment within one revision, for the gates.

Every replica publishes its own; they add up. The document is that of `Runtime.samples`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

import orjson

from tidegate.errors import InputError, StateError
from tidegate.monitoring.sequential import Mean, Proportion, Quantile
from tidegate.types import Json

__all__ = ["Pairs", "Prediction", "Sample", "Samples", "ShadowSamples"]

FORMAT: Final = 1
"""The newest document of samples that this tidegate reads."""

F = TypeVar("F", Mean, Proportion, Quantile)


def _read(kind: type[F], document: Mapping[str, Any]) -> F:
    return kind.from_json(orjson.dumps(document).decode())


def _written(figure: Mean | Proportion | Quantile) -> dict[str, Json]:
    found: dict[str, Json] = orjson.loads(figure.to_json())
    return found


def _copied(figure: F) -> F:
    copied: F = type(figure).from_json(figure.to_json())
    return copied


def _added(mine: Sequence[int], theirs: Sequence[int], what: str) -> list[int]:
    if mine and theirs and len(mine) != len(theirs):
        raise InputError(
            f"{what} is counted in {len(mine)} cells by one replica and in {len(theirs)} by another: "
            "they must serve bundles of the same baseline"
        )
    if not (mine and theirs):
        return list(mine or theirs)
    return [a + b for a, b in zip(mine, theirs, strict=True)]


def _join(mine: dict[str, F], theirs: Mapping[str, F]) -> None:
    for name, figure in theirs.items():
        if name in mine:
            mine[name].merge(figure)
        else:
            mine[name] = _copied(figure)


def _join_quality(mine: dict[str, Proportion | Mean], name: str, figure: Proportion | Mean) -> None:
    known = mine.get(name)
    if isinstance(figure, Proportion):
        if isinstance(known, Mean):
            raise InputError(f"quality {name!r} is a mean on one replica and a share on another")
        mine[name] = _copied(figure) if known is None else known.merge(figure)
    else:
        if isinstance(known, Proportion):
            raise InputError(f"quality {name!r} is a share on one replica and a mean on another")
        mine[name] = _copied(figure) if known is None else known.merge(figure)


def _quality(document: Mapping[str, Any]) -> Proportion | Mean:
    if "yes" in document["state"]:
        return _read(Proportion, document)
    return _read(Mean, document)


@dataclass(slots=True)
class Prediction:
    """How the predictions of a version are distributed.

    Attributes:
        cells: Rows in each cell of the stable version's baseline.
        mean: Of probabilities, in [0, 1]; none where the range of predictions is unknown.
    """

    cells: list[int] = field(default_factory=list)
    mean: Mean | None = None

    def merge(self, other: Prediction) -> None:
        """Adds what another replica has counted."""
        self.cells = _added(self.cells, other.cells, "the prediction")
        if other.mean is not None:
            if self.mean is None:
                self.mean = _copied(other.mean)
            else:
                self.mean.merge(other.mean)


@dataclass(slots=True)
class Sample:
    """What was counted of one version.

    Attributes:
        requests: That were executed, failed ones included.
        errors: Requests that failed by the model's fault.
        refused: Requests that were not executed, which `requests` does not count.
        latency: By the level of the quantile, such as `"0.99"`; seconds.
        prediction: None where nothing is watched.
        features: Rows in each cell of the stable version's baseline, by raw feature.
        quality: By measure, of predictions whose labels have come: `error` is a proportion, all others
            are means; lower is better.
        metrics: Business metrics from feedback.
        segments: The same for each value of the segment column, without features.

    Example:
        >>> sample = Sample(requests=1_000, errors=3)
        >>> sample.merge(Sample(requests=500, errors=1))
        >>> sample.error_share.estimate
        0.0026666666666666666
        >>> Sample.from_document(sample.to_document()) == sample
        True
    """

    requests: int = 0
    errors: int = 0
    refused: int = 0
    latency: dict[str, Quantile] = field(default_factory=dict)
    prediction: Prediction | None = None
    features: dict[str, list[int]] = field(default_factory=dict)
    quality: dict[str, Proportion | Mean] = field(default_factory=dict)
    metrics: dict[str, Mean] = field(default_factory=dict)
    segments: dict[str, Sample] = field(default_factory=dict)

    @property
    def error_share(self) -> Proportion:
        """The share of executed requests that failed."""
        return Proportion().count(self.errors, self.requests)

    def merge(self, other: Sample) -> None:
        """Adds what another replica has counted.

        Raises:
            InputError: If they were counted in different cells, ranges or levels.
        """
        self.requests += other.requests
        self.errors += other.errors
        self.refused += other.refused
        _join(self.latency, other.latency)
        if other.prediction is not None:
            self.prediction = self.prediction or Prediction()
            self.prediction.merge(other.prediction)
        for name, cells in other.features.items():
            self.features[name] = _added(self.features.get(name, []), cells, f"feature {name!r}")
        for name, figure in other.quality.items():
            _join_quality(self.quality, name, figure)
        _join(self.metrics, other.metrics)
        for name, sample in other.segments.items():
            self.segments.setdefault(name, Sample()).merge(sample)

    def to_document(self) -> dict[str, Json]:
        """The sample as JSON."""
        prediction = self.prediction
        return {
            "requests": self.requests,
            "errors": self.errors,
            "refused": self.refused,
            "latency": {level: _written(figure) for level, figure in self.latency.items()},
            "prediction": None
            if prediction is None
            else {
                "cells": list(prediction.cells),
                **({} if prediction.mean is None else {"mean": _written(prediction.mean)}),
            },
            "features": {name: list(cells) for name, cells in self.features.items()},
            "quality": {name: _written(figure) for name, figure in self.quality.items()},
            "metrics": {name: _written(figure) for name, figure in self.metrics.items()},
            "segments": {name: sample.to_document() for name, sample in self.segments.items()},
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Reads what `to_document` made.

        Raises:
            StateError: If it is no sample.
        """
        try:
            prediction = document.get("prediction")
            return cls(
                requests=int(document["requests"]),
                errors=int(document["errors"]),
                refused=int(document.get("refused", 0)),
                latency={
                    level: _read(Quantile, figure)
                    for level, figure in document.get("latency", {}).items()
                },
                prediction=None if prediction is None else _prediction(prediction),
                features={
                    name: [int(count) for count in cells]
                    for name, cells in document.get("features", {}).items()
                },
                quality={
                    name: _quality(figure) for name, figure in document.get("quality", {}).items()
                },
                metrics={
                    name: _read(Mean, figure)
                    for name, figure in document.get("metrics", {}).items()
                },
                segments={
                    name: Sample.from_document(sample)
                    for name, sample in document.get("segments", {}).items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(error) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sample) and self.to_document() == other.to_document()


@dataclass(slots=True)
class Pairs:
    """Requests that were answered by two versions: live, and by its shadow.

    Attributes:
        pairs: Rows that both have answered.
        disagree: The share of rows whose label differs, or whose number differs by more than the
            tolerance.
        difference: The mean absolute difference of probabilities, in [0, 1].
        shadow_errors: Copies that failed by the shadow's fault.
        live_errors: Copied requests that failed by the live version's fault.
        dropped: Copies that were not executed, since the machine was busy serving.
    """

    pairs: int = 0
    disagree: Proportion = field(default_factory=Proportion)
    difference: Mean | None = None
    shadow_errors: int = 0
    live_errors: int = 0
    dropped: int = 0

    def merge(self, other: Pairs) -> None:
        """Adds what another replica has counted."""
        self.pairs += other.pairs
        self.disagree.merge(other.disagree)
        if other.difference is not None:
            if self.difference is None:
                self.difference = _copied(other.difference)
            else:
                self.difference.merge(other.difference)
        self.shadow_errors += other.shadow_errors
        self.live_errors += other.live_errors
        self.dropped += other.dropped

    def to_document(self) -> dict[str, Json]:
        """The pairs as JSON."""
        return {
            "pairs": self.pairs,
            "disagree": _written(self.disagree),
            **({} if self.difference is None else {"difference": _written(self.difference)}),
            "shadow_errors": self.shadow_errors,
            "live_errors": self.live_errors,
            "dropped": self.dropped,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Reads what `to_document` made.

        Raises:
            StateError: If it is none.
        """
        try:
            disagree, difference = document.get("disagree"), document.get("difference")
            return cls(
                pairs=int(document["pairs"]),
                disagree=Proportion() if disagree is None else _read(Proportion, disagree),
                difference=None if difference is None else _read(Mean, difference),
                shadow_errors=int(document.get("shadow_errors", 0)),
                live_errors=int(document.get("live_errors", 0)),
                dropped=int(document.get("dropped", 0)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(error) from error


@dataclass(slots=True)
class ShadowSamples:
    """A shadow beside the version whose requests it gets copies of.

    Attributes:
        version: The shadow's.
        live: Of the copied requests, as the live version answered them.
        shadow: Of the same, as the shadow did.
        pairs: Both, row by row.
    """

    version: str
    live: Sample = field(default_factory=Sample)
    shadow: Sample = field(default_factory=Sample)
    pairs: Pairs = field(default_factory=Pairs)


@dataclass(slots=True)
class Samples:
    """What was counted of a deployment within one revision, by one replica or by all.

    Attributes:
        deployment: Its name.
        revision: Which change of it this is.
        began: When counting began, seconds since 1970; of several replicas, the first.
        until: When it was read; of several replicas, the last.
        arms: By version.
        shadow: None without one.
        replicas: How many have counted.

    Example:
        >>> one = Samples("m", 3, 0.0, 9.0, {"1.0.0": Sample(requests=10)})
        >>> two = Samples("m", 3, 1.0, 8.0, {"1.0.0": Sample(requests=5)})
        >>> both = Samples.merged("m", 3, [one, two])
        >>> both.arms["1.0.0"].requests, both.replicas
        (15, 2)
    """

    deployment: str
    revision: int
    began: float = 0.0
    until: float = 0.0
    arms: dict[str, Sample] = field(default_factory=dict)
    shadow: ShadowSamples | None = None
    replicas: int = 1

    @classmethod
    def merged(cls, deployment: str, revision: int, samples: Iterable[Samples]) -> Self:
        """All replicas' samples of one revision as one; those of other revisions are left out.

        Raises:
            InputError: If they were counted in different cells, ranges or levels.
        """
        whole = cls(deployment, revision, replicas=0)
        for one in samples:
            if (one.deployment, one.revision) != (deployment, revision):
                continue
            first = whole.replicas == 0
            whole.began = one.began if first else min(whole.began, one.began)
            whole.until = max(whole.until, one.until)
            whole.replicas += one.replicas
            for version, sample in one.arms.items():
                whole.arms.setdefault(version, Sample()).merge(sample)
            if one.shadow is not None:
                if whole.shadow is None:
                    whole.shadow = ShadowSamples(one.shadow.version)
                whole.shadow.live.merge(one.shadow.live)
                whole.shadow.shadow.merge(one.shadow.shadow)
                whole.shadow.pairs.merge(one.shadow.pairs)
        return whole

    def to_document(self) -> dict[str, Json]:
        """The samples as JSON."""
        shadow = self.shadow
        return {
            "format": FORMAT,
            "deployment": self.deployment,
            "revision": self.revision,
            "began": self.began,
            "until": self.until,
            "arms": {version: sample.to_document() for version, sample in self.arms.items()},
            "shadow": None
            if shadow is None
            else {
                "version": shadow.version,
                "live": shadow.live.to_document(),
                "shadow": shadow.shadow.to_document(),
                "pairs": shadow.pairs.to_document(),
            },
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Reads what `to_document` or the data plane made.

        Raises:
            StateError: If it is none, or of a newer tidegate.
        """
        if document.get("format") != FORMAT:
            raise StateError(
                f"samples of format {document.get('format')!r}, and this tidegate reads {FORMAT}: "
                "upgrade tidegate"
            )
        try:
            shadow = document.get("shadow")
            return cls(
                deployment=str(document["deployment"]),
                revision=int(document["revision"]),
                began=float(document["began"]),
                until=float(document["until"]),
                arms={
                    version: Sample.from_document(sample)
                    for version, sample in document["arms"].items()
                },
                shadow=None
                if shadow is None
                else ShadowSamples(
                    str(shadow["version"]),
                    Sample.from_document(shadow["live"]),
                    Sample.from_document(shadow["shadow"]),
                    Pairs.from_document(shadow["pairs"]),
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(error) from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Reads JSON.

        Raises:
            StateError: If it is no document of samples.
        """
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise StateError(
                f"samples are damaged ({error}): the next ones replace them"
            ) from error
        if not isinstance(document, dict):
            raise StateError("samples are no JSON object: the next ones replace them")
        return cls.from_document(document)


def _prediction(document: Mapping[str, Any]) -> Prediction:
    mean = document.get("mean")
    cells = [int(count) for count in document["cells"]]
    return Prediction(cells, None if mean is None else _read(Mean, mean))


def _damaged(error: Exception) -> StateError:
    return StateError(
        f"samples are damaged ({type(error).__name__}: {error}): the next ones replace them"
    )
