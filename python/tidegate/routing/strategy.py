"""Strategies: in which steps a new version gets its traffic.

A strategy says what each step looks like and what must have been gathered before it may end. Whether
it ends well is for the gates to say, and `tidegate.routing.rollout` decides by both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.routing.plan import MAX_ARMS, Arm, Experiment, Routing, Shadow
from tidegate.routing.weights import FULL, basis_points
from tidegate.types import Json

__all__ = ["AB", "BlueGreen", "Canary", "ShadowFirst", "Step", "Strategy", "strategy_of"]

MAX_STEPS: Final = 100
"""Most steps of a canary."""

MAX_REQUESTS: Final = 10**12
"""Most requests that a step may ask for."""

MAX_SECONDS: Final = 366 * 86_400.0
"""Longest step."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: how much the candidate gets, and what must have been gathered before the next.

    Attributes:
        percent: Of the traffic, to the candidate or copied to it; two decimals at most.
        min_requests: Requests that the candidate must have seen.
        min_seconds: The least that the step lasts.
        max_seconds: When the rollout pauses if the gates still lack evidence; never by default.
        pause: Wait for a `resume` once everything else has passed.

    Raises:
        InputError: If the step can never end, or a number is out of its range.
    """

    percent: float
    min_requests: int = 500
    min_seconds: float = 60.0
    max_seconds: float | None = None
    pause: bool = False

    def __post_init__(self) -> None:
        if basis_points(self.percent, "a step") < 1:
            raise InputError("a step of 0 % can never gather its minimum: give it at least 0.01 %")
        if not 0 <= self.min_requests <= MAX_REQUESTS:
            raise InputError(
                f"min_requests is {self.min_requests}: give a whole number from 0 to {MAX_REQUESTS}"
            )
        if not 0 <= self.min_seconds <= MAX_SECONDS:
            raise InputError(f"min_seconds is {self.min_seconds:g}: give 0 to {MAX_SECONDS:g}")
        if self.max_seconds is not None and not self.min_seconds < self.max_seconds <= MAX_SECONDS:
            raise InputError(
                f"a step of {self.percent:g} % lasts at least {self.min_seconds:g} s and at most "
                f"{self.max_seconds:g} s, and can never gather its minimum: raise max_seconds"
            )

    @property
    def weight(self) -> int:
        """The share in basis points."""
        return basis_points(self.percent, "a step")

    def to_document(self) -> dict[str, Json]:
        """The step as JSON."""
        return {
            "percent": self.percent,
            "min_requests": self.min_requests,
            "min_seconds": self.min_seconds,
            "max_seconds": self.max_seconds,
            "pause": self.pause,
        }


class Strategy(ABC):
    """What every strategy says.

    Attributes:
        kind: Its name in documents and plans.
        steps: What must be gathered in each step, in order.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def steps(self) -> tuple[Step, ...]:
        """What must be gathered in each step, in order."""

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that it names itself, as an experiment does."""
        return ()

    @abstractmethod
    def routing(self, base: Routing, candidates: Sequence[Arm], step: int) -> Routing:
        """The routing of a step.

        Args:
            base: The routing before it, whose stable arm, key, rules and counts stay.
            candidates: What is rolled out; their weights and roles do not matter.
            step: From 0.

        Raises:
            InputError: If there is no such step, or a candidate is the stable version.
        """

    @abstractmethod
    def to_document(self) -> dict[str, Json]:
        """The strategy as JSON, which is also how a plan in TOML has it."""

    def _step(self, base: Routing, candidates: Sequence[Arm], step: int) -> Step:
        for candidate in candidates:
            if candidate.version == base.stable.version:
                raise InputError(
                    f"version {candidate.version} is the stable one already: name another candidate"
                )
        if not 0 <= step < len(self.steps):
            raise InputError(f"{self.kind} has {len(self.steps)} steps, and no step {step + 1}")
        return self.steps[step]


@dataclass(frozen=True, slots=True)
class Canary(Strategy):
    """A growing share of the traffic, step by step.

    Attributes:
        steps: Shares that rise; below 100 %, which is what promotion gives.

    Example:
        >>> canary = Canary((Step(1), Step(10), Step(50)))
        >>> base = Routing.alone("1.0.0")
        >>> str(canary.routing(base, [Arm("1.1.0", 0)], 1))
        '1.0.0 90 %, 1.1.0 10 %'
    """

    kind: ClassVar[str] = "canary"
    steps: tuple[Step, ...] = (Step(1), Step(5), Step(25), Step(50))

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= MAX_STEPS:
            raise InputError(f"a canary of {len(self.steps)} steps: give it 1 to {MAX_STEPS}")
        for before, after in zip(self.steps, self.steps[1:], strict=False):
            if after.percent <= before.percent:
                raise InputError(
                    f"a canary's step of {after.percent:g} % follows one of {before.percent:g} %: "
                    "make each larger than the one before"
                )
        if self.steps[-1].percent >= 100:
            raise InputError(
                "a canary's last step is 100 %, where nothing is left to compare with: leave it "
                "out, as promotion follows the last step"
            )

    def routing(self, base: Routing, candidates: Sequence[Arm], step: int) -> Routing:
        """The stable arm and the candidate with its share."""
        weight = self._step(base, candidates, step).weight
        candidate, stable = _only(candidates, self.kind), base.stable
        return base.placed(
            (
                Arm(stable.version, FULL - weight, "stable", stable.digest),
                Arm(candidate.version, weight, "candidate", candidate.digest),
            )
        )

    def to_document(self) -> dict[str, Json]:
        """The strategy as JSON."""
        return {"kind": self.kind, "steps": [step.to_document() for step in self.steps]}


@dataclass(frozen=True, slots=True)
class BlueGreen(Strategy):
    """All traffic at once; the version before stays loaded for a while, for an instant return.

    Attributes:
        keep_warm: Seconds that the version before stays loaded.

    Example:
        >>> str(BlueGreen().routing(Routing.alone("1.0.0"), [Arm("1.1.0", 0)], 0))
        '1.0.0 0 %, 1.1.0 100 %'
    """

    kind: ClassVar[str] = "blue_green"
    keep_warm: float = 600.0

    def __post_init__(self) -> None:
        if not 0 <= self.keep_warm <= MAX_SECONDS:
            raise InputError(f"keep_warm is {self.keep_warm:g}: give 0 to {MAX_SECONDS:g} seconds")

    @property
    def steps(self) -> tuple[Step, ...]:
        """One step, which lasts as long as the version before is kept."""
        return (Step(100, 0, self.keep_warm),)

    def routing(self, base: Routing, candidates: Sequence[Arm], step: int) -> Routing:
        """The candidate with everything, the stable arm beside it with nothing."""
        self._step(base, candidates, step)
        candidate, stable = _only(candidates, self.kind), base.stable
        return base.placed(
            (
                Arm(stable.version, 0, "stable", stable.digest),
                Arm(candidate.version, FULL, "candidate", candidate.digest),
            )
        )

    def to_document(self) -> dict[str, Json]:
        """The strategy as JSON."""
        return {"kind": self.kind, "keep_warm": self.keep_warm}


@dataclass(frozen=True, slots=True)
class AB(Strategy):
    """A named experiment with two arms or more, until a decision.

    Attributes:
        experiment: Its name.
        arms: Of each new version its percent of those who take part; the stable one has the rest.
        group: Experiments of one group with disjoint spans exclude each other.
        span: The percent of keys from which and up to which take part; all others get the stable
            version.
        min_requests: Requests that each arm must have seen before a decision.
        min_seconds: The least that the experiment lasts.
        max_seconds: When it pauses without a decision; never by default.

    Example:
        >>> ab = AB("checkout-colour", (("1.1.0", 50),), span=(0, 20))
        >>> routing = ab.routing(Routing.alone("1.0.0"), [Arm("1.1.0", 0)], 0)
        >>> str(routing), routing.experiment.end
        ('1.0.0 50 %, 1.1.0 50 %', 2000)
    """

    kind: ClassVar[str] = "ab"
    experiment: str
    arms: tuple[tuple[str, float], ...]
    group: str | None = None
    span: tuple[float, float] = (0.0, 100.0)
    min_requests: int = 500
    min_seconds: float = 60.0
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.arms) < MAX_ARMS:
            raise InputError(
                f"experiment {self.experiment!r} has {len(self.arms)} new arms: give it 1 to "
                f"{MAX_ARMS - 1}"
            )
        taken = sum(basis_points(share, f"the arm {version}") for version, share in self.arms)
        if not 0 < taken < FULL:
            raise InputError(
                f"the arms of experiment {self.experiment!r} take {taken / 100:g} %: leave the "
                "stable version a share, and give them one"
            )
        self._experiment()
        _ = self.steps

    @property
    def steps(self) -> tuple[Step, ...]:
        """One step, which ends with the decision; its share is that of the smallest new arm."""
        least = min(share for _, share in self.arms)
        return (Step(least, self.min_requests, self.min_seconds, self.max_seconds),)

    @property
    def versions(self) -> tuple[str, ...]:
        """The new arms."""
        return tuple(version for version, _ in self.arms)

    def routing(self, base: Routing, candidates: Sequence[Arm], step: int) -> Routing:
        """The stable arm and all others with their shares of those who take part."""
        self._step(base, candidates, step)
        digests = {candidate.version: candidate.digest for candidate in candidates}
        arms = []
        for version, share in self.arms:
            if version not in digests:
                raise InputError(f"experiment {self.experiment!r} has {version}, no candidate")
            weight = basis_points(share, f"the arm {version}")
            arms.append(Arm(version, weight, "arm", digests[version]))
        rest = FULL - sum(arm.weight for arm in arms)
        stable = Arm(base.stable.version, rest, "stable", base.stable.digest)
        return base.placed((stable, *arms), experiment=self._experiment())

    def _experiment(self) -> Experiment:
        begin, end = (basis_points(share, "the span") for share in self.span)
        return Experiment(self.experiment, self.group, begin, end)

    def to_document(self) -> dict[str, Json]:
        """The strategy as JSON."""
        return {
            "kind": self.kind,
            "experiment": self.experiment,
            "arms": [{"version": version, "percent": share} for version, share in self.arms],
            "group": self.group,
            "span": list(self.span),
            "min_requests": self.min_requests,
            "min_seconds": self.min_seconds,
            "max_seconds": self.max_seconds,
        }


@dataclass(frozen=True, slots=True)
class ShadowFirst(Strategy):
    """Copies of the traffic before any of it, then another strategy.

    Attributes:
        share: Percent of the requests that are copied.
        min_requests: Copies that the shadow must have answered.
        min_seconds: The least that it lasts.
        max_seconds: When the rollout pauses if the gates still lack evidence; never by default.
        then: What follows; `None` ends the rollout there, for somebody to decide.

    Example:
        >>> strategy = ShadowFirst(50, then=Canary((Step(10),)))
        >>> base, candidates = Routing.alone("1.0.0"), [Arm("1.1.0", 0)]
        >>> for step in range(len(strategy.steps)):
        ...     base = strategy.routing(base, candidates, step)
        ...     print(base)
        1.0.0 100 %, 50 % copied to 1.1.0
        1.0.0 90 %, 1.1.0 10 %
    """

    kind: ClassVar[str] = "shadow"
    share: float = 100.0
    min_requests: int = 500
    min_seconds: float = 60.0
    max_seconds: float | None = None
    then: Strategy | None = field(default_factory=Canary)

    def __post_init__(self) -> None:
        if isinstance(self.then, ShadowFirst):
            raise InputError("a shadow is followed by a shadow: give it a canary, blue_green or ab")
        if len(self.versions) > 1:
            raise InputError(
                f"a shadow is of one version, and an experiment with {len(self.versions)} new arms "
                "follows: name one"
            )
        _ = self.steps

    @property
    def steps(self) -> tuple[Step, ...]:
        """The shadow's, then those of what follows."""
        first = Step(self.share, self.min_requests, self.min_seconds, self.max_seconds)
        return (first, *(() if self.then is None else self.then.steps))

    @property
    def versions(self) -> tuple[str, ...]:
        """Those of what follows."""
        return () if self.then is None else self.then.versions

    def routing(self, base: Routing, candidates: Sequence[Arm], step: int) -> Routing:
        """The stable arm with everything and the candidate as its shadow; then what follows."""
        shadow = self._step(base, candidates, step)
        if step and self.then is not None:
            return self.then.routing(base, candidates, step - 1)
        candidate, stable = _only(candidates, self.kind), base.stable
        return base.placed(
            (Arm(stable.version, FULL, "stable", stable.digest),),
            shadow=Shadow(candidate.version, shadow.weight, candidate.digest),
        )

    def to_document(self) -> dict[str, Json]:
        """The strategy as JSON."""
        return {
            "kind": self.kind,
            "share": self.share,
            "min_requests": self.min_requests,
            "min_seconds": self.min_seconds,
            "max_seconds": self.max_seconds,
            "only": self.then is None,
            "then": None if self.then is None else self.then.to_document(),
        }


