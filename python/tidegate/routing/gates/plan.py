"""The gates of a plan: read, bound to each other, and checked against what can be counted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.routing.gates.disagreement import Disagreement
from tidegate.routing.gates.errors import Errors
from tidegate.routing.gates.expression import Expression
from tidegate.routing.gates.features import Features
from tidegate.routing.gates.gate import Gate
from tidegate.routing.gates.latency import Latency
from tidegate.routing.gates.material import Stage
from tidegate.routing.gates.metric import Metric
from tidegate.routing.gates.prediction import Prediction
from tidegate.routing.gates.quality import Quality
from tidegate.routing.plan import Observe
from tidegate.routing.strategy import AB, BlueGreen, ShadowFirst, Strategy

__all__ = ["KINDS", "checked", "default_gates", "gates_of", "observed", "stages_of"]

KINDS: Final[Mapping[str, type[Gate]]] = {
    kind.kind: kind
    for kind in (
        Errors,
        Latency,
        Prediction,
        Disagreement,
        Features,
        Quality,
        Metric,
        Expression,
    )
}
"""The kinds of gates."""

MOST_GATES: Final = 100

WARM_ERRORS: Final = 0.05
"""The share of errors at which a switch of all traffic is taken back by default."""


def gates_of(documents: Iterable[Mapping[str, Any]]) -> tuple[Gate, ...]:
    """Reads the gates of a plan; those that an expression names stand in it, not for themselves.

    Args:
        documents: As `Gate.to_document` makes them, or as tables of a plan.

    Raises:
        InputError: If one is wrong; the message says which and why.

    Example:
        >>> [gate.name for gate in gates_of([{"kind": "errors"}, {"kind": "latency"}])]
        ['errors', 'latency']
        >>> gates_of([{"kind": "error"}])
        Traceback (most recent call last):
        ...
        tidegate.errors.InputError: gate 1: kind is 'error': did you mean 'errors'?
    """
    found: dict[str, Gate] = {}
    for number, document in enumerate(documents, 1):
        table = Table(document, f"gate {number}", InputError)
        kind = KINDS.get(name := table.need("kind"))
        if kind is None:
            near = difflib.get_close_matches(name, KINDS, n=1, cutoff=0.0)[0]
            raise table.wrong(f"kind is {name!r}: did you mean {near!r}?")
        gate = kind.read(table)
        if gate.name in found:
            raise table.wrong(f"there is a gate {gate.name!r} already: give it another name")
        found[gate.name] = gate
        if len(found) > MOST_GATES:
            raise table.wrong(f"more gates than {MOST_GATES}: take some out")
    named = [name for gate in found.values() if isinstance(gate, Expression) for name in gate.names]
    bound: dict[str, Gate] = {}
    for name in found:
        _bind(name, found, bound, ())
    return tuple(bound[name] for name in found if name not in named)


def _bind(
    name: str, found: Mapping[str, Gate], bound: dict[str, Gate], above: tuple[str, ...]
) -> Gate:
    if name in bound:
        return bound[name]
    gate = found[name]
    if isinstance(gate, Expression):
        for part in gate.names:
            if part not in found:
                near = difflib.get_close_matches(part, found, n=1, cutoff=0.0)[0]
                raise InputError(
                    f"gate {name!r}: there is no gate {part!r}: did you mean {near!r}?"
                )
            if part in (*above, name):
                raise InputError(f"gate {name!r} is made of itself, by {part!r}: take it out")
        parts = [_bind(part, found, bound, (*above, name)) for part in gate.names]
        gate = replace(gate, gates=tuple(parts))
    bound[name] = gate
    return gate


def default_gates(strategy: Strategy) -> tuple[Gate, ...]:
    """The gates of a plan that names none.

    Errors by at most a point more than stable, the latency's p99 by at most a quarter or 2 ms slower,
    and predictions of which at most a tenth is distributed otherwise, which an experiment may be; for a shadow, at most one row in
    twenty answered otherwise; for a switch at once, where nothing is left to compare with, at most one
    request in twenty failed.

    Args:
        strategy: Of the plan.
    """
    if isinstance(strategy, BlueGreen):
        return (Errors(at_most=WARM_ERRORS),)
    if isinstance(strategy, AB):
        # An arm is there to answer otherwise.
        return (Errors(), Latency())
    if not isinstance(strategy, ShadowFirst):
        return (Errors(), Latency(), Prediction())
    after = () if strategy.then is None else default_gates(strategy.then)
    # What looks at a share on its own has another name beside what compares.
    own = {gate.name for gate in after}
    return (*after, *(gate for gate in (Errors(), Disagreement()) if gate.name not in own))


def stages_of(strategy: Strategy) -> tuple[Stage, ...]:
    """How candidate and stable get their requests in each step.

    Example:
        >>> from tidegate.routing import BlueGreen
        >>> stages_of(ShadowFirst(then=BlueGreen()))
        ('shadow', 'switched')
    """
    if isinstance(strategy, ShadowFirst):
        return ("shadow", *(() if strategy.then is None else stages_of(strategy.then)))
    stage: Stage = "switched" if isinstance(strategy, BlueGreen) else "split"
    return (stage,) * len(strategy.steps)


def observed(gates: Iterable[Gate], observe: Observe) -> Observe:
    """What must be counted for all gates, beside what is counted already.

    Args:
        gates: Of a plan.
        observe: What the plan says.

    Raises:
        InputError: If a gate needs what cannot be counted without being told more.

    Example:
        >>> observed([Latency(quantile=0.5)], Observe()).quantiles
        (0.99, 0.5)
    """
    for gate in gates:
        observe = gate.observed(observe)
    return observe


def checked(
    strategy: Strategy, gates: Sequence[Gate], observe: Observe, *, labels: bool | None = None
) -> Observe:
    """Checks that every gate can ever say something; what must be counted for them.

    Args:
        strategy: Of the plan.
        gates: Of the plan.
        observe: What the plan says is counted.
        labels: Whether labels of this deployment have ever come; `None` where nobody knows.

    Raises:
        InputError: If a gate can never pass; the message says which, why, and the mend.

    Example:
        >>> from tidegate.routing import Canary
        >>> checked(Canary(), [Disagreement()], Observe())
        Traceback (most recent call last):
        ...
        tidegate.errors.InputError: gate 'disagreement' says nothing in a canary: begin with a shadow
    """
    stages = set(stages_of(strategy))
    for gate in _all(gates):
        if any(gate.suits(stage) for stage in stages):
            continue
        if "switched" in stages and gate.suits("split"):
            mend = "stable gets no requests to compare with, so give it at_most or a bound"
        elif gate.suits("shadow"):
            mend = "begin with a shadow"
        else:
            mend = "take it out"
        raise InputError(f"gate {gate.name!r} says nothing in a {strategy.kind}: {mend}")
    for gate in gates:
        if isinstance(gate, Expression) and not any(gate.suits(stage) for stage in stages):
            raise InputError(
                f"gate {gate.name!r} joins gates that no step has all of: join those of one step"
            )
    if labels is False:
        for gate in _all(gates):
            if isinstance(gate, Quality):
                raise InputError(
                    f"gate {gate.name!r} is on labels, and no label has ever come: report them by "
                    "feedback, or take the gate out"
                )
    return observed(gates, observe)


def _all(gates: Iterable[Gate]) -> Iterable[Gate]:
    """The gates with those that expressions are made of, in place of these."""
    for gate in gates:
        if isinstance(gate, Expression):
            yield from _all(gate.gates)
        else:
            yield gate
