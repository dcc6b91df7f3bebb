"""The page of reference: every section, key, default and meaning, generated."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.configuration.section import Key, Section

__all__ = ["reference"]


def reference(sections: Sequence[Section]) -> str:
    """Every setting as Markdown: one table a section.

    Args:
        sections: What may be set.

    Returns:
        The text, which ends with a line end.

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
        >>> print(reference([Section("oven", Oven)]))
        ### [oven]
        <BLANKLINE>
        An oven.
        <BLANKLINE>
        | key | type | default | meaning |
        | --- | --- | --- | --- |
        | `degrees` | number | `180` | How hot. |
        <BLANKLINE>
    """
    return "\n".join(_section(section) for section in sections)


def _section(section: Section) -> str:
    lines = [
        f"### [{section.name}]",
        "",
        section.meaning,
        "",
        "| key | type | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for key in section.keys:
        meaning = key.meaning.replace("|", "\\|")
        lines.append(f"| `{key.name}` | {key.type_name} | {_default(key)} | {meaning} |")
    return "\n".join([*lines, ""])


def _default(key: Key) -> str:
    value = key.default
    if key.varies:
        return "depends on the machine"
    if value is None or value in ((), "", {}):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:.10g}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"
