"""The stated chances of deciding wrongly, and how they are shared out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.types import Json

__all__ = ["Budget"]

GREATEST: Final = 0.5
"""The greatest chance of a wrong decision that can be asked for."""

LEAST: Final = 1e-6
"""The smallest: smaller ones need more requests than anybody has."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The greatest chances of wrong decisions, over a whole rollout and however often it is looked at.

    Attributes:
        false_abort: That a candidate is aborted which keeps the margin of every gate.
        false_promotion: That a candidate is promoted which misses the margin of some gate.

    Raises:
        InputError: If one is not a probability that can be kept.

    Example:
        >>> Budget(0.05, 0.01).over(5)
        Budget(false_abort=0.01, false_promotion=0.01)
    """

    false_abort: float = 0.05
    false_promotion: float = 0.05

    def __post_init__(self) -> None:
        for name, chance in (
            ("false_abort", self.false_abort),
            ("false_promotion", self.false_promotion),
        ):
            if not 0 < chance < 1:
                raise InputError(f"{name} is {chance}: give a probability such as 0.05")

    def over(self, tests: int, *, any_passes: bool = False) -> Budget:
        """The share of each of several tests.

        Any one that fails aborts, so the chances of a false abort add up: each gets a part. All must
        pass for a promotion, so that of a false one is that of the test which is missed alone.

        Args:
            tests: How many there are.
            any_passes: Whether one that passes may be enough, so that these chances add up too.
        """
        tests = max(tests, 1)
        promotion = self.false_promotion / tests if any_passes else self.false_promotion
        return Budget(self.false_abort / tests, promotion)

    def paired(self) -> Budget:
        """For a test of two samples of the same requests.

        The product of two e-values that depend on each other need not be one. Its root is, by
        Cauchy and Schwarz, and that it reaches `1 / alpha` is that the product reaches its square.
        """
        return Budget(self.false_abort**2, self.false_promotion**2)

    def either(self) -> Budget:
        """The smaller chance for both, for a test whose outcome may be turned round."""
        least = min(self.false_abort, self.false_promotion)
        return Budget(least, least)

    def to_document(self) -> dict[str, Json]:
        """The chances as JSON."""
        return {"false_abort": self.false_abort, "false_promotion": self.false_promotion}

    @classmethod
    def from_document(cls, document: Mapping[str, Any] | None) -> Budget:
        """Reads what people write, or what `to_document` made; what is absent is as by default.

        Raises:
            InputError: If a key is unknown or out of its range.
        """
        table = Table(document or {}, "budget", InputError)
        budget = cls(
            table.bounded("false_abort", cls().false_abort, LEAST, GREATEST),
            table.bounded("false_promotion", cls().false_promotion, LEAST, GREATEST),
        )
        table.done()
        return budget
