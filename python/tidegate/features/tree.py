"""The tree of JSON below every expression: what the families of methods build on."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from tidegate.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidegate.types import Json

__all__ = ["Tree", "constant", "operand", "several"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def constant(value: object) -> dict[str, Json]:
    """The keys of a literal: its value, and its type where JSON does not tell it.

    Args:
        value: a bool, number, text, `datetime`, `date` (a time at midnight, UTC) or `timedelta` (a
            number of seconds), or a scalar of NumPy's.

    Raises:
        InputError: the value is none of these, or no finite number.
    """
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return {"value": (aware - _EPOCH) // timedelta(microseconds=1), "dtype": "timestamp"}
    if isinstance(value, date):
        days = value.toordinal() - _EPOCH.toordinal()
        return {"value": days * 86_400_000_000, "dtype": "timestamp"}
    if isinstance(value, timedelta):
        return {"value": value / timedelta(seconds=1)}
    if not isinstance(value, bool | int | float | str):
        item = getattr(value, "item", None)
        value = item() if callable(item) and getattr(value, "shape", None) == () else value
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{value} is no constant of an expression: use a finite number")
    if isinstance(value, bool | int | float | str):
        return {"value": value}
    raise InputError(
        f"{type(value).__name__} is no constant of an expression: use a bool, number, text or "
        "datetime, or a column with col(...)"
    )


def operand(value: object) -> dict[str, Json]:
    """The JSON of an operand: of an expression, or of a plain value as a literal."""
    if isinstance(value, Tree):
        return value.to_dict()
    return {"op": "literal", **constant(value)}


def several(op: str, operands: Iterable[object], **parameters: Json) -> dict[str, Json]:
    """The JSON of an expression of any number of inputs."""
    inputs: list[Json] = [operand(value) for value in operands]
    given = {key: value for key, value in parameters.items() if value is not None}
    return {"op": op, "inputs": inputs, **given}


class Tree:
    """An expression as its JSON. A family of methods is a class over this one, in its own file."""

    __slots__ = ("_data",)

    def __init__(self, tree: Mapping[str, Json]) -> None:
        self._data = dict(tree)

    def to_dict(self) -> dict[str, Json]:
        """The expression as the JSON object that is written to disk."""
        return dict(self._data)

    def to_json(self) -> str:
        """The expression as JSON.

        Raises:
            InputError: it was made of a dict that is no tree of finite JSON: one that holds itself,
                say.
        """
        try:
            return json.dumps(self._data, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            op = self._data.get("op")
            raise InputError(
                f"an expression ({op}) whose parts are no JSON: {error}; make it with col(...) and "
                "its methods"
            ) from error

    def _apply(self, op: str, **parameters: Json) -> Self:
        """An expression of this one; parameters that are `None` are left out."""
        given = {key: value for key, value in parameters.items() if value is not None}
        return type(self)({"op": op, "input": self.to_dict(), **given})

    def _with(self, op: str, other: object, *, swapped: bool = False) -> Self:
        """An expression of this one and another, or of a plain value."""
        left, right = operand(self), operand(other)
        if swapped:
            left, right = right, left
        return type(self)({"op": op, "left": left, "right": right})

    def _among(self, op: str, others: Iterable[object], **parameters: Json) -> Self:
        """An expression of this one and any number of others."""
        return type(self)(several(op, (self, *others), **parameters))
