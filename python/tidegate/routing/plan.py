"""The routing of a deployment: which version gets which share of the traffic, and by what key.

This is what the data plane reads. The classes check themselves when they are made, so that a
routing that exists can be served; what they are as JSON is in `docs/revisions.md`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

from tidegate.configuration.table import Table
from tidegate.errors import InputError
from tidegate.registry.reference import check_digest
from tidegate.registry.semver import SemanticVersion
from tidegate.routing.weights import FULL, percent
from tidegate.types import Json

__all__ = [
    "Arm",
    "Experiment",
    "Key",
    "Metric",
    "Observe",
    "Role",
    "Routing",
    "Rule",
    "Shadow",
]

Role = Literal["stable", "candidate", "arm"]
"""What an arm is for: what stood before, what is being tried, or one of an experiment's."""

KeySource = Literal["request", "header", "claim", "column"]
RuleSource = Literal["header", "claim", "column"]

MAX_ARMS: Final = 16
"""Most versions that share the traffic of one deployment."""

MAX_RULES: Final = 64
"""Most rules of one deployment."""

MAX_RULE_VALUES: Final = 1_000
"""Most values that one rule compares with."""

MAX_METRICS: Final = 16
"""Most business metrics that are counted."""

MAX_QUANTILES: Final = 8
"""Most quantiles of the latency that are counted."""

