"""Plans as people write them: a file of TOML that is kept in git, or the same as JSON."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.registry.reference import check_name
from tidegate.routing.gates import Budget
from tidegate.routing.plan import Key, Observe, Rule, key_of, observe_of, rule_of
from tidegate.routing.strategy import Canary, Strategy, strategy_of
from tidegate.routing.weights import FULL, basis_points
from tidegate.types import JsonObject

__all__ = ["Plan", "plan_from_toml", "plan_of"]

MAX_BYTES = 1 << 20
"""Longest plan."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What somebody wants: a rollout of a candidate by a strategy, or fixed arms at once.

    Attributes:
        deployment: The served name.
        candidate: Version, alias or digest; an experiment names its versions itself.
        strategy: In which steps; a canary by default.
        gates: What must hold, each as its document; those of the strategy where it is `None`.
        budget: The greatest chances of a wrong decision.
        arms: Instead of a candidate: versions with their percent, the first one stable, at once.
        stable: What was served until now, where the deployment has no revision yet.
        key: What requests are routed by; as before where it is `None`.
        rules: Which requests go where; as before where they are `None`.
        observe: What is counted; as before where it is `None`.
        reason: Why, where the command says nothing.

    Raises:
        InputError: If it says both or nothing of what is wanted.

    Example:
        >>> plan = Plan("flight-delay", "1.1.0")
        >>> plan.strategy.kind, len(plan.strategy.steps)
        ('canary', 4)
    """

    deployment: str
    candidate: str | None = None
    strategy: Strategy | None = None
    gates: tuple[JsonObject, ...] | None = None
    arms: tuple[tuple[str, float], ...] = ()
    stable: str | None = None
    key: Key | None = None
    rules: tuple[Rule, ...] | None = None
    observe: Observe | None = None
    reason: str = ""
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        check_name(self.deployment)
        if self.strategy is None and not self.arms:
            object.__setattr__(self, "strategy", Canary())
        if self.arms:
            self._check_arms()
            return
        assert self.strategy is not None
        if self.strategy.versions and self.candidate is not None:
            raise InputError(
                f"the plan of {self.deployment!r} has a candidate and an experiment that names its "
                "versions itself: leave the candidate out"
            )
        if not self.strategy.versions and self.candidate is None:
            raise InputError(
                f"the plan of {self.deployment!r} has neither candidate nor arms: say what is to be "
                "rolled out"
            )

    def _check_arms(self) -> None:
        if self.strategy is not None or self.candidate is not None or self.gates:
            raise InputError(
                f"the plan of {self.deployment!r} has arms, which are set at once, and a candidate, "
                "strategy or gates: choose one of the two"
            )
        total = sum(basis_points(share, f"the arm {version}") for version, share in self.arms)
        if total != FULL:
            shares = ", ".join(f"{version} {share:g} %" for version, share in self.arms)
            raise InputError(
                f"the weights of the plan of {self.deployment!r} add up to {total / 100:g} % "
                f"({shares}): make it 100 %"
            )


def plan_from_toml(text: str, place: str = "plan") -> Plan:
    """Reads a plan from TOML.

    Args:
        text: The file's content.
        place: How messages name it.

    Raises:
        InputError: If it is no plan, in one sentence.

    Example:
        >>> plan = plan_from_toml('''
        ... deployment = "flight-delay"
        ... candidate = "1.1.0"
        ... [strategy]
        ... kind = "canary"
        ... steps = [{ percent = 5, min_seconds = "10m" }, { percent = 50 }]
        ... ''')
        >>> [step.percent for step in plan.strategy.steps]
        [5.0, 50.0]
    """
    if len(text) > MAX_BYTES:
        raise InputError(f"{place} has {len(text)} characters: at most {MAX_BYTES} are read")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{place} is no TOML ({error}): mend that line") from None
    return plan_of(values, place)


def plan_of(values: Mapping[str, Any], place: str = "plan") -> Plan:
    """Reads a plan from what TOML or JSON gives.

    Args:
        values: The table.
        place: How messages name it.

    Raises:
        InputError: If it is no plan, in one sentence.
    """
    table = Table(values, place, InputError)
    deployment = table.need("deployment")
    strategy, key, observe = table.table("strategy"), table.table("key"), table.table("observe")
    budget, has_gates, has_rules = table.table("budget"), table.has("gates"), table.has("rules")
    gates = tuple(table.tables("gates"))
    rules = tuple(
        rule_of(Table(rule, f"{place}: rule", InputError)) for rule in table.tables("rules")
    )
    plan = Plan(
        deployment,
        table.text("candidate") or None,
        None if strategy is None else strategy_of(strategy.rest(), strategy.place),
        gates if has_gates else None,
        tuple(_arm(Table(arm, f"{place}: arm", InputError)) for arm in table.tables("arms")),
        table.text("stable") or None,
        None if key is None else key_of(key),
        rules if has_rules else None,
        None if observe is None else observe_of(observe),
        table.text("reason"),
        Budget() if budget is None else Budget.from_document(budget.rest()),
    )
    table.done()
    return plan


def _arm(table: Table) -> tuple[str, float]:
    version, share = table.need("version"), table.number("percent")
    table.done()
    if share is None:
        raise table.wrong(f"version {version!r} has no percent: say its share")
    return version, share
