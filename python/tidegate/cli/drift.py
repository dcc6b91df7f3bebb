"""`tidegate drift`: what a running server has seen, compared with what the model was trained on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import orjson
import typer

from tidegate.cli.output import CONSOLE, JsonOption, emit, table
from tidegate.cli.remote import call
from tidegate.errors import StorageError

__all__ = ["drift"]

ORDER = {"feature": 0, "prediction": 1}
SHOWN_COLUMNS = 3
CLOCKS = ("timestamp", "date")


def drift(
    model: Annotated[str, typer.Argument(help="The name that the model is served under.")],
    url: Annotated[
        str, typer.Option(envvar="TIDEGATE_URL", help="The server's address.")
    ] = "http://127.0.0.1:8080",
    version: Annotated[
        str | None, typer.Option(help="One version of several that are served.")
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option(help="Only the rows with this value of the segment column."),
    ] = None,
    close: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="Close the open window under this name first."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the whole report as one page that opens offline.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Columns to show, the most drifted first.")] = 10,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Show what drifted in the newest window with rows."""
    base = f"{url.rstrip('/')}/v1/models/{quote(model, safe='')}/drift"
    asked = f"?version={quote(version)}" if version else ""
    if close is not None:
        separator = "&" if asked else "?"
        call(f"{base}:close{asked}{separator}label={quote(close)}", method="POST")
    if segment is not None:
        asked += f"{'&' if asked else '?'}segment={quote(segment, safe='')}"
    report: dict[str, Any] = call(base + asked)
    if html is not None:
        _write(report, model, html)
    if as_json:
        emit(report)
        return
    windows = [window for window in report["windows"] if window["rows"]]
    if not windows:
        typer.echo(f"no row of {model} was watched yet: send it requests, then look again")
        _mistyped(report.get("mistyped", []))
        return
    window = windows[-1]
    state = "closed" if window["closed"] else "open"
    name = f"'{window['label']}', " if window["label"] else ""
    table(
        ("column", "role", "PSI", "without drift", "JS", "missing", "was", "new values"),
        [_row(column) for column in _most_drifted(window, top)],
        title=(
            f"{model}{_of(report.get('segment'))}: window {name}{state}, {window['rows']:,} rows against "
            f"{report['baseline']['rows']:,} of the baseline"
        ),
        right=("PSI", "without drift", "JS", "missing", "was", "new values"),
    )
    _alarms(report.get("alarms"))
    _mistyped(report.get("mistyped", []))
    clocks = {column["name"] for column in window["columns"] if column["dtype"] in CLOCKS}
    _segments(report.get("segments"), clocks, top)
    if html is not None:
        CONSOLE.print(f"The whole report: {html.resolve()}")


def _alarms(alarms: dict[str, Any] | None) -> None:
    """What left its reference by more than is harmless, below the table of distances."""
    if alarms is None or not alarms["looks"]:
        return
    raised = [column for column in alarms["columns"] if column["alarm"]]
    if not raised:
        CONSOLE.print(
            f"No alarm after {alarms['looks']:,} windows: up to {alarms['tolerance']:.0%} of the "
            "rows may move to another cell."
        )
        return
    table(
        ("alarm", "role", "rows moved", "at least", "at most", "e-value", "since"),
        [
            (
                column["name"],
                column["role"],
                f"{column['distance']:.1%}",
                f"{column['interval']['lower']:.1%}",
                f"{column['interval']['upper']:.1%}",
                f"{column['e_value']:.2g}",
                _time(column["since"]),
            )
            for column in sorted(raised, key=lambda column: -column["interval"]["lower"])
        ],
        title=f"Alarms: more than {alarms['tolerance']:.0%} of the rows moved to another cell",
        right=("rows moved", "at least", "at most", "e-value"),
    )


def _mistyped(columns: list[dict[str, Any]]) -> None:
    """The features for whose values requests were refused."""
    if columns:
        names = ", ".join(f"{column['name']} ({column['requests']:,})" for column in columns)
        typer.echo(f"Requests refused for a value of a wrong type: {names}")


def _of(segment: dict[str, Any] | None) -> str:
    return "" if segment is None else f", {segment['column']} = {segment['value']}"


def _segments(segments: dict[str, Any] | None, clocks: set[str], top: int) -> None:
    """The segments with rows, each with the columns that moved most beyond chance.

    Times are left out: they only go on.
    """
    found = [value for value in (segments or {}).get("values", ()) if value["rows"]]
    if segments is None or not found:
        return

    def beyond(column: dict[str, Any]) -> float:
        return (column["psi"] or 0.0) - (column["psi_noise"] or 0.0)

    rows = []
    for value in found[:top]:
        columns = [column for column in value["columns"] if column["name"] not in clocks]
        moved = sorted(columns, key=beyond, reverse=True)[:SHOWN_COLUMNS]
        words = ", ".join(f"{column['name']} {_number(column['psi'])}" for column in moved)
        rows.append((value["value"], f"{value['rows']:,}", words))
    against = "its own rows" if segments["like_with_like"] else "all rows"
    table(
        (segments["column"], "rows", "what moved most (PSI)"),
        rows,
        title=f"By {segments['column']}, against {against} of the reference",
        right=("rows",),
    )


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g}"


def _most_drifted(window: dict[str, Any], top: int) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = window["columns"]
    # Predictions first: they are few, and what people look for.
    return sorted(columns, key=lambda c: (-ORDER.get(c["role"], 0), -(c["psi"] or 0.0)))[:top]


def _row(column: dict[str, Any]) -> tuple[str, ...]:
    new = column["out_of_range"] if column["out_of_range"] is not None else column["unseen"]
    return (
        column["name"],
        column["role"],
        _number(column["psi"]),
        _number(column["psi_noise"]),
        _number(column["js"]),
        f"{column['missing']['live']:.1%}",
        f"{column['missing']['baseline']:.1%}",
        "–" if new is None else f"{new['live']:.1%}",
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _write(report: dict[str, Any], model: str, path: Path) -> None:
    from tidegate.monitoring import DriftReport, write_html

    try:
        write_html(DriftReport.from_json(orjson.dumps(report).decode()), path, title=model)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from None
