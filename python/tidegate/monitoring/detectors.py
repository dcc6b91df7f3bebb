"""Detectors of change in a stream of values: its errors, a feature, a latency.

A detector reads one stream and says after each value whether the stream has changed; after a change it starts
afresh. Each decides as river 0.26 does with the same parameters. NaN is missing and counted; values that
are infinite or beyond 1e140 are counted apart; neither is seen by the detector.
"""

from __future__ import annotations

import json
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from tidegate import _core
from tidegate.errors import StateError
from tidegate.sketch.summary import Numbers, floats

__all__ = [
    "ADWIN",
    "CUSUM",
    "DDM",
    "HDDMA",
    "HDDMW",
    "KSWIN",
    "Detector",
    "PageHinkley",
]

Direction = Literal["up", "down", "both"]


class Detector:
    """What all detectors have in common; make one of its subclasses.

    Parameters that are not given have the defaults that the subclass names.
    """

    _native: _core.Detector
    _method: str

    def _begin(self, **parameters: object) -> None:
        given = {name: value for name, value in parameters.items() if value is not None}
        self._native = _core.Detector(self._method, json.dumps(given))

    def update(self, value: float) -> bool:
        """Takes in one value and says whether it shows a change.

        Raises:
            InputError: a value outside 0 to 1 for a detector of error rates.
        """
        return self._native.update(value)

    def update_many(self, values: Numbers) -> npt.NDArray[np.int64]:
        """Takes in many values, as fast as they come.

        Returns:
            The positions of the values that showed a change.

        Raises:
            InputError: the values are no numbers, or outside 0 to 1 for a detector of error rates; then
                none was taken in.
        """
        return self._native.update_many(floats(values))[0]

    def restart(self) -> None:
        """Forgets what was seen since the last change; counters stay."""
        self._native.restart()

    @property
    def drift(self) -> bool:
        """Did the last value show a change?"""
        return self._native.drift

    @property
    def warning(self) -> bool:
        """May something be changing? DDM and HDDM say so."""
        return self._native.warning

    @property
    def count(self) -> int:
        """Values taken in since the detector was made."""
        return self._native.count

    @property
    def missing(self) -> int:
        """NaN values seen."""
        return self._native.missing

    @property
    def infinite(self) -> int:
        """Values seen that are infinite or beyond 1e140."""
        return self._native.infinite

    @property
    def drifts(self) -> int:
        """Changes found since the detector was made."""
        return self._native.drifts

    @property
    def figures(self) -> dict[str, float]:
        """What decisions come from, such as `mean` and `width`, of the values since the last start."""
        return dict(self._native.figures())

    def to_json(self) -> str:
        """Parameters and state as canonical, versioned JSON; `from_json` reads it."""
        return self._native.to_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote, of this or any earlier version.

        `Detector.from_json` reads any detector and makes one of its class.

        Raises:
            StateError: the text is damaged, of a newer version, or of another detector.
        """
        native = _core.Detector.from_json(text)
        for kind in Detector.__subclasses__():
            if kind._method == native.method and issubclass(kind, cls):
                detector = kind.__new__(kind)
                detector._native = native
                return detector
        raise StateError(f"a detector of method {native.method} is no {cls.__name__}")

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return type(self).from_json, (self.to_json(),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # detectors change

    def __repr__(self) -> str:
        return f"{type(self).__name__}(count={self.count}, drifts={self.drifts})"


class ADWIN(Detector):
    """A window that shrinks when its parts disagree about the mean: no parameter but a level.

    Args:
        delta: bound on false alarms; 0.002.
        clock: cuts are looked at after every so many values; 32.
        max_buckets: buckets of one size before two become one; 5.
        min_window: fewest values on a side of a cut; 5.
        grace: values before the first look; 10.
        keep_window: what is left of the window outlives a change, as in the paper; river forgets it.

    Raises:
        InputError: a parameter out of range.

    Example:
        >>> import random
        >>> rng = random.Random(12345)
        >>> stream = rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)
        >>> ADWIN().update_many(stream)
        array([1023])

    Source:
        Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing", 2007.
    """

    _method = "adwin"

    def __init__(
        self,
        *,
        delta: float | None = None,
        clock: int | None = None,
        max_buckets: int | None = None,
        min_window: int | None = None,
        grace: int | None = None,
        keep_window: bool | None = None,
    ) -> None:
        self._begin(
            delta=delta,
            clock=clock,
            max_buckets=max_buckets,
            min_window=min_window,
            grace=grace,
            keep_window=keep_window,
        )


class PageHinkley(Detector):
    """Cumulated deviations from a running mean; in units of the values.

    Args:
        min_count: values before the first decision; 30.
        delta: a deviation that is harmless; 0.005.
        threshold: how far the cumulated deviations may go; 50.
        fading: what is left of them after each value; 0.9999.
        direction: which changes count: "up", "down" or "both", the default.

    Raises:
        InputError: a parameter out of range.

    Example:
        >>> import random
        >>> rng = random.Random(12345)
        >>> stream = rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)
        >>> PageHinkley().update_many(stream)
        array([1006])

    Source:
        Page, "Continuous inspection schemes", 1954; Sebastião and Fernandes 2017.
    """

    _method = "page_hinkley"

    def __init__(
        self,
        *,
        min_count: int | None = None,
        delta: float | None = None,
        threshold: float | None = None,
        fading: float | None = None,
        direction: Direction | None = None,
    ) -> None:
        self._begin(
            min_count=min_count,
            delta=delta,
            threshold=threshold,
            fading=fading,
            direction=direction,
        )


class CUSUM(Detector):
    """Cumulated deviations from a known mean, or from that of the first values; in standard deviations.

    At the defaults a steady normal stream alarms once in some 470 values; raise the threshold for
    rarer alarms.

    Args:
        mean: the mean of the steady stream, together with `std`; else taken from the first values.
        std: the standard deviation of the steady stream.
        min_count: values that the reference is taken from; 30.
        slack: a deviation that is harmless, in standard deviations; 0.5.
        threshold: how far a sum may go, in standard deviations; 5.
        direction: which changes count: "up", "down" or "both", the default.

    Raises:
        InputError: a parameter out of range, or half a reference.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> stream = np.concatenate([rng.normal(10, 2, 200), rng.normal(16, 2, 5)])
        >>> CUSUM(mean=10.0, std=2.0, threshold=8.0).update_many(stream)
        array([204])

    Source:
        Page, "Continuous inspection schemes", 1954; Montgomery, "Introduction to Statistical
        Quality Control", chapter 9.
    """

    _method = "cusum"

    def __init__(
        self,
        *,
        mean: float | None = None,
        std: float | None = None,
        min_count: int | None = None,
        slack: float | None = None,
        threshold: float | None = None,
        direction: Direction | None = None,
    ) -> None:
        self._begin(
            mean=mean,
            std=std,
            min_count=min_count,
            slack=slack,
            threshold=threshold,
            direction=direction,
        )


class DDM(Detector):
    """An error rate far above its best: a stream of 0 (right) and 1 (wrong).

    Args:
        min_count: values before the first decision; 30.
        warning: standard deviations above the best that are a warning; 2.
        drift: standard deviations above the best that are a change; 3.

    Raises:
        InputError: a parameter out of range.

    Example:
        >>> import random
        >>> rng = random.Random(42)
        >>> stream = rng.choices([0, 1], k=1000) + rng.choices([0, 1], k=1000, weights=[0.3, 0.7])
        >>> DDM().update_many(stream)
        array([1334])

    Source:
        Gama, Medas, Castillo and Rodrigues, "Learning with drift detection", 2004.
    """

    _method = "ddm"

    def __init__(
        self,
        *,
        min_count: int | None = None,
        warning: float | None = None,
        drift: float | None = None,
    ) -> None:
        self._begin(min_count=min_count, warning=warning, drift=drift)


class HDDMA(Detector):
    """Hoeffding's bound on means: a stream of values from 0 to 1; good at sudden changes.

    Args:
        warning: level of a warning; 0.005.
        drift: level of a change; 0.001.
        two_sided: decreases count as well as increases.

    Raises:
        InputError: a parameter out of range.

    Example:
        >>> import random
        >>> rng = random.Random(42)
        >>> stream = rng.choices([0, 1], k=1000) + rng.choices([0, 1], k=1000, weights=[0.3, 0.7])
        >>> HDDMA().update_many(stream)
        array([1206])

    Source:
        Frías-Blanco and others, "Online and non-parametric drift detection methods based on
        Hoeffding's bounds", 2014.
    """

    _method = "hddm_a"

    def __init__(
        self,
        *,
        warning: float | None = None,
        drift: float | None = None,
        two_sided: bool | None = None,
    ) -> None:
        self._begin(warning=warning, drift=drift, two_sided=two_sided)


class HDDMW(Detector):
    """McDiarmid's bound on weighted means: a stream of values from 0 to 1; good at gradual changes.

    Args:
        warning: level of a warning; 0.005.
        drift: level of a change; 0.001.
        weight: weight of the newest value; 0.05.
        two_sided: decreases count as well as increases.

    Raises:
        InputError: a parameter out of range.

    Example:
        >>> import random
        >>> rng = random.Random(42)
        >>> stream = rng.choices([0, 1], k=1000) + rng.choices([0, 1], k=1000, weights=[0.3, 0.7])
        >>> HDDMW().update_many(stream)
        array([1077])

    Source:
        Frías-Blanco and others, "Online and non-parametric drift detection methods based on
        Hoeffding's bounds", 2014.
    """

    _method = "hddm_w"

    def __init__(
        self,
        *,
        warning: float | None = None,
        drift: float | None = None,
        weight: float | None = None,
        two_sided: bool | None = None,
    ) -> None:
        self._begin(warning=warning, drift=drift, weight=weight, two_sided=two_sided)


class KSWIN(Detector):
    """The Kolmogorov–Smirnov test over a sliding window: finds changes of shape, too.

    The draws differ from river's, whose generator has a state of 2.5 kB, so with one seed the two
    decide alike in distribution, not value by value.

    Args:
        alpha: level of the test, which is made after every value; 0.005.
        window: values of the window, at most 10,000; 100.
        recent: the newest of them, which are tested against as many drawn from the rest; 30.
        seed: where the draws begin; 0.

    Raises:
        InputError: a parameter out of range.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> stream = np.concatenate([rng.normal(0, 1, 500), rng.normal(2, 1, 100)])
        >>> bool(KSWIN(alpha=0.0001).update_many(stream)[0] >= 500)
        True

    Source:
        Raab, Heusinger and Schleif, "Reactive soft prototype computing for concept drift streams",
        2020.
    """

    _method = "kswin"

    def __init__(
        self,
        *,
        alpha: float | None = None,
        window: int | None = None,
        recent: int | None = None,
        seed: int | None = None,
    ) -> None:
        self._begin(alpha=alpha, window=window, recent=recent, seed=seed)