def strategy_of(document: Mapping[str, Any], place: str = "strategy") -> Strategy:
    """Reads a strategy from JSON or TOML; what is not said has its default.

    Args:
        document: With `kind`, and the attributes of that strategy's class. Times may be texts
            such as `"10m"`; `only = true` leaves out what follows a shadow.
        place: How messages name it.

    Raises:
        InputError: If it is none.

    Example:
        >>> strategy_of({"kind": "canary", "steps": [{"percent": 5, "min_seconds": "10m"}]}).steps
        (Step(percent=5.0, min_requests=500, min_seconds=600.0, max_seconds=None, pause=False),)
        >>> strategy_of({"kind": "canari"})
        Traceback (most recent call last):
        ...
        tidegate.errors.InputError: strategy: kind is 'canari': use canary, blue_green, ab or shadow
    """
    table = Table(document, place, InputError)
    kind = table.need("kind")
    reader = _READERS.get(kind)
    if reader is None:
        raise table.wrong(f"kind is {kind!r}: use canary, blue_green, ab or shadow")
    found = reader(table)
    table.done()
    return found


def _canary(table: Table) -> Strategy:
    steps = [
        _a_step(Table(step, f"{table.place}: step {number}", InputError))
        for number, step in enumerate(table.tables("steps"), 1)
    ]
    return Canary(tuple(steps)) if steps else Canary()


