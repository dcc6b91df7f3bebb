"""A set of rules: a schema and rules over it, checked, saved, run over tables."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tidegate import _core
from tidegate.errors import InputError, NotFoundError, StorageError
from tidegate.features import Schema
from tidegate.validation.diff import RuleChange, RulesDiff
from tidegate.validation.evolution import compare_schemas
from tidegate.validation.report import ValidationReport
from tidegate.validation.rule import Rule
from tidegate.validation.stream import Validation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidegate.types import ArrowTable, Json

__all__ = ["Extra", "Rules"]

Extra = Literal["allow", "warn", "error"]
"""What columns beyond the schema mean."""


class Rules:
    """Rules about data, in the language of features.

    A rule is an expression that holds in every row, or a check that the functions of this package
    make. With a schema tables are held against it too: columns that are missing, of another type,
    not expected or in another order are findings, and so are missing values where the schema
    allows none.

    Args:
        *rules: rules.
        schema: the columns that are due. What `Schema.infer` proposed beside them become rules.
        extra: what columns beyond the schema mean; nothing by default.
        ordered: whether the order of the schema's columns counts.

    Raises:
        InputError: two rules share a name, a parameter makes no sense, or an expression does not
            fit the schema; the message names the rule.

    >>> import pyarrow as pa
    >>> from tidegate import col
    >>> from tidegate.validation import not_null, rule
    >>> rules = Rules(rule(col("arrival") >= col("departure"), name="time flows"),
    ...               not_null("carrier", allow=0.5))
    >>> table = pa.table({"departure": [1, 2], "arrival": [2, 1], "carrier": ["UA", None]})
    >>> print(rules.validate(table))
    failed: 2 rules on 2 rows: time flows (1 row)
    """

    __slots__ = ("_native",)

    def __init__(
        self,
        *rules: Rule,
        schema: Schema | None = None,
        extra: Extra = "allow",
        ordered: bool = False,
    ) -> None:
        for rule in rules:
            if not isinstance(rule, Rule):
                raise InputError(
                    f"{type(rule).__name__} is no rule: make one with rule(...) or another "
                    "function of tidegate.validation"
                )
        if schema is not None:
            proposed = schema.constraints
            rules += tuple(Rule(c.check, name=c.name, allow=c.allow) for c in proposed)
        document: dict[str, Json] = {
            "version": 1,
            "rules": [rule.to_dict() for rule in rules],
            "schema": None if schema is None else json.loads(schema.to_json()),
            "extra": extra,
            "ordered": ordered,
        }
        self._native = _core.RuleSet(json.dumps(document, allow_nan=False))

    @classmethod
    def from_json(cls, text: str) -> Rules:
        """Reads what `to_json` wrote, of this or any earlier version, or what was written by hand.

        Raises:
            StateError: the text is no set of rules, or of a later version.
            InputError: a rule makes no sense; the message names it.
        """
        rules = cls.__new__(cls)
        rules._native = _core.RuleSet(text)
        return rules

    @classmethod
    def load(cls, path: str | Path) -> Rules:
        """Reads a file of rules.

        Raises:
            NotFoundError: there is no such file.
            StateError: the file is edited, truncated, or of a later version.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no file of rules at {path}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"the rules at {path} cannot be read: {error}") from error
        try:
            return cls.from_json(text)
        except (InputError, ValueError) as error:
            raise type(error)(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Writes the rules as JSON that people can read and edit, one rule a line."""
        document = json.loads(self.to_json())
        rules = document.pop("rules")
        lines = ",\n".join("    " + json.dumps(rule, ensure_ascii=False) for rule in rules)
        head = json.dumps(document, ensure_ascii=False)[:-1]
        Path(path).write_text(f'{head}, "rules": [\n{lines}\n]}}\n', encoding="utf-8")

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no white space, defaults written out."""
        return self._native.to_json()

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the digest of the canonical JSON."""
        return self._native.fingerprint

    @property
    def schema(self) -> Schema | None:
        """The columns that are due."""
        native = self._native.schema
        return None if native is None else Schema.from_json(native.to_json())

    @property
    def extra(self) -> Extra:
        """What columns beyond the schema mean."""
        found: Extra = json.loads(self.to_json())["extra"]
        return found

    @property
    def ordered(self) -> bool:
        """Whether the order of the schema's columns counts."""
        return bool(json.loads(self.to_json())["ordered"])

    @property
    def names(self) -> list[str]:
        """The names of the rules in order."""
        return [name for name, _, _ in self._native.rules]

    def __len__(self) -> int:
        return len(self._native.rules)

    def __iter__(self) -> Iterator[Rule]:
        for rule in json.loads(self.to_json())["rules"]:
            yield Rule(**rule)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rules) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Rules.from_json, (self.to_json(),)

    def __repr__(self) -> str:
        return f"Rules({', '.join(self.names)})"

    def texts(self) -> dict[str, str]:
        """What each rule says, by its name: its check, and what is not as by default."""
        said = {}
        for rule, text in zip(self, self._native.texts, strict=True):
            parts = [text]
            if rule.severity != "error":
                parts.append(rule.severity)
            if rule.allow:
                parts.append(f"allow {rule.allow:g}")
            said[rule.name] = ", ".join(parts)
        return said

    def diff(self, other: Rules) -> RulesDiff:
        """What has to change in these rules to become others: columns first, then rule by rule.

        >>> from tidegate.validation import in_range
        >>> before = Rules(in_range("x", 0, 9, name="x range"))
        >>> print(before.diff(Rules(in_range("x", 0, 12, name="x range"))))
        ~ x range: ((col("x") >= 0) & (col("x") <= 9)) -> ((col("x") >= 0) & (col("x") <= 12))
        """
        changes: list[RuleChange] = []
        before, after = self.schema, other.schema
        if before is None and after is not None:
            changes.append(RuleChange("+", "schema", f"{len(after)} columns"))
        elif before is not None and after is None:
            changes.append(RuleChange("-", "schema", f"{len(before)} columns"))
        elif before is not None and after is not None:
            changes += [
                RuleChange("~", f"schema {change.column}", f"{change.change}")
                for change in compare_schemas(before, after).changes
            ]
        mine, theirs = self.texts(), other.texts()
        for name, text in theirs.items():
            if name not in mine:
                changes.append(RuleChange("+", name, text))
            elif mine[name] != text:
                changes.append(RuleChange("~", name, text, mine[name]))
        changes += [
            RuleChange("-", name, text) for name, text in mine.items() if name not in theirs
        ]
        return RulesDiff(tuple(changes))

    def for_serving(self, schema: Schema) -> Rules:
        """The rules that a guard can hold single requests against.

        Args:
            schema: the columns that the model takes, as `FeatureSet.input_schema` names them.

        Returns:
            The rules that one row can break and that look at these columns only, without a schema:
            the model's own does its part.
        """
        names = set(schema.names)
        document = json.loads(self.to_json())
        kept = [
            rule
            for rule, (_, of_rows, columns) in zip(
                document["rules"], self._native.rules, strict=True
            )
            if of_rows and names.issuperset(columns)
        ]
        return Rules(*(Rule(**rule) for rule in kept))

    def validate(
        self,
        table: ArrowTable,
        *,
        references: Mapping[str, ArrowTable] | None = None,
        samples: int | None = None,
        distinct_bytes: int | None = None,
        now: float | None = None,
    ) -> ValidationReport:
        """Holds a table against the rules, in one pass.

        Args:
            table: any producer of Arrow's PyCapsule interface: pyarrow, polars, pandas, DuckDB.
            references: the other tables of foreign keys, by name.
            samples: how many rows of each broken rule the report shows; 5 by default.
            distinct_bytes: memory that the keys of a rule about uniqueness may take before they
                go to disk; 256 MiB by default.
            now: seconds since 1970, for rules about age; the clock's by default.

        Returns:
            The report. It is true if the table passed.

        Raises:
            InputError: a rule names a column that neither the table nor the schema has, is not
                boolean, or refers to a table that is not given; the message names the rule.
        """
        text = self._native.validate(
            table,
            time.time() if now is None else now,
            None if references is None else dict(references),
            samples,
            distinct_bytes,
        )
        return ValidationReport.from_json(text)

    def start(
        self,
        *,
        references: Mapping[str, ArrowTable] | None = None,
        samples: int | None = None,
        distinct_bytes: int | None = None,
        repeats: Mapping[str, _core.RowSet] | None = None,
    ) -> Validation:
        """Begins a validation of data that comes in pieces.

        Args:
            references: as for `validate`, like `samples` and `distinct_bytes`.
            samples: rows of each broken rule that the report shows.
            distinct_bytes: memory for the keys of a rule about uniqueness.
            repeats: by the name of a rule about uniqueness, which rows repeat, where a look at all
                of them has told. Such a validation takes all rows itself and cannot be merged.
        """
        return Validation(
            _core.Validation(
                self._native,
                None if references is None else dict(references),
                samples,
                distinct_bytes,
                None if repeats is None else dict(repeats),
            )
        )
