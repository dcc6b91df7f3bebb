"""The signals that rules watch: each a name, how it is read from the history, and its PromQL.

Both sides are written beside each other so that a rule means the same in this process and in
Prometheus.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from tidegate.errors import ConfigurationError
from tidegate.monitoring.alerts.history import History
from tidegate.monitoring.exposition import Labels, Sample

__all__ = [
    "FAULTS",
    "SIGNALS",
    "Signal",
    "Source",
    "Values",
    "grouped",
    "quantile",
    "signal",
]

Values: TypeAlias = "dict[Labels, float]"
"""One value for each set of labels."""

INFINITE: Final = float("inf")

FAULTS: Final = (
    "backend",
    "closed",
    "deadline",
    "integrity",
    "internal",
    "not_ready",
    "overloaded",
    "state",
)
"""Outcomes of requests that are the server's fault rather than the caller's."""

TOTAL: Final = "tidegate_requests_total"
STAGE: Final = "tidegate_stage_seconds"


class Source(Protocol):
    """What yields named series: the page of metrics, a drift report, a report of quality."""

    def samples(self) -> Iterable[Sample]:
        """All series as they are now."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that can be watched.

    Attributes:
        name: As rules name it.
        meaning: For people.
        low: The least value that it can have.
        high: The greatest.
        read: From the history, the time, and the seconds to look back.
        query: PromQL with `$sel` for the selector's matchers and `$over` for the range.
        varies: Whether `over` means anything to it.
    """

    name: str
    meaning: str
    low: float
    high: float
    read: Callable[[History, float, float], Values]
    query: str
    varies: bool = True


def grouped(
    values: Mapping[Labels, float], by: tuple[str, ...] = ("model", "version"), **only: str
) -> Values:
    """Sums by some of the labels.

    Args:
        values: By their labels.
        by: The labels that stay.
        only: Labels that a value must have.

    Example:
        >>> ok, bad = (("model", "m"), ("outcome", "ok")), (("model", "m"), ("outcome", "state"))
        >>> grouped({ok: 1.0, bad: 2.0}, ("model",))
        {(('model', 'm'),): 3.0}
    """
    found: Values = {}
    for labels, value in values.items():
        own = dict(labels)
        if all(own.get(name) == wanted for name, wanted in only.items()):
            key = tuple((name, text) for name, text in labels if name in by)
            found[key] = found.get(key, 0.0) + value
    return found


def _rates(history: History, name: str, over: float, now: float) -> Values:
    grown = history.increase(name, over, now)
    return {labels: amount / seconds for labels, (amount, seconds) in grown.items() if seconds > 0}


def _rate(name: str, *by: str) -> Callable[[History, float, float], Values]:
    labels = by or ("model", "version")
    return lambda history, now, over: grouped(_rates(history, name, over, now), labels)


def _gauge(name: str) -> Callable[[History, float, float], Values]:
    return lambda history, _now, _over: dict(history.latest(name))


def _share(*outcomes: str) -> Callable[[History, float, float], Values]:
    def read(history: History, now: float, over: float) -> Values:
        rates = _rates(history, TOTAL, over, now)
        bad = grouped({key: v for key, v in rates.items() if dict(key).get("outcome") in outcomes})
        return {
            labels: bad.get(labels, 0.0) / value
            for labels, value in grouped(rates).items()
            if value > 0
        }

    return read


def quantile(buckets: Mapping[float, float], rank: float) -> float | None:
    """A quantile of a histogram with cumulative buckets, as Prometheus' `histogram_quantile`.

    Args:
        buckets: By upper edge: how many values are at or below; the last edge is infinite.
        rank: From 0 to 1.

    Example:
        >>> quantile({0.001: 50.0, 0.002: 100.0, INFINITE: 100.0}, 0.75)
        0.0015
    """
    edges = sorted(buckets)
    if not edges or buckets[edges[-1]] <= 0:
        return None
    wanted = rank * buckets[edges[-1]]
    below, before = 0.0, 0.0
    for edge in edges:
        if buckets[edge] >= wanted:
            if edge == INFINITE:
                return below
            width = buckets[edge] - before
            return below + (edge - below) * ((wanted - before) / width if width else 1.0)
        below, before = edge, buckets[edge]
    return below


def stage_buckets(history: History, over: float, now: float) -> dict[Labels, dict[float, float]]:
    """What each bucket of whole requests has grown by, for each model and version."""
    found: dict[Labels, dict[float, float]] = {}
    for labels, (amount, _) in history.increase(f"{STAGE}_bucket", over, now).items():
        own = dict(labels)
        if own.get("stage") != "total":
            continue
        key = tuple((name, text) for name, text in labels if name in ("model", "version"))
        found.setdefault(key, {})[float(own["le"])] = amount
    return found


def _latency(rank: float) -> Callable[[History, float, float], Values]:
    def read(history: History, now: float, over: float) -> Values:
        found = {}
        for labels, buckets in stage_buckets(history, over, now).items():
            value = quantile(buckets, rank)
            if value is not None:
                found[labels] = value
        return found

    return read


def _mean(history: History, now: float, over: float) -> Values:
    by = ("model", "version", "stage")
    sums = grouped(_rates(history, f"{STAGE}_sum", over, now), by)
    counts = grouped(_rates(history, f"{STAGE}_count", over, now), by)
    return {labels: sums[labels] / n for labels, n in counts.items() if n > 0 and labels in sums}


def _latency_query(rank: float) -> str:
    return (
        f"histogram_quantile({rank:g}, sum by (model, version, le) "
        f'(rate({STAGE}_bucket{{$sel,stage="total"}}[$over])))'
    )


def _share_query(*outcomes: str) -> str:
    wanted = "|".join(outcomes)
    every = f"sum by (model, version) (rate({TOTAL}{{$sel}}[$over]))"
    bad = f'sum by (model, version) (rate({TOTAL}{{$sel,outcome=~"{wanted}"}}[$over]))'
    # Outcomes that have not occurred have no series.
    return f"(({bad}) or 0 * ({every})) / (({every}) > 0)"


def _sum_query(name: str, *by: str) -> str:
    return f"sum by ({', '.join(by or ('model', 'version'))}) (rate({name}{{$sel}}[$over]))"


def _all() -> Iterable[Signal]:
    yield Signal(
        "requests_per_second",
        "Requests a second, whatever their outcome.",
        0,
        INFINITE,
        _rate(TOTAL),
        _sum_query(TOTAL),
    )
    rows = "tidegate_rows_total"
    yield Signal(
        "rows_per_second", "Rows answered a second.", 0, INFINITE, _rate(rows), _sum_query(rows)
    )
    yield Signal(
        "error_ratio",
        "The share of requests that failed by the server's fault.",
        0,
        1,
        _share(*FAULTS),
        _share_query(*FAULTS),
    )
    yield Signal(
        "invalid_ratio",
        "The share of requests that were refused as invalid.",
        0,
        1,
        _share("invalid_input"),
        _share_query("invalid_input"),
    )
    for rank, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
        yield Signal(
            f"latency_{name}",
            f"Seconds within which {rank:.0%} of the requests were answered.",
            0,
            INFINITE,
            _latency(rank),
            _latency_query(rank),
        )
    labels = "model, version, stage"
    yield Signal(
        "stage_mean",
        "Mean seconds of each stage of a request; label `stage`.",
        0,
        INFINITE,
        _mean,
        f"sum by ({labels}) (rate({STAGE}_sum{{$sel}}[$over])) / "
        f"(sum by ({labels}) (rate({STAGE}_count{{$sel}}[$over])) > 0)",
    )
    for name, metric, meaning in (
        ("queue_rows", "tidegate_queue_rows", "Rows that wait for the model."),
        ("queue_bytes", "tidegate_queue_bytes", "Bytes that wait for the model."),
    ):
        yield Signal(name, meaning, 0, INFINITE, _gauge(metric), f"{metric}{{$sel}}", False)
    refused = "tidegate_queue_refused_total"
    yield Signal(
        "refused_per_second",
        "Requests a second that were not executed, for whatever reason.",
        0,
        INFINITE,
        _rate(refused),
        _sum_query(refused),
    )
    dropped = "tidegate_observations_dropped_total"
    yield Signal(
        "unwatched_per_second",
        "Rows a second that were not watched, as the observer was behind.",
        0,
        INFINITE,
        _rate(dropped),
        _sum_query(dropped),
    )
    broken = "tidegate_rule_failures_total"
    yield Signal(
        "rule_failures_per_second",
        "Rows a second that broke a rule of the bundle; label `rule`.",
        0,
        INFINITE,
        _rate(broken, "model", "version", "rule"),
        _sum_query(broken, "model", "version", "rule"),
    )
    mistyped = "tidegate_mistyped_requests_total"
    yield Signal(
        "mistyped_per_second",
        "Requests a second that were refused for a value of a wrong type; label `column`.",
        0,
        INFINITE,
        _rate(mistyped, "model", "version", "column"),
        _sum_query(mistyped, "model", "version", "column"),
    )
    for name, metric, high, meaning in (
        ("drift_psi", "tidegate_drift_psi", INFINITE, "Population stability index"),
        ("drift_js", "tidegate_drift_js", 1.0, "Jensen–Shannon distance"),
    ):
        yield Signal(
            name,
            f"{meaning} of a column in the last closed window; labels `column`, `role`.",
            0,
            high,
            _gauge(metric),
            f"{metric}{{$sel}}",
            False,
        )


SIGNALS: Final[Mapping[str, Signal]] = {found.name: found for found in _all()}
"""Every signal, by its name."""


def signal(name: str, place: str) -> Signal:
    """The signal of a name.

    Args:
        name: As a rule has it.
        place: Where, for the error.

    Raises:
        ConfigurationError: If there is none; the message names the nearest.

    Example:
        >>> signal("latency_p98", "rule 'slow'")
        Traceback (most recent call last):
        ...
        tidegate.errors.ConfigurationError: rule 'slow': there is no signal 'latency_p98': did you mean latency_p99?
    """
    found = SIGNALS.get(name)
    if found is None:
        near = difflib.get_close_matches(name, SIGNALS, n=1, cutoff=0.0)[0]
        raise ConfigurationError(f"{place}: there is no signal {name!r}: did you mean {near}?")
    return found