def _a_step(table: Table) -> Step:
    percent = table.number("percent")
    if percent is None:
        raise table.wrong("percent is missing: say the candidate's share")
    pause = table.flag("pause", False)
    step = Step(percent, *_minimums(table), pause)
    table.done()
    return step


def _blue_green(table: Table) -> Strategy:
    return BlueGreen(table.seconds("keep_warm", BlueGreen().keep_warm, most=MAX_SECONDS))


def _ab(table: Table) -> Strategy:
    experiment, group = table.need("experiment"), table.text("group") or None
    arms = []
    for values in table.tables("arms"):
        arm = Table(values, f"{table.place}: arm", InputError)
        version, share = arm.need("version"), arm.number("percent")
        arm.done()
        if share is None:
            raise arm.wrong("percent is missing: say the share of those who take part")
        arms.append((version, share))
    span = table.numbers("span", (0.0, 100.0))
    if len(span) != 2:
        raise table.wrong(f"span is {list(span)}: give it two percentages, from and up to")
    return AB(experiment, tuple(arms), group, (span[0], span[1]), *_minimums(table))


def _shadow(table: Table) -> Strategy:
    share, only = table.number("share"), table.flag("only", False)
    minimums, following = _minimums(table), table.table("then")
    if only and following is not None:
        raise table.wrong("only is true, and then follows: choose one")
    then = None if only else Canary() if following is None else _following(following)
    return ShadowFirst(100.0 if share is None else share, *minimums, then=then)


def _following(table: Table) -> Strategy:
    found = _READERS.get(kind := table.need("kind"))
    if found is None:
        raise table.wrong(f"kind is {kind!r}: use canary, blue_green or ab")
    strategy = found(table)
    table.done()
    return strategy


_READERS: Final = {"canary": _canary, "blue_green": _blue_green, "ab": _ab, "shadow": _shadow}


def _minimums(table: Table) -> tuple[int, float, float | None]:
    """`min_requests`, `min_seconds` and `max_seconds`."""
    default = Step(1)
    requests = table.whole("min_requests", default.min_requests, 0, MAX_REQUESTS)
    least = table.seconds("min_seconds", default.min_seconds, most=MAX_SECONDS)
    return requests, least, table.some_seconds("max_seconds", most=MAX_SECONDS)


def _only(candidates: Sequence[Arm], kind: str) -> Arm:
    if len(candidates) != 1:
        raise InputError(f"{kind} rolls out one version, and not {len(candidates)}: name one")
    return candidates[0]