MAX_TEXT: Final = 256
"""Longest name of a header, claim, column or metric, and longest value of a rule, in bytes."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]|[\ud800-\udfff]")
_HEADER: Final = re.compile(r"[a-z0-9._-]+\Z", re.ASCII)
_EXPERIMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Arm:
    """One version that gets live traffic.

    Attributes:
        version: A semantic version of the deployment's model.
        weight: Its share in basis points, 0 to 10,000; at 0 it is loaded and gets what rules send.
        role: What it is for.
        digest: Of its bundle; `None` where the version alone says which.
    """

    version: str
    weight: int
    role: Role = "stable"
    digest: str | None = None

    def __post_init__(self) -> None:
        _check_version(self.version, self.digest)
        if isinstance(self.weight, bool) or not 0 <= self.weight <= FULL:
            raise InputError(
                f"the weight of {self.version} is {self.weight}: give basis points, 0 to {FULL}"
            )
        if self.role not in get_args(Role):
            raise InputError(
                f"the role of {self.version} is {self.role!r}: use {', '.join(get_args(Role))}"
            )


@dataclass(frozen=True, slots=True)
class Shadow:
    """A version that gets copies of requests; its answers go nowhere.

    Attributes:
        version: A semantic version of the deployment's model.
        share: Of the requests that are copied, in basis points, 1 to 10,000.
        digest: Of its bundle.
    """

    version: str
    share: int = FULL
    digest: str | None = None

    def __post_init__(self) -> None:
        _check_version(self.version, self.digest)
        if isinstance(self.share, bool) or not 1 <= self.share <= FULL:
            raise InputError(
                f"the share of shadow {self.version} is {self.share}: give basis points, 1 to {FULL}"
            )


@dataclass(frozen=True, slots=True)
class Key:
    """What a request is routed by: the same key always gets the same version.

    Attributes:
        source: `request` (its id), `header`, `claim` (of the caller's token) or `column`.
        name: Of the header, claim or column; `None` for `request`.
    """

    source: KeySource = "request"
    name: str | None = None

    def __post_init__(self) -> None:
        if self.source not in get_args(KeySource):
            raise InputError(
                f"the routing key is from {self.source!r}: use {', '.join(get_args(KeySource))}"
            )
        if self.source == "request" and self.name is not None:
            raise InputError("the routing key is the request id, which has no name: take it out")
        if self.source != "request":
            _check_name(self.name, f"the {self.source} of the routing key", self.source)


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests that go to one version before the split is asked.

    Attributes:
        source: `header`, `claim` or `column`.
        name: Of the header, claim or column.
        values: Texts; a request whose value is one of them goes there.
        version: Where: the version of an arm.
    """

    source: RuleSource
    name: str
    values: tuple[str, ...]
    version: str

    def __post_init__(self) -> None:
        if self.source not in get_args(RuleSource):
            raise InputError(
                f"a rule is from {self.source!r}: use {', '.join(get_args(RuleSource))}"
            )
        _check_name(self.name, f"the {self.source} of a rule", self.source)
        if not 1 <= len(self.values) <= MAX_RULE_VALUES:
            raise InputError(
                f"the rule by {self.source} {self.name!r} has {len(self.values)} values: "
                f"give it 1 to {MAX_RULE_VALUES}"
            )
        for value in self.values:
            _check_name(value, f"a value of the rule by {self.source} {self.name!r}")


@dataclass(frozen=True, slots=True)
class Experiment:
    """An A/B test: who takes part is decided by a key's position, from 0 to 10,000.

    Attributes:
        name: Names the test in answers, in the prediction log and in counters.
        group: Tests of one group share positions, so that tests with disjoint spans exclude each
            other, across deployments too; by default the test is a group of its own.
        begin: The first position that takes part.
        end: The first that no longer does; all others get the stable arm.
    """

    name: str
    group: str | None = None
    begin: int = 0
    end: int = FULL

    def __post_init__(self) -> None:
        for what, name in (("experiment", self.name), ("group", self.group)):
            if name is not None and not _EXPERIMENT.match(name):
                raise InputError(
                    f"{what} {name[:40]!r}: use up to 128 letters, digits, '.', '_' and "
                    "'-', beginning with a letter or digit"
                )
        if not 0 <= self.begin < self.end <= FULL:
            raise InputError(
                f"experiment {self.name!r} spans positions {self.begin} to {self.end}: give it a "
                f"begin below its end, from 0 to {FULL}"
            )


@dataclass(frozen=True, slots=True)
class Metric:
    """A business metric that feedback reports, and the range that its values lie in.

    Attributes:
        name: As feedback names it.
        low: The smallest value; what is below counts as this.
        high: The largest.
    """

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        _check_name(self.name, "a metric")
        if not float("-inf") < self.low < self.high < float("inf"):
            raise InputError(
                f"metric {self.name!r} lies from {self.low} to {self.high}: give it a finite low "
                "below its high"
            )


@dataclass(frozen=True, slots=True)
class Observe:
    """What is counted of each arm, for the gates.

    Attributes:
        quantiles: Of the latency, each above 0 and below 1.
        segment: The raw column by whose values everything is counted apart as well.
        metrics: Business metrics.
        features: Count the distributions of features.
        tolerance: How far a shadow's number may be off from the answer and still agree with it.
    """

    quantiles: tuple[float, ...] = (0.99,)
    segment: str | None = None
    metrics: tuple[Metric, ...] = ()
    features: bool = True
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if len(self.quantiles) > MAX_QUANTILES or not all(0 < q < 1 for q in self.quantiles):
            raise InputError(
                f"observed quantiles are {list(self.quantiles)}: give at most {MAX_QUANTILES}, each "
                "above 0 and below 1"
            )
        if self.segment is not None:
            _check_name(self.segment, "the observed segment")
        _check_once([metric.name for metric in self.metrics], "metric", MAX_METRICS)
        if not 0 <= self.tolerance < float("inf"):
            raise InputError(f"the observed tolerance is {self.tolerance}: give a number from 0 on")


@dataclass(frozen=True, slots=True)
class Routing:
    """A whole routing.

    Attributes:
        arms: At least one, of which exactly one is `stable`; weights add up to 10,000.
        shadow: A version that gets copies.
        key: What requests are routed by.
        rules: Asked in order before the split; the first that fits decides.
        experiment: The A/B test that the arms are of.
        observe: What is counted.

    Raises:
        InputError: If it cannot be served; the message says why in one sentence.

    Example:
        >>> routing = Routing((Arm("1.0.0", 9_500), Arm("1.1.0", 500, "candidate")))
        >>> routing.stable.version, str(routing)
        ('1.0.0', '1.0.0 95 %, 1.1.0 5 %')
        >>> Routing((Arm("1.0.0", 9_000), Arm("1.1.0", 500, "candidate")))
        Traceback (most recent call last):
        ...
        tidegate.errors.InputError: the weights add up to 95 % (1.0.0 90 %, 1.1.0 5 %): make it 100 %
    """

    arms: tuple[Arm, ...]
    shadow: Shadow | None = None
    key: Key = field(default_factory=Key)
    rules: tuple[Rule, ...] = ()
    experiment: Experiment | None = None
    observe: Observe = field(default_factory=Observe)

    def __post_init__(self) -> None:
        versions = [arm.version for arm in self.arms]
        if not versions:
            raise InputError("a routing without arms: give at least one version its traffic")
        _check_once(versions, "version", MAX_ARMS)
        if sum(arm.weight for arm in self.arms) != FULL:
            total = percent(sum(arm.weight for arm in self.arms))
            raise InputError(f"the weights add up to {total} ({self._shares()}): make it 100 %")
        roles = Counter(arm.role for arm in self.arms)
        if roles["stable"] != 1 or roles["candidate"] > 1:
            raise InputError(
                f"a routing with {roles['stable']} stable arms and {roles['candidate']} candidates: "
                "make exactly one stable and at most one a candidate"
            )
        if self.shadow is not None and self.shadow.version in versions:
            raise InputError(
                f"version {self.shadow.version} is both an arm and the shadow: choose one"
            )
        if len(self.rules) > MAX_RULES:
            raise InputError(f"{len(self.rules)} rules are too many: at most {MAX_RULES}")
        for rule in self.rules:
            if rule.version not in versions:
                raise InputError(
                    f"the rule by {rule.source} {rule.name!r} sends requests to {rule.version}, "
                    f"which is no arm: the arms are {', '.join(versions)}"
                )

    @classmethod
    def alone(cls, version: str, digest: str | None = None) -> Routing:
        """All traffic to one version."""
        return cls((Arm(version, FULL, digest=digest),))

    @property
    def stable(self) -> Arm:
        """The arm that stood before, and that stays where a rollout is given up."""
        return next(arm for arm in self.arms if arm.role == "stable")

    @property
    def candidate(self) -> Arm | None:
        """The arm that is being tried."""
        return next((arm for arm in self.arms if arm.role == "candidate"), None)

    @property
    def models(self) -> tuple[tuple[str, str | None], ...]:
        """Version and digest of everything that must be loaded: the arms, then the shadow."""
        arms = tuple((arm.version, arm.digest) for arm in self.arms)
        return arms if self.shadow is None else (*arms, (self.shadow.version, self.shadow.digest))

    def placed(
        self,
        arms: Sequence[Arm],
        shadow: Shadow | None = None,
        experiment: Experiment | None = None,
    ) -> Routing:
        """The same with other arms; rules for versions that are gone go with them."""
        there = {arm.version for arm in arms}
        rules = tuple(rule for rule in self.rules if rule.version in there)
        return replace(self, arms=tuple(arms), shadow=shadow, experiment=experiment, rules=rules)

    def settled(self, version: str | None = None) -> Routing:
        """All traffic to one of its versions, as the stable one; by default the stable arm.

        Raises:
            InputError: If it has no such version.
        """
        wanted = self.stable.version if version is None else version
        for known, digest in self.models:
            if known == wanted:
                return self.placed((Arm(known, FULL, digest=digest),))
        raise InputError(
            f"version {wanted} is not in this routing ({self}): name one of its versions"
        )

    def to_document(self) -> dict[str, Json]:
        """The routing as JSON, as the data plane reads it."""
        shadow, experiment, observe = self.shadow, self.experiment, self.observe
        return {
            "arms": [
                {
                    "version": arm.version,
                    "digest": arm.digest,
                    "weight": arm.weight,
                    "role": arm.role,
                }
                for arm in self.arms
            ],
            "shadow": None
            if shadow is None
            else {"version": shadow.version, "digest": shadow.digest, "share": shadow.share},
            "key": {"from": self.key.source, "name": self.key.name},
            "rules": [
                {
                    "from": rule.source,
                    "name": rule.name,
                    "in": list(rule.values),
                    "version": rule.version,
                }
                for rule in self.rules
            ],
            "experiment": None
            if experiment is None
            else {
                "name": experiment.name,
                "group": experiment.group,
                "from": experiment.begin,
                "to": experiment.end,
            },
            "observe": {
                "quantiles": list(observe.quantiles),
                "segment": observe.segment,
                "metrics": [
                    {"name": metric.name, "low": metric.low, "high": metric.high}
                    for metric in observe.metrics
                ],
                "features": observe.features,
                "tolerance": observe.tolerance,
            },
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], place: str = "routing") -> Routing:
        """Reads what `to_document` made.

        Args:
            document: The JSON.
            place: How messages name it.

        Raises:
            InputError: If it is no routing.

        Example:
            >>> routing = Routing.alone("1.0.0")
            >>> Routing.from_document(routing.to_document()) == routing
            True
        """
        table = Table(document, place, InputError)
        arms = tuple(_arm(Table(arm, f"{place}: arm", InputError)) for arm in table.tables("arms"))
        shadow = table.table("shadow")
        key = table.table("key")
        experiment = table.table("experiment")
        observe = table.table("observe")
        rules = [
            rule_of(Table(rule, f"{place}: rule", InputError)) for rule in table.tables("rules")
        ]
        table.done()
        return cls(
            arms,
            None if shadow is None else _shadow(shadow),
            Key() if key is None else key_of(key),
            tuple(rules),
            None if experiment is None else _experiment(experiment),
            Observe() if observe is None else observe_of(observe),
        )

    def _shares(self) -> str:
        return ", ".join(f"{arm.version} {percent(arm.weight)}" for arm in self.arms)

    def __str__(self) -> str:
        shares = self._shares()
        if self.shadow is None:
            return shares
        return f"{shares}, {percent(self.shadow.share)} copied to {self.shadow.version}"


