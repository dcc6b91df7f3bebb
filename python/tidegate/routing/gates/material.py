"""What gates look at: the samples of two versions, and how they came about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tidegate.routing.samples import Pairs, Sample

__all__ = ["Material", "Stage"]

Stage = Literal["split", "shadow", "switched"]
"""How candidate and stable get requests: each its own, both the same, or all the candidate."""


@dataclass(frozen=True, slots=True)
class Material:
    """What was counted of stable and of a candidate in one step.

    Attributes:
        stable: Of the stable version.
        candidate: Of the candidate, or of the shadow.
        stage: How they got their requests.
        pairs: Of a shadow.
        brief: Ask for outcomes only, which costs a fraction: no intervals, and no forecasts.
    """

    stable: Sample
    candidate: Sample
    stage: Stage = "split"
    pairs: Pairs | None = None
    brief: bool = False

    def segment(self, name: str) -> Material:
        """The same of one segment; empty where nobody has seen it."""
        return replace(
            self,
            stable=self.stable.segments.get(name, Sample()),
            candidate=self.candidate.segments.get(name, Sample()),
            pairs=None,
        )

    @property
    def segments(self) -> list[str]:
        """The segments that either version has seen, the largest first."""
        rows: dict[str, int] = {}
        for sample in (self.stable, self.candidate):
            for name, segment in sample.segments.items():
                rows[name] = rows.get(name, 0) + segment.requests
        return sorted(rows, key=lambda name: (-rows[name], name))
