"""A business metric that feedback reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.monitoring.sequential import Difference
from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.gate import Gate
from tidegate.routing.gates.material import Material, Stage
from tidegate.routing.gates.verdict import Verdict, judged, silent
from tidegate.routing.gates.words import number
from tidegate.routing.plan import Observe
from tidegate.types import Json

__all__ = ["Metric"]

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Metric(Gate):
    """The mean of a business metric is no worse than stable's, within a margin.

    The effect is the candidate's mean minus stable's.

    Attributes:
        metric: As feedback names it; its range stands in `observe.metrics`.
        better: `higher` or `lower`.
        margin: By how much it may be worse, in the metric's unit.
        bound: What it must keep, whatever stable's mean is; `margin` is not looked at then.

    Raises:
        InputError: If there is neither a margin above 0 nor a bound.

    Example:
        >>> from tidegate.monitoring.sequential import Mean
        >>> from tidegate.routing.gates import Budget, Material
        >>> from tidegate.routing.samples import Sample
        >>> old = Sample(metrics={"revenue": Mean(0, 10).update([5.0, 6.0] * 1_000)})
        >>> new = Sample(metrics={"revenue": Mean(0, 10).update([3.0, 4.0] * 1_000)})
        >>> gate = Metric(metric="revenue", margin=0.5)
        >>> gate.check(Material(old, new), Budget()).outcome
        'fail'
    """

    metric: str
    better: Better = "higher"
    margin: float = 0.0
    bound: float | None = None

    kind: ClassVar[str] = "metric"
    stages: ClassVar[frozenset[Stage]] = frozenset({"split", "switched"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.better not in get_args(Better):
            raise InputError(f"gate {self.name!r}: better {self.better!r}: use higher or lower")
        if not self.metric:
            raise InputError(f"gate {self.name!r}: no metric: name one that feedback reports")
        if self.bound is None and not self.margin > 0:
            raise InputError(
                f"gate {self.name!r}: a margin of {self.margin:g} can never pass: say by how much "
                f"{self.metric!r} may be worse"
            )

    def suits(self, stage: Stage) -> bool:
        """Whether it has something to say in such a step."""
        return super().suits(stage) and (stage != "switched" or self.bound is not None)

    def judge(self, material: Material, budget: Budget) -> Verdict:
        """What it says of all requests of the material."""
        candidate = material.candidate.metrics.get(self.metric)
        sign = -1.0 if self.better == "higher" else 1.0
        limit = sign * self.margin if self.bound is None else self.bound
        if candidate is None or not candidate.rows:
            return silent(self.name, f"no {self.metric} of the candidate was reported yet", limit)
        side: Literal["above", "below"] = "below" if self.better == "higher" else "above"
        if self.bound is not None:
            return judged(
                self.name, candidate, self.bound, budget, number, side=side, brief=material.brief
            )
        stable = material.stable.metrics.get(self.metric)
        if stable is None or not stable.rows:
            return silent(self.name, f"no {self.metric} of stable was reported yet", limit)
        figure = Difference(stable, candidate)
        return judged(self.name, figure, limit, budget, number, side=side, brief=material.brief)

    def observed(self, observe: Observe) -> Observe:
        """What must be counted for it, beside what is counted already.

        Raises:
            InputError: If the range of the metric is not stated.
        """
        if self.metric not in {metric.name for metric in observe.metrics}:
            raise InputError(
                f"gate {self.name!r}: the range of metric {self.metric!r} is not stated: add it to "
                "observe.metrics with low and high"
            )
        return super().observed(observe)

    def keys(self) -> dict[str, Json]:
        """Its own keys and values, as documents have them."""
        return {
            "metric": self.metric,
            "better": self.better,
            "margin": self.margin or None,
            "bound": self.bound,
        }

    @classmethod
    def take(cls, table: Table) -> dict[str, Any]:
        """Reads its own keys."""
        return {
            "metric": table.need("metric"),
            "better": table.text("better", "higher"),
            "margin": table.number("margin") or 0.0,
            "bound": table.number("bound"),
        }