def key_of(table: Table) -> Key:
    """Reads a key: `from` and `name`."""
    source = table.text("from", "request")
    name = _named(source, table.text("name")) or None
    table.done()
    return Key(source, name)  # type: ignore[arg-type]  # it checks itself


def rule_of(table: Table) -> Rule:
    """Reads a rule: `from`, `name`, `in` and `version`."""
    source = table.need("from")
    name = _named(source, table.need("name"))
    values, version = table.texts("in"), table.need("version")
    table.done()
    return Rule(source, name, values, version)  # type: ignore[arg-type]  # it checks itself


def _named(source: str, name: str) -> str:
    """Headers have no case: they are written as the data plane reads them."""
    return name.lower() if source == "header" else name


def observe_of(table: Table) -> Observe:
    """Reads what is counted: `quantiles`, `segment`, `metrics`, `features` and `tolerance`."""
    default = Observe()
    quantiles = table.numbers("quantiles", default.quantiles)
    segment = table.text("segment") or None
    metrics = tuple(
        _metric(Table(metric, f"{table.place}: metric", InputError))
        for metric in table.tables("metrics")
    )
    features = table.flag("features", default.features)
    tolerance = table.number("tolerance") or 0.0
    table.done()
    return Observe(quantiles, segment, metrics, features, tolerance)


