"""`tidegate ingest`: tables into Parquet, validated, each once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tidegate.cli.output import DIAGNOSTICS, JsonOption, emit, table
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.validation import Ingested

__all__ = ["ingest"]


def ingest(
    source: Annotated[
        str,
        typer.Argument(
            help="A file (CSV, JSON lines, Parquet, Arrow IPC), a folder of them, an address of "
            "object storage, or a query as duckdb:FILE?SELECT … or adbc:DRIVER,URI?SELECT …"
        ),
    ],
    destination: Annotated[str, typer.Argument(help="A folder, or an address of object storage.")],
    rules: Annotated[Path | None, typer.Option(help="The file of rules.")] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TABLE", help="A table that rules refer to; may be repeated."),
    ] = None,
    refuse: Annotated[
        bool,
        typer.Option(
            "--refuse", help="Refuse a part with any bad row, instead of writing those apart."
        ),
    ] = False,
    pass_whole: Annotated[
        bool,
        typer.Option(
            "--pass-whole",
            help="Let a part pass that breaks a rule about the whole table which no rows are to "
            "blame for: the report says so.",
        ),
    ] = False,
    rows_per_file: Annotated[
        int | None, typer.Option(min=1, help="Most rows of one Parquet file; a million by default.")
    ] = None,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Read, validate and write tables as Parquet. What was ingested before is left alone."""
    from tidegate.validation import Rules
    from tidegate.validation.ingestion import ROWS_PER_FILE
    from tidegate.validation.ingestion import ingest as run
    from tidegate.validation.source import open_source

    references = {}
    for text in reference or ():
        name, equals, address = text.partition("=")
        if not equals:
            raise InputError(f"--reference {text}: give it as NAME=TABLE")
        references[name] = open_source(address).read()
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
        console=DIAGNOSTICS,
        transient=True,
    )
    with shown:
        task = shown.add_task("reading", total=None, rows=0)
        parts = run(
            source,
            destination,
            rules=None if rules is None else Rules.load(rules),
            references=references,
            refuse=refuse,
            whole="pass" if pass_whole else "refuse",
            rows_per_file=rows_per_file or ROWS_PER_FILE,
            progress=lambda at: shown.update(
                task,
                description=f"{at.part} ({at.number} of {at.parts})",
                total=at.parts,
                completed=at.number - 1,
                rows=at.rows,
            ),
        )
        done = [_line(part) for part in parts]
    if as_json:
        emit({"destination": destination, "parts": done})
        return
    table(
        ("part", "", "rows", "quarantined", "verdict"),
        [
            (
                part["part"],
                "written" if part["new"] else "was there",
                f"{part['rows']:,}",
                f"{part['quarantined']:,}",
                part["verdict"] or "–",
            )
            for part in done
        ],
        title=f"{destination}: {sum(part['rows'] for part in done):,} rows in {len(done)} parts",
        right=("rows", "quarantined"),
    )


def _line(part: Ingested) -> dict[str, Any]:
    return {
        "part": part.part,
        "new": part.new,
        "rows": part.rows,
        "quarantined": part.bad_rows,
        "files": [*part.files, *part.quarantined],
        "fingerprint": part.fingerprint,
        "verdict": None if part.report is None else part.report.verdict,
    }
