"""Gates joined by `and`, `or` and `not`, with three values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeAlias

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.gate import Gate
from tidegate.routing.gates.material import Material, Stage
from tidegate.routing.gates.verdict import Outcome, Verdict
from tidegate.routing.plan import Observe
from tidegate.types import Json

__all__ = ["Expression"]

MOST_CHARACTERS: Final = 1_000
DEEPEST: Final = 20
"""Parentheses and negations within each other."""

TOKEN: Final = re.compile(r"\s*(?:([A-Za-z][A-Za-z0-9_.-]*)|([()]))")

ORDER: Final[Mapping[Outcome, int]] = {"fail": 0, "not_enough": 1, "pass": 2}
TURNED: Final[Mapping[Outcome, Outcome]] = {
    "pass": "fail",
    "fail": "pass",
    "not_enough": "not_enough",
}

Term: TypeAlias = Callable[[Mapping[str, Outcome]], Outcome]


@dataclass(frozen=True, kw_only=True)
class Expression(Gate):
    """Other gates of the plan, joined; those that are named here no longer stand for themselves.

    `and` fails when one fails and passes when all pass, `or` passes when one passes and fails when all
    fail, `not` turns pass and fail round (Kleene's logic): what is not enough stays so unless the rest
    decides.

    Attributes:
        when: Such as `errors and (latency or revenue)`.
        gates: Those that it names; bound by `gates_of`.

    Raises:
        InputError: If it cannot be read.

    Example:
        >>> Expression(name="fine", when="errors and (latency or not slow)").names
        ('errors', 'latency', 'slow')
        >>> Expression(name="fine", when="errors and")
        Traceback (most recent call last):
        ...
        tidegate.errors.InputError: gate 'fine': 'errors and' ends where a gate is missing: name one
    """

    when: str
    gates: tuple[Gate, ...] = field(default=(), compare=False)

    kind: ClassVar[str] = "expression"
    divisible: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._parser()

    def _parser(self) -> _Parser:
        return _Parser(self.name, self.when)

    @property
    def names(self) -> tuple[str, ...]:
        """The gates that it names, in their order."""
        return tuple(dict.fromkeys(self._parser().names))

    def suits(self, stage: Stage) -> bool:
        """Whether all that it names has something to say in such a step."""
        return all(gate.suits(stage) for gate in self.gates)

    def judge(self, material: Material, budget: Budget) -> Verdict:
        """What it says of all requests of the material."""
        parser = self._parser()
        if parser.turns:
            budget = budget.either()
        share = budget.over(len(self.gates), any_passes=parser.turns or parser.chooses)
        parts = tuple(gate.check(material, share) for gate in self.gates)
        outcome = parser.term({part.gate: part.outcome for part in parts})
        words = {"pass": "passes", "fail": "fails", "not_enough": "has not enough evidence"}
        says = "; ".join(f"{part.gate} {words[part.outcome]}: {part.sentence}" for part in parts)
        open_parts = [part.rows_to_go for part in parts if part.outcome == "not_enough"]
        to_go: int | None = 0
        if outcome == "not_enough":
            known = [rows for rows in open_parts if rows is not None]
            to_go = max(known) if len(known) == len(open_parts) and known else None
        rows = min((part.rows for part in parts), default=0)
        return Verdict(self.name, outcome, says, rows=rows, rows_to_go=to_go, parts=parts)

    def observed(self, observe: Observe) -> Observe:
        """What must be counted for it, beside what is counted already."""
        for gate in self.gates:
            observe = gate.observed(observe)
        return observe

    def keys(self) -> dict[str, Json]:
        """Its own keys and values, as documents have them."""
        return {"when": self.when}

    @classmethod
    def take(cls, table: Table) -> dict[str, Any]:
        """Reads its own keys."""
        return {"when": table.need("when")}


class _Parser:
    """Reads `or` of `and` of `not` of names and parentheses."""

    def __init__(self, gate: str, text: str) -> None:
        self._gate = gate
        self._text = text
        self.names: list[str] = []
        self.turns = False
        self.chooses = False
        if len(text) > MOST_CHARACTERS:
            raise self._wrong(f"has {len(text)} characters: at most {MOST_CHARACTERS} are read")
        self._tokens = self._split()
        self._at = 0
        self.term = self._either(0)
        if self._at < len(self._tokens):
            raise self._wrong(f"has {self._tokens[self._at]!r} too much: take it out")

    def _wrong(self, what: str) -> InputError:
        return InputError(f"gate {self._gate!r}: {self._text[:80]!r} {what}")

    def _split(self) -> list[str]:
        tokens, at = [], 0
        while self._text[at:].strip():
            found = TOKEN.match(self._text, at)
            if found is None:
                raise self._wrong(
                    f"has {self._text[at:].strip()[0]!r}: use names, and, or, not and parentheses"
                )
            tokens.append(found[1] or found[2])
            at = found.end()
        return tokens

    def _next(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _taken(self, word: str) -> bool:
        if self._next() != word:
            return False
        self._at += 1
        return True

    def _either(self, depth: int) -> Term:
        terms = [self._both(depth)]
        while self._taken("or"):
            self.chooses = True
            terms.append(self._both(depth))
        return lambda known: max((term(known) for term in terms), key=ORDER.__getitem__)

    def _both(self, depth: int) -> Term:
        terms = [self._one(depth)]
        while self._taken("and"):
            terms.append(self._one(depth))
        return lambda known: min((term(known) for term in terms), key=ORDER.__getitem__)

    def _one(self, depth: int) -> Term:
        if depth > DEEPEST:
            raise self._wrong(f"is nested more than {DEEPEST} deep: name parts of it")
        if self._taken("not"):
            self.turns = True
            term = self._one(depth + 1)
            return lambda known: TURNED[term(known)]
        if self._taken("("):
            term = self._either(depth + 1)
            if not self._taken(")"):
                raise self._wrong("has a parenthesis that is not closed: close it")
            return term
        name = self._next()
        if name is None:
            raise self._wrong("ends where a gate is missing: name one")
        if name in ("and", "or", ")"):
            raise self._wrong(f"has {name!r} where a gate is missing: name one")
        self._at += 1
        self.names.append(name)
        return lambda known: known[name]
