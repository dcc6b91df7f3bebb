"""What one check says: an outcome, figures with intervals, one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Figure", "Outcome", "Result", "failed", "passed", "skipped", "warned"]

Outcome = Literal["pass", "warn", "fail", "skipped"]
"""How a check came out: `warn` is for a person to look at, `skipped` says what was missing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a check.

    Attributes:
        name: what it is, such as `auc difference`.
        value: the number; None where it is not known.
        low: the lower end of its interval, or None.
        high: the upper end.
        level: the interval's confidence, such as 0.95.
        limit: what it was held against, if anything.
        unit: `s`, `B`, `share`, `rows` or empty.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    limit: float | None = None
    unit: str = ""

    @property
    def text(self) -> str:
        """The number with its interval, for people.

        >>> Figure("auc", 0.7412, 0.7391, 0.7433, 0.95).text
        '0.7412 [0.7391, 0.7433]'
        >>> Figure("latency p99", 0.0021, unit="s").text, Figure("memory", 5.2e7, unit="B").text
        ('2.1 ms', '52 MB')
        """
        if self.value is None:
            return "–"
        if self.low is None or self.high is None:
            return _number(self.value, self.unit)
        return (
            f"{_number(self.value, self.unit)} "
            f"[{_number(self.low, self.unit)}, {_number(self.high, self.unit)}]"
        )


def _number(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"
    if unit == "B":
        return f"{value / 1e6:.3g} MB" if value >= 1e6 else f"{value / 1e3:.3g} kB"
    if unit == "rows":
        return f"{value:,.0f}"
    if unit == "share":
        return f"{value:.2%}"
    return f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Result:
    """How one check came out.

    Attributes:
        name: the check's.
        outcome: `pass`, `warn`, `fail` or `skipped`.
        sentence: what was found, and the mend where there is one; of a skipped check why.
        figures: the numbers behind it.
    """

    name: str
    outcome: Outcome
    sentence: str
    figures: tuple[Figure, ...] = ()

    def figure(self, name: str) -> Figure:
        """The figure of this name.

        Raises:
            KeyError: there is none.
        """
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(f"check {self.name} has no figure {name!r}")

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON's values."""
        return {
            "figures": [asdict(figure) for figure in self.figures],
            "name": self.name,
            "outcome": self.outcome,
            "sentence": self.sentence,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Result:
        """Reads what `to_dict` gave."""
        return cls(
            str(document["name"]),
            document["outcome"],
            str(document["sentence"]),
            tuple(Figure(**figure) for figure in document["figures"]),
        )


def passed(name: str, sentence: str, figures: Sequence[Figure] = ()) -> Result:
    """A check that passed."""
    return Result(name, "pass", sentence, tuple(figures))


def warned(name: str, sentence: str, figures: Sequence[Figure] = ()) -> Result:
    """A check that a person should look at."""
    return Result(name, "warn", sentence, tuple(figures))


def failed(name: str, sentence: str, figures: Sequence[Figure] = ()) -> Result:
    """A check that forbids to go live."""
    return Result(name, "fail", sentence, tuple(figures))


def skipped(name: str, sentence: str, figures: Sequence[Figure] = ()) -> Result:
    """A check that had nothing to look at; the sentence says what was missing."""
    return Result(name, "skipped", sentence, tuple(figures))