def _arm(table: Table) -> Arm:
    version, weight = table.need("version"), table.whole("weight", -1, 0, FULL)
    role, digest = table.text("role", "stable"), table.text("digest") or None
    table.done()
    return Arm(version, weight, role, digest)  # type: ignore[arg-type]  # it checks itself


def _shadow(table: Table) -> Shadow:
    version, share = table.need("version"), table.whole("share", FULL, 1, FULL)
    digest = table.text("digest") or None
    table.done()
    return Shadow(version, share, digest)


def _experiment(table: Table) -> Experiment:
    name, group = table.need("name"), table.text("group") or None
    begin, end = table.whole("from", 0, 0, FULL), table.whole("to", FULL, 0, FULL)
    table.done()
    return Experiment(name, group, begin, end)


def _metric(table: Table) -> Metric:
    name, low, high = table.need("name"), table.number("low"), table.number("high")
    table.done()
    if low is None or high is None:
        raise InputError(f"metric {name!r} has no low or no high: say the range of its values")
    return Metric(name, low, high)


def _check_version(version: str, digest: str | None) -> None:
    if str(SemanticVersion.parse(version)) != version:
        raise InputError(f"version {version!r}: write it as {SemanticVersion.parse(version)}")
    if digest is not None:
        check_digest(digest)


def _check_name(name: str | None, what: str, source: str = "") -> None:
    if not name or len(name.encode(errors="replace")) > MAX_TEXT or _CONTROL.search(name):
        raise InputError(f"{what} is {name!r}: give it 1 to {MAX_TEXT} bytes of plain text")
    if source == "header" and not _HEADER.match(name):
        raise InputError(f"{what} is {name!r}: use lower-case letters, digits, '.', '_' and '-'")


def _check_once(names: Sequence[str], what: str, most: int) -> None:
    if len(names) > most:
        raise InputError(f"{len(names)} {what}s are too many: at most {most}")
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{what} {name} is there {count} times: name each once")
