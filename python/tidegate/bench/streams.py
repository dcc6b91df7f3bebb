"""Requests of two versions in virtual time, for rollouts that never happened.

Nothing is served: how often a version fails, how long it takes and what it predicts are drawn, tick by
tick, and counted into the samples that the gates look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from tidegate.monitoring.sequential import Proportion, Quantile
from tidegate.routing.samples import Prediction, Sample

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Minute", "Traffic", "Version"]

CELLS: Final = 12
"""Cells of the prediction: tenths, and what is out of range or missing."""

MEDIAN_SECONDS: Final = 0.010
SPREAD: Final = 0.5
"""Of the logarithm of the latency."""


@dataclass(frozen=True, slots=True)
class Version:
    """How a version behaves.

    Attributes:
        errors: The share of requests that fail.
        slower: By what factor it is slower than 10 ms in the median.
        moved: The share of rows whose prediction moves from the lower half of the scores to the upper.
        wrong: The share of wrong labels.
        segments: Segments in which it behaves otherwise.
    """

    errors: float = 0.002
    slower: float = 1.0
    moved: float = 0.0
    wrong: float = 0.15
    segments: Mapping[str, Version] = field(default_factory=dict)

    def within(self, segment: str) -> Version:
        """How it behaves in a segment."""
        return self.segments.get(segment, replace(self, segments={}))


@dataclass(frozen=True, slots=True)
class Minute:
    """What a rule by fixed thresholds is told of one minute of a version.

    Attributes:
        requests: Executed ones.
        errors: Of them.
        p99: Seconds; none without requests.
    """

    requests: int
    errors: int
    p99: float | None


@dataclass(slots=True)
class Traffic:
    """Draws requests.

    Attributes:
        stable: How stable behaves.
        candidate: How the candidate does.
        rate: Requests a second.
        segments: The share of each segment.
        labels: The share of predictions whose label comes, at once.
        storms: Of each storm when it begins and ends, in seconds, and the share of errors that it
            adds for both versions: a dependency that is down.
        wave: By what part the latency of both goes up and down within the hour.
        seed: Of the random numbers.
    """

    stable: Version
    candidate: Version
    rate: float = 50.0
    segments: Mapping[str, float] = field(default_factory=dict)
    labels: float = 0.0
    storms: tuple[tuple[float, float, float], ...] = ()
    wave: float = 0.0
    seed: int = 0
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import numpy as np

        self._rng = np.random.default_rng(self.seed)

    def tick(
        self, now: float, seconds: float, weight: float, stable: Sample, candidate: Sample
    ) -> tuple[Minute, Minute]:
        """Adds the requests of a time to the samples of both versions.

        Args:
            now: When it begins.
            seconds: How long it is.
            weight: The candidate's share.
            stable: Is added to.
            candidate: Is added to.

        Returns:
            The same time of stable and of the candidate as monitoring by thresholds sees it.
        """
        rng = self._rng
        count = int(rng.poisson(self.rate * seconds))
        tried = int(rng.binomial(count, weight))
        return (
            self._add(now, self.stable, count - tried, stable),
            self._add(now, self.candidate, tried, candidate),
        )

    def _add(self, now: float, version: Version, count: int, sample: Sample) -> Minute:
        import numpy as np

        if not self.segments:
            times, errors = self._draw(now, version, count, (sample,))
        else:
            counts = self._rng.multinomial(count, list(self.segments.values()))
            parts = []
            errors = 0
            for name, rows in zip(self.segments, counts, strict=True):
                part = sample.segments.setdefault(name, Sample())
                drawn, failed = self._draw(now, version.within(name), int(rows), (sample, part))
                parts.append(drawn)
                errors += failed
            times = np.concatenate(parts)
        sample.latency.setdefault("0.99", Quantile(0.99)).update(times)
        return Minute(count, errors, float(np.quantile(times, 0.99)) if len(times) else None)

    def _draw(
        self, now: float, version: Version, count: int, samples: tuple[Sample, ...]
    ) -> tuple[npt.NDArray[np.float64], int]:
        """Adds requests to samples, all but their times, which it gives with the errors."""
        import numpy as np

        rng = self._rng
        storm = sum(share for begin, end, share in self.storms if begin <= now < end)
        errors = int(rng.binomial(count, min(1.0, version.errors + storm)))
        answered = count - errors
        slower = version.slower * (1 + self.wave * np.sin(2 * np.pi * now / 3_600))
        times = slower * MEDIAN_SECONDS * rng.lognormal(0.0, SPREAD, answered)
        shares = np.full(CELLS, 0.0)
        shares[1:-1] = 0.1
        shares[1:6] -= version.moved / 5
        shares[6:11] += version.moved / 5
        cells = rng.multinomial(answered, shares)
        known = int(rng.binomial(answered, self.labels))
        wrong = int(rng.binomial(known, version.wrong))
        for sample in samples:
            sample.requests += count
            sample.errors += errors
            sample.prediction = sample.prediction or Prediction([0] * CELLS)
            sample.prediction.cells = [
                a + int(b) for a, b in zip(sample.prediction.cells, cells, strict=True)
            ]
            if known:
                share = sample.quality.setdefault("error", Proportion())
                assert isinstance(share, Proportion)
                share.count(wrong, known)
        return times, errors
