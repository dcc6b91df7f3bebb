"""`tidegate incidents list|show|ack|note|resolve|export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from tidegate.cli.output import CONSOLE, JsonOption, emit, table
from tidegate.cli.remote import UrlOption, call
from tidegate.errors import StorageError

if TYPE_CHECKING:
    from tidegate.monitoring.incidents.archive import Archive

__all__ = ["incidents"]

incidents = typer.Typer(no_args_is_help=True, help="What happened, what is done, and the review.")

RegistryOption: Final = typer.Option(
    "--registry", "-r", help="Read them beside the revisions in a registry, and ask no server."
)
"""Where incidents are by default."""

IncidentArgument: Final = typer.Argument(help="Its name, from the list.", metavar="INCIDENT")


def _archive(registry: str) -> Archive:
    from tidegate.monitoring.alerts.watch import FOLDER
    from tidegate.monitoring.incidents.archive import Archive
    from tidegate.storage import PartStore, open_store

    return Archive(PartStore(open_store(registry, read_only=True), FOLDER))


def _address(url: str, incident: str = "", verb: str = "") -> str:
    base = f"{url.rstrip('/')}/v1/incidents"
    return "/".join(part for part in (base, quote(incident, safe=""), verb) if part)


@incidents.command("list")
def list_(
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
    registry: Annotated[str | None, RegistryOption] = None,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """List incidents, the newest first."""
    from tidegate.monitoring.incidents.review import when

    found: list[dict[str, Any]] = (
        call(_address(url))["incidents"] if registry is None else _archive(registry).incidents()
    )
    if as_json:
        emit(found)
        return
    if not found:
        typer.echo("there are no incidents")
        return
    rows = [
        (
            each["id"],
            each["status"],
            when(each["opened"]),
            f"{each['title']} ({each['severity']})",
        )
        for each in found
    ]
    table(("incident", "status", "opened (UTC)", "title"), rows)


@incidents.command()
def show(
    incident: Annotated[str, IncidentArgument],
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
    registry: Annotated[str | None, RegistryOption] = None,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Show one incident: its timeline, and the causes that are suggested."""
    from tidegate.monitoring.incidents.review import when

    found: dict[str, Any] = (
        call(_address(url, incident)) if registry is None else _archive(registry).incident(incident)
    )
    if as_json:
        emit(found)
        return
    CONSOLE.print(
        f"{found['id']} {found['status']}, {found['severity']}: {found['title']}", markup=False
    )
    table(
        ("time (UTC)", "what"),
        [(when(line["at"]), line["text"]) for line in found["timeline"]],
    )
    for record in found["records"]:
        if record["type"] == "evidence" and record["causes"]:
            table(
                ("moved at (UTC)", "what", "kind", "how"),
                [(when(c["at"]), c["what"], c["kind"], c["detail"]) for c in record["causes"]],
                title="Suggested causes, by what moved first",
            )


@incidents.command()
def ack(
    incident: Annotated[str, IncidentArgument],
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
) -> None:
    """Say that you have it in hand: nobody further is told of it."""
    call(_address(url, incident, "ack"), method="POST")
    typer.echo(f"{incident} is acknowledged")


@incidents.command()
def note(
    incident: Annotated[str, IncidentArgument],
    text: Annotated[str, typer.Argument(help="What was seen or done.")],
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
) -> None:
    """Add a note to the timeline."""
    call(_address(url, incident, "note"), method="POST", body={"text": text})
    typer.echo(f"{incident} has a note")


@incidents.command()
def resolve(
    incident: Annotated[str, IncidentArgument],
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
) -> None:
    """Close it, whatever its alerts do."""
    call(_address(url, incident, "resolve"), method="POST")
    typer.echo(f"{incident} is resolved")


@incidents.command()
def export(
    incident: Annotated[str, IncidentArgument],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A file; standard output by default.")
    ] = None,
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
    registry: Annotated[str | None, RegistryOption] = None,
) -> None:
    """Write the review as Markdown, with its timeline filled in."""
    text: str = (
        call(_address(url, incident, "review"))["markdown"]
        if registry is None
        else _archive(registry).review(incident)
    )
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from None
