"""The model card: what a person should know of a bundle before serving it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tidegate.types import Json, JsonObject

if TYPE_CHECKING:
    from tidegate.registry.manifest import Manifest

__all__ = ["flatten", "write_card"]

MAX_NAMES: Final = 200
"""Feature names listed before the card says how many more there are."""


def write_card(manifest: Manifest, features: Sequence[str]) -> str:
    """The default card of a bundle, in Markdown.

    Args:
        manifest: what is known of the bundle; its files may be unknown yet.
        features: the names of the matrix's columns; empty without a feature set.
    """
    lines = [
        f"# {manifest.name} {manifest.version}",
        "",
        f"A {manifest.kind} built {manifest.created}.",
        "",
        "## Answers",
        "",
        _answers(manifest),
        "",
    ]
    lines += _section("Metrics", manifest.metrics)
    lines += _section("Lineage", manifest.lineage)
    if features:
        lines += ["## Features", "", *(f"- `{name}`" for name in features[:MAX_NAMES])]
        if len(features) > MAX_NAMES:
            lines.append(f"- and {len(features) - MAX_NAMES} more")
        lines.append("")
    return "\n".join(lines)


def _answers(manifest: Manifest) -> str:
    if manifest.classes is not None:
        labels = ", ".join(f"`{label}`" for label in manifest.classes)
        return f"A label and a probability for each of the classes {labels}."
    if manifest.kind == "regressor":
        return "One number for each row."
    return "The tensors of its ONNX graph."


def _section(title: str, values: JsonObject) -> list[str]:
    if not values:
        return []
    rows = [f"| {_cell(key)} | {_cell(value)} |" for key, value in flatten(values)]
    return [f"## {title}", "", "| what | value |", "| --- | --- |", *rows, ""]


def flatten(values: JsonObject, prefix: str = "") -> list[tuple[str, Json]]:
    """Every value of nested objects with its dotted key, in order.

    Example:
        >>> flatten({"b": {"x": 1, "y": 2}, "a": 0})
        [('a', 0), ('b.x', 1), ('b.y', 2)]
    """
    found: list[tuple[str, Json]] = []
    for key, value in sorted(values.items()):
        if isinstance(value, dict) and value:
            found += flatten(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _cell(value: Json) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
