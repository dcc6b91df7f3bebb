"""Schemas: the typed columns of raw input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from tidegate import _core
from tidegate.features.estimator import is_matrix, tabled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from tidegate.features.constraints import Constraint
    from tidegate.types import ArrowTable

__all__ = ["DType", "Field", "Schema"]

DType = Literal[
    "bool",
    "int64",
    "float64",
    "string",
    "timestamp",
    "date",
    "duration",
    "list[float64]",
    "list[string]",
]
"""The type of a raw column. A timestamp and a duration are in microseconds, a timestamp in UTC."""


@dataclass(frozen=True, slots=True)
class Field:
    """One raw column.

    Attributes:
        name: unique in its schema.
        dtype: the type of its values.
        nullable: may values be missing? Null and NaN are one thing, missing.
    """

    name: str
    dtype: DType
    nullable: bool


class Schema:
    """Typed columns in order, with a fingerprint that is the same on every machine.

    Args:
        fields: the columns; names are unique and not empty.

    Raises:
        InputError: a name is empty or appears twice, or a type is unknown.

    >>> schema = Schema([Field("distance", "float64", nullable=False)])
    >>> schema.names
    ['distance']
    >>> schema.fingerprint[:15]
    'sha256:2d8cdeb3'
    """

    __slots__ = ("_constraints", "_native")

    def __init__(self, fields: Sequence[Field]) -> None:
        self._native = _core.Schema([(f.name, f.dtype, f.nullable) for f in fields])
        self._constraints: tuple[Constraint, ...] = ()

    @classmethod
    def _of(cls, native: _core.Schema, constraints: tuple[Constraint, ...] = ()) -> Schema:
        schema = cls.__new__(cls)
        schema._native = native
        # A schema of some columns has the constraints that look at them only.
        names = {name for name, _, _ in native.fields}
        schema._constraints = tuple(c for c in constraints if names.issuperset(c.columns))
        return schema

    @classmethod
    def infer(
        cls,
        table: ArrowTable | npt.NDArray[Any],
        *,
        nullable: bool | Sequence[str] | None = None,
        constraints: bool = False,
    ) -> Schema:
        """The schema of a table.

        Args:
            table: any producer of Arrow's PyCapsule interface: pyarrow, polars, pandas, DuckDB; or a
                matrix of numbers, whose columns are `x0`, `x1` and so on.
            nullable: which columns may have missing values. By default those in which this table
                has some; with names, those too; with `True` all; with `False` none.
            constraints: whether to propose what its values keep: bounds, categories, lengths, keys,
                order, shares of missing values. `Rules(schema=…)` makes rules of them, and
                `Rules.diff` shows what another table would change. Takes pyarrow.

        Returns:
            All columns of the table. Narrow numbers are widened, and categories are strings.

        Raises:
            InputError: the object is no table, a column has a type that is none of `DType`, or
                constraints are to be proposed of a table without rows.
            MissingDependencyError: pyarrow is not installed, and constraints take it.

        >>> import pyarrow as pa
        >>> Schema.infer(pa.table({"x": [1, None], "s": ["a", "b"]}))
        Schema(x: int64?, s: string)
        >>> proposed = Schema.infer(pa.table({"month": [1, 12] * 60}), constraints=True)
        >>> [constraint.name for constraint in proposed.constraints]
        ['month range']
        """
        names = nullable if nullable is None or isinstance(nullable, bool) else list(nullable)
        if is_matrix(table):
            table = tabled(table, None, None, reset=True)
        native = _core.Schema.infer(table, names)
        if not constraints:
            return cls._of(native)
        from tidegate.features.constraints import proposed

        columns = [(name, dtype) for name, dtype, _ in native.fields]
        return cls._of(native, proposed(cast("ArrowTable", table), columns))

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Reads what `to_json` wrote, of this or any earlier version.

        Raises:
            StateError: the text is no schema, or of a later version.
        """
        return cls._of(_core.Schema.from_json(text))

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no white space."""
        return self._native.to_json()

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the digest of the canonical JSON."""
        return self._native.fingerprint

    @property
    def fields(self) -> list[Field]:
        """The columns in order."""
        return [Field(name, cast("DType", d), n) for name, d, n in self._native.fields]

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """What `infer` proposed; neither the JSON nor the fingerprint has it."""
        return self._constraints

    @property
    def names(self) -> list[str]:
        """The names of the columns in order."""
        return [name for name, _, _ in self._native.fields]

    def select(self, names: Sequence[str]) -> Schema:
        """The schema of some columns, in the order given.

        Raises:
            InputError: there is no such column; the message names the nearest.
        """
        return self._of(self._native.select(list(names)), self._constraints)

    def drop(self, names: Sequence[str]) -> Schema:
        """The schema without some columns, such as the label.

        Raises:
            InputError: there is no such column; the message names the nearest.
        """
        return self._of(self._native.drop(list(names)), self._constraints)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self._native.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __reduce__(self) -> tuple[object, tuple[str, tuple[Constraint, ...]]]:
        return _restored, (self.to_json(), self._constraints)

    def __repr__(self) -> str:
        fields = (f"{f.name}: {f.dtype}{'?' if f.nullable else ''}" for f in self.fields)
        return f"Schema({', '.join(fields)})"


def _restored(text: str, constraints: tuple[Constraint, ...]) -> Schema:
    return Schema._of(_core.Schema.from_json(text), constraints)
