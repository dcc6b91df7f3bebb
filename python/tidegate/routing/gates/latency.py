"""A quantile of the latency."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.monitoring.sequential import Difference
from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.gate import Gate
from tidegate.routing.gates.material import Material, Stage
from tidegate.routing.gates.verdict import Verdict, judged, silent
from tidegate.routing.gates.words import time
from tidegate.routing.plan import Observe
from tidegate.types import Json

__all__ = ["Latency"]

QUANTILE: Final = 0.99
SLOWER: Final = 0.25
"""By what part of stable's quantile it may be slower by default."""

GRACE: Final = 0.002
"""By how many seconds it may be slower at any rate, by default."""

MOST_SECONDS: Final = 3_600.0


@dataclass(frozen=True, kw_only=True)
class Latency(Gate):
    """No slower than stable, within a margin; or no slower than an absolute time.

    The limit is the greater of `(1 + slower)` times stable's quantile and stable's quantile plus `grace`,
    so that a model which answers in microseconds is not held against microseconds.

    Attributes:
        quantile: Which one.
        slower: By what part of stable's it may be slower.
        grace: By how many seconds it may be slower at any rate.
        at_most: The greatest time in seconds, whatever stable's is.

    Raises:
        InputError: If the quantile is not between 0 and 1, or a time is negative.

    Example:
        >>> import numpy as np
        >>> from tidegate.monitoring.sequential import Quantile
        >>> from tidegate.routing.gates import Budget, Material
        >>> from tidegate.routing.samples import Sample
        >>> times = np.random.default_rng(0).gamma(2.0, 0.005, 4_000)
        >>> stable = Sample(requests=4_000, latency={"0.99": Quantile(0.99).update(times)})
        >>> slow = Sample(requests=4_000, latency={"0.99": Quantile(0.99).update(2 * times)})
        >>> Latency().check(Material(stable, slow), Budget()).outcome
        'fail'
    """

    quantile: float = QUANTILE
    slower: float = SLOWER
    grace: float = GRACE
    at_most: float | None = None

    kind: ClassVar[str] = "latency"
    # Copies for a shadow run at a low priority: their times say nothing.
    stages: ClassVar[frozenset[Stage]] = frozenset({"split", "switched"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.quantile < 1:
            raise InputError(
                f"gate {self.name!r}: quantile {self.quantile:g}: give a share such as 0.99"
            )
        if self.slower < 0 or self.grace < 0 or (self.at_most is not None and self.at_most <= 0):
            raise InputError(f"gate {self.name!r}: a time below 0: give times above it")
        if self.at_most is None and self.slower == 0 and self.grace == 0:
            raise InputError(
                f"gate {self.name!r}: no margin at all can never pass: give slower or grace"
            )

    def suits(self, stage: Stage) -> bool:
        """Whether it has something to say in such a step."""
        return super().suits(stage) and (stage != "switched" or self.at_most is not None)

    def judge(self, material: Material, budget: Budget) -> Verdict:
        """What it says of all requests of the material."""
        level = repr(self.quantile)
        candidate = material.candidate.latency.get(level)
        if candidate is None and material.candidate.latency:
            return silent(self.name, f"quantile {level} is not counted: start the rollout anew")
        if candidate is None or not candidate.rows:
            return silent(self.name, "no request was answered yet", self.at_most)
        if self.at_most is not None:
            return judged(self.name, candidate, self.at_most, budget, time, brief=material.brief)
        stable = material.stable.latency.get(level)
        known = None if stable is None else stable.estimate
        if stable is None or known is None:
            return silent(self.name, "stable has answered no request yet")
        limit = stable.stretched(ratio=1 + self.slower, plus=self.grace)
        return judged(
            self.name,
            Difference(limit, candidate),
            0.0,
            budget,
            time,
            shown=Difference(stable, candidate),
            margin=max(self.slower * known, self.grace),
            brief=material.brief,
        )

    def observed(self, observe: Observe) -> Observe:
        """What must be counted for it, beside what is counted already."""
        observe = super().observed(observe)
        quantiles = dict.fromkeys((*observe.quantiles, self.quantile))
        return replace(observe, quantiles=tuple(quantiles))

    def keys(self) -> dict[str, Json]:
        """Its own keys and values, as documents have them."""
        return {
            "quantile": self.quantile,
            "slower": self.slower,
            "grace": self.grace,
            "at_most": self.at_most,
        }

    @classmethod
    def take(cls, table: Table) -> dict[str, Any]:
        """Reads its own keys."""
        return {
            "quantile": table.bounded("quantile", QUANTILE, 0.0, 1.0),
            "slower": table.bounded("slower", SLOWER, 0.0, 100.0),
            "grace": table.seconds("grace", GRACE, most=MOST_SECONDS),
            "at_most": table.some_seconds("at_most", most=MOST_SECONDS),
        }
