"""One section of settings: a dataclass, its keys with their types and defaults, and their meaning."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from tidegate.errors import ConfigurationError

__all__ = ["Key", "Known", "Section", "known"]

Known = Callable[[], Sequence[tuple[str, float, str]]]
"""Gives the keys of a table of numbers: name, default and meaning of each."""

_KNOWN: Final = "known"

_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})

_ATTRIBUTE: Final = re.compile(
    r"^ {4}(\w+): (.+?)(?=^ {4}\w|^ {0,3}\S|\Z)", re.DOTALL | re.MULTILINE
)


def known(keys: Known) -> dict[str, Known]:
    """Metadata of a dataclass field that is a table of numbers with these keys.

    Args:
        keys: Gives name, default and meaning of each key.

    Returns:
        What `dataclasses.field(metadata=…)` takes.

    Example:
        >>> from dataclasses import dataclass, field
        >>> from collections.abc import Mapping
        >>> @dataclass
        ... class Tank:
        ...     '''A tank.
        ...
        ...     Attributes:
        ...         limits: Bounds.
        ...     '''
        ...
        ...     limits: Mapping[str, float] = field(
        ...         default_factory=dict, metadata=known(lambda: [("litres", 80.0, "Most litres.")])
        ...     )
        >>> [key.name for key in Section("tank", Tank).keys]
        ['limits.litres']
    """
    return {_KNOWN: keys}


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """One key of a section.

    Attributes:
        name: The name below the section; `limits.body_bytes` for a key of a table.
        kind: The type of its value.
        optional: Whether it may be left without a value.
        default: What it is if nobody says anything.
        meaning: For people.
        varies: Whether the default depends on the machine.
    """

    name: str
    kind: type
    optional: bool
    default: object
    meaning: str
    varies: bool = False

    @property
    def type_name(self) -> str:
        """The type for people."""
        names: dict[type, str] = {
            str: "text",
            int: "whole number",
            float: "number",
            bool: "true or false",
            tuple: "list of texts",
            dict: "table",
            list: "list of tables",
        }
        return names[self.kind]

    def take(self, value: object, origin: str) -> Any:
        """The value as the key's type.

        Args:
            value: A value as TOML has it, or a text of the environment or a flag.
            origin: Where it comes from, for the error.

        Raises:
            ConfigurationError: If it is of another type.
        """
        if isinstance(value, str) and self.kind is not str:
            value = self._parsed(value)
        if isinstance(value, int) and not isinstance(value, bool) and self.kind is float:
            value = float(value)
        if self.kind is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, list | tuple) and self.kind in (tuple, list):
            if all(isinstance(item, str if self.kind is tuple else dict) for item in value):
                return tuple(value)
        elif isinstance(value, self.kind) and (self.kind is bool or not isinstance(value, bool)):
            return value
        raise ConfigurationError(f"{origin}: {self.name} is {value!r}: give it a {self.type_name}")

    def _parsed(self, text: str) -> object:
        """The text as the key's type; as it is where it cannot be read so, as tables cannot."""
        if self.kind in (dict, list):
            return text
        if self.kind is tuple:
            return [item.strip() for item in text.split(",") if item.strip()]
        if self.kind is bool:
            word = text.strip().lower()
            return True if word in _TRUE else False if word in _FALSE else text
        try:
            return float(text) if self.kind is float else int(text)
        except ValueError:
            return text


class Section:
    """A dataclass read as a section of settings.

    The meaning of each key is what the class's docstring says of it under `Attributes:`.

    Args:
        name: The name in the file.
        kind: The dataclass.
        core: The native half's defaults for keys that are `None` here, by key.
        varying: Keys whose default depends on the machine.
    """

    def __init__(
        self,
        name: str,
        kind: type,
        core: Callable[[], Mapping[str, float]] | None = None,
        varying: Collection[str] = (),
    ) -> None:
        self.name: Final = name
        self.kind: Final = kind
        self.meaning: Final = (inspect.getdoc(kind) or "").partition("\n")[0]
        self.keys: Final = tuple(_keys(kind, core() if core else {}, varying))

    def key(self, name: str) -> Key | None:
        """The key of this name."""
        return next((key for key in self.keys if key.name == name), None)

    def build(self, values: Mapping[str, object]) -> Any:
        """The section with these values, and defaults for the rest.

        Args:
            values: By the names of keys; each of its key's type.

        Raises:
            ConfigurationError: If the class refuses a value.
        """
        arguments: dict[str, Any] = {}
        for name, value in values.items():
            outer, _, inner = name.partition(".")
            if inner:
                arguments.setdefault(outer, {})[inner] = value
            else:
                arguments[name] = value
        try:
            return self.kind(**arguments)
        except ConfigurationError as error:
            raise ConfigurationError(f"section [{self.name}]: {error}") from error


def _keys(kind: type, core: Mapping[str, float], varying: Collection[str]) -> list[Key]:
    meanings = _meanings(kind)
    hints = typing.get_type_hints(kind)
    keys: list[Key] = []
    for field in dataclasses.fields(kind):
        keys_of_table: Known | None = field.metadata.get(_KNOWN)
        if keys_of_table is not None:
            keys += [
                Key(f"{field.name}.{name}", float, False, default, meaning)
                for name, default, meaning in keys_of_table()
            ]
            continue
        value_kind, optional = _kind(hints[field.name])
        default: object = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is None:
            default = core.get(field.name)
        if value_kind is int and isinstance(default, float):
            default = int(default)
        varies = field.name in varying
        keys.append(Key(field.name, value_kind, optional, default, meanings[field.name], varies))
    return keys


def _kind(hint: Any) -> tuple[type, bool]:
    """The plain type of an annotation, and whether `None` is allowed."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (inner,) = (part for part in typing.get_args(hint) if part is not type(None))
        return _kind(inner)[0], True
    plain = typing.get_origin(hint) or hint
    inner = typing.get_args(hint)
    if plain is tuple and typing.get_origin(inner[0]) is Mapping:
        return list, False
    if plain is Mapping:
        return dict, False
    assert isinstance(plain, type)
    return plain, False


def _meanings(kind: type) -> dict[str, str]:
    """What the docstring says of each attribute, each on one line."""
    _, _, listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(listed)}
