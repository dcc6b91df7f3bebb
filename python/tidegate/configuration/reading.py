"""Reading settings: a TOML file, then the environment, then flags; the later one wins."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from tidegate.configuration.section import Key, Section
from tidegate.errors import ConfigurationError

__all__ = ["PREFIX", "Configuration", "Setting", "read", "variable"]

T = TypeVar("T")

PREFIX: Final = "TIDEGATE_"
"""How the names of environment variables begin; `__` stands for each dot."""

DEFAULT: Final = "default"
"""The origin of a value that nobody gave."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective value.

    Attributes:
        name: `section.key`.
        value: What it is.
        origin: The file, the variable or the flag that said so, or `default`.
    """

    name: str
    value: object
    origin: str


class Configuration:
    """Sections with their effective values, and where each came from."""

    def __init__(
        self, sections: Sequence[Section], given: Mapping[tuple[str, str], tuple[object, str]]
    ) -> None:
        self._built: dict[type, object] = {}
        self._settings: list[Setting] = []
        for section in sections:
            values = {
                key: value for (name, key), (value, _) in given.items() if name == section.name
            }
            self._built[section.kind] = section.build(values)
            for key in section.keys:
                value, origin = given.get((section.name, key.name), (key.default, DEFAULT))
                self._settings.append(Setting(f"{section.name}.{key.name}", value, origin))

    def section(self, kind: type[T]) -> T:
        """The values of one section.

        Args:
            kind: The section's class.
        """
        section = self._built[kind]
        assert isinstance(section, kind)
        return section

    def settings(self) -> list[Setting]:
        """Every effective value, in the order of the sections."""
        return list(self._settings)


def variable(section: str, key: str) -> str:
    """The environment variable of a key.

    Args:
        section: The section's name.
        key: The key's name.

    Example:
        >>> variable("server", "limits.body_bytes")
        'TIDEGATE_SERVER__LIMITS__BODY_BYTES'
    """
    return PREFIX + f"{section}.{key}".upper().replace(".", "__")


def read(
    sections: Sequence[Section],
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Sequence[Setting] = (),
) -> Configuration:
    """Reads settings from all three sources.

    Args:
        sections: What may be set.
        file: A TOML file with a table for each section.
        environment: Variables such as `TIDEGATE_SERVER__PORT`.
        flags: Values as given on the command line; their origins are the names of flags.

    Returns:
        The effective values.

    Raises:
        ConfigurationError: If a key is unknown (the message suggests the nearest), a value is of
            the wrong type or out of its range, or the file cannot be read.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Oven:
        ...     '''An oven.
        ...
        ...     Attributes:
        ...         degrees: How hot.
        ...     '''
        ...
        ...     degrees: float = 180.0
        >>> sections = [Section("oven", Oven)]
        >>> found = read(sections, environment={"TIDEGATE_OVEN__DEGREES": "200"})
        >>> found.settings()
        [Setting(name='oven.degrees', value=200.0, origin='TIDEGATE_OVEN__DEGREES')]
        >>> read(sections, flags=[Setting("oven.degree", "200", "--set")])
        Traceback (most recent call last):
        ...
        tidegate.errors.ConfigurationError: --set: oven.degree: there is no such setting: did you mean oven.degrees?
    """
    names = {
        f"{section.name}.{key.name}": (section, key) for section in sections for key in section.keys
    }
    given: dict[tuple[str, str], tuple[object, str]] = {}

    def set_(name: str, value: object, origin: str) -> None:
        section, key = names[name]
        given[section.name, key.name] = (key.take(value, origin), origin)

    if file is not None:
        for name, value in _flat(_toml(file), names):
            if name not in names:
                raise _unknown(f"{file}: {name}", name, names)
            set_(name, value, str(file))
    variables = {
        variable(section.name, key.name): f"{section.name}.{key.name}"
        for section, key in names.values()
    }
    for name, text in sorted((environment or {}).items()):
        # A name without a section is another program's, or of a command's own.
        if not name.startswith(PREFIX) or "__" not in name:
            continue
        if name not in variables:
            raise _unknown(name, name, variables)
        set_(variables[name], text, name)
    for flag in flags:
        if flag.name not in names:
            raise _unknown(f"{flag.origin}: {flag.name}", flag.name, names)
        set_(flag.name, flag.value, flag.origin)
    return Configuration(sections, given)


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"configuration {file} cannot be read ({error}): name another with --config"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"configuration {file} is no TOML ({error}): mend that line"
        ) from None


def _flat(
    table: Mapping[str, Any], names: Mapping[str, tuple[Section, Key]], place: str = ""
) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        name = f"{place}.{key}" if place else key
        if isinstance(value, dict) and name not in names:
            if not value and not any(known.startswith(f"{name}.") for known in names):
                yield name, value
            yield from _flat(value, names, name)
        else:
            yield name, value


def _unknown(what: str, name: str, names: Mapping[str, object]) -> ConfigurationError:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    hint = f"did you mean {near[0]}?" if near else "see tidegate config"
    return ConfigurationError(f"{what}: there is no such setting: {hint}")
