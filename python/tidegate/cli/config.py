"""`tidegate config`: the effective settings and where each came from; the page of reference."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from tidegate.cli.output import CONSOLE, JsonOption, emit, table

__all__ = ["ConfigOption", "SetOption", "config"]

ConfigOption: Final = typer.Option(
    "--config", "-c", help="The settings file; tidegate.toml or TIDEGATE_CONFIG by default."
)
"""`--config`, the same wherever settings are read."""

SetOption: Final = typer.Option(
    "--set", help="Any setting, such as runtime.max_queue_rows=1000.", metavar="SECTION.KEY=VALUE"
)
"""`--set`, the same wherever settings are read."""


def config(
    file: Annotated[Path | None, ConfigOption] = None,
    set_: Annotated[list[str] | None, SetOption] = None,
    reference: Annotated[
        bool, typer.Option("--reference", help="Print the page of reference as Markdown.")
    ] = False,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Show every setting of `serve` with its value and where it comes from."""
    from tidegate import configuration
    from tidegate.cli.settings import pairs
    from tidegate.server.configuration import configured, sections

    if reference:
        CONSOLE.print(configuration.reference(sections()), markup=False, end="")
        return
    found = configured(file, environment=os.environ, flags=pairs(set_ or [], "--set"))
    if as_json:
        emit(
            {
                setting.name: {"value": _shown(setting.value), "origin": setting.origin}
                for setting in found.settings()
            }
        )
        return
    rows = [(setting.name, _text(setting.value), setting.origin) for setting in found.settings()]
    table(("setting", "value", "origin"), rows)


def _shown(value: object) -> object:
    """The value; of tables only the names, since what is in them may be secret."""
    if isinstance(value, dict):
        return list(value)
    if isinstance(value, tuple):
        return [str(item.get("name", "")) if isinstance(item, dict) else item for item in value]
    return value


def _text(value: object) -> str:
    value = _shown(value)
    if value is None or value == []:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    return ", ".join(value) if isinstance(value, list) else str(value)
