"""Latency by stage, from the page of metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Final

from tidegate.monitoring.alerts.signals import STAGE, quantile
from tidegate.monitoring.charts import ranges
from tidegate.monitoring.exposition import Sample

__all__ = ["Stage", "panel", "stages_of"]

ORDER: Final = ("admit", "decode", "features", "queue", "backend", "encode", "total")
"""The stages in the order of a request."""


@dataclass(slots=True)
class Stage:
    """The times of one stage of one version.

    Attributes:
        version: The bundle's version.
        stage: The stage's name.
        seconds: In all.
        buckets: How many took at most so long, by upper edge.
    """

    version: str
    stage: str
    seconds: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)

    @property
    def count(self) -> float:
        """How often."""
        return self.buckets.get(float("inf"), 0.0)


def stages_of(samples: Iterable[Sample], model: str) -> list[Stage]:
    """The stages of a model that took any time, in the order of a request.

    Args:
        samples: Of the page of metrics.
        model: The served name.
    """
    found: dict[tuple[str, str], Stage] = {}
    for sample in samples:
        own = dict(sample.labels)
        if own.get("model") != model or "stage" not in own:
            continue
        key = (own.get("version", ""), own["stage"])
        stage = found.setdefault(key, Stage(*key))
        if sample.name == f"{STAGE}_bucket":
            stage.buckets[float(own["le"])] = sample.value
        elif sample.name == f"{STAGE}_sum":
            stage.seconds = sample.value
    known = [stage for stage in found.values() if stage.count and stage.stage in ORDER]
    return sorted(known, key=lambda stage: (stage.version, ORDER.index(stage.stage)))


def panel(stages: list[Stage]) -> str:
    """The panel; nothing where nothing was asked yet."""
    if not stages:
        return ""
    many = len({stage.version for stage in stages}) > 1
    rows = []
    cells = []
    for stage in stages:
        name = f"{stage.stage} {stage.version}" if many else stage.stage
        ranks = [quantile(stage.buckets, rank) or 0.0 for rank in (0.5, 0.95, 0.99)]
        mean = stage.seconds / stage.count
        rows.append((name, mean, ranks[0], ranks[1], ranks[2]))
        values = "".join(f"<td>{_milliseconds(value)}</td>" for value in (mean, *ranks))
        cells.append(f"<tr><td>{escape(name)}</td><td>{stage.count:,.0f}</td>{values}</tr>")
    return (
        '<section class="panel"><h2>Latency by stage</h2><p class="muted">Since the model was '
        "loaded: from the median to the 99th percentile, darker to the 95th; the dot is the mean. "
        "Percentiles are within buckets that double.</p>"
        f'<div class="scroll">{ranges(rows)}</div>'
        '<table class="figures"><thead><tr><th>stage</th><th>times</th><th>mean, ms</th>'
        "<th>p50, ms</th><th>p95, ms</th><th>p99, ms</th></tr></thead><tbody>"
        f"{''.join(cells)}</tbody></table></section>"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}"
