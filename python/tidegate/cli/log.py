"""`tidegate log`: SQL over the prediction log, and quality of predictions joined with their labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.config import ConfigOption
from tidegate.cli.output import JsonOption, emit, table

__all__ = ["log"]

log = typer.Typer(
    name="log", no_args_is_help=True, help="Query what was predicted, and how it came out."
)

LocationOption = typer.Option(
    "--location", "-l", help="The log's folder or object store; log.location of the settings."
)
ModelOption = typer.Option(help="Of this model only.")
SinceOption = typer.Option(help="From this day on (UTC).", metavar="YYYY-MM-DD")
UntilOption = typer.Option(help="Up to this day, itself included.", metavar="YYYY-MM-DD")


def _location(location: str | None, config: Path | None) -> str:
    if location is not None:
        return location
    from tidegate.errors import InputError
    from tidegate.monitoring.log import Log
    from tidegate.server import configured

    found = configured(config, environment=os.environ).section(Log).location
    if not isinstance(found, str):
        raise InputError("no log is configured: name it with --location, or set log.location")
    return found


@log.command("query")
def query(
    sql: Annotated[str, typer.Argument(help="One statement over predictions and feedback.")],
    location: Annotated[str | None, LocationOption] = None,
    model: Annotated[str | None, ModelOption] = None,
    since: Annotated[str | None, SinceOption] = None,
    until: Annotated[str | None, UntilOption] = None,
    config: Annotated[Path | None, ConfigOption] = None,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Run SQL over the prediction log: tables predictions and feedback.

    Example: tidegate log query "SELECT version, count(*) FROM predictions GROUP BY version"
    """
    from tidegate.monitoring.log.query import Selection
    from tidegate.monitoring.log.query import query as run

    columns, rows = run(sql, _location(location, config), Selection(model, since, until))
    if as_json:
        emit([dict(zip(columns, map(_plain, row), strict=True)) for row in rows])
        return
    table(columns, rows)


@log.command("quality")
def quality(
    model: Annotated[str, typer.Argument(help="The model's own name.")],
    location: Annotated[str | None, LocationOption] = None,
    since: Annotated[str | None, SinceOption] = None,
    until: Annotated[str | None, UntilOption] = None,
    config: Annotated[Path | None, ConfigOption] = None,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Join logged predictions with their labels, also those that came too late for the server."""
    from tidegate.monitoring.log.join import joined
    from tidegate.monitoring.log.query import Selection

    found = joined(model, _location(location, config), Selection(model, since, until))
    if as_json:
        emit(
            {
                version.version: {
                    "predictions": version.total.predictions,
                    "labelled": version.total.labelled,
                    "measures": {
                        name: {"value": each.value, "interval": each.interval}
                        for name, each in version.total.measures.items()
                    },
                }
                for version in found
            }
        )
        return
    rows = [
        (version.version, version.total.labelled, name, _figure(each.value), _span(each.interval))
        for version in found
        for name, each in version.total.measures.items()
    ]
    table(["version", "labels", "measure", "value", "95 % interval"], rows, right=["labels"])


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _span(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.4f} … {interval[1]:.4f}"


def _plain(value: object) -> object:
    """A value of DuckDB's as JSON has it."""
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return str(value)
