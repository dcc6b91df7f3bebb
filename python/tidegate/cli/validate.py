"""`tidegate validate`: a table against rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from tidegate.cli.output import CONSOLE, JsonOption, emit
from tidegate.errors import InputError, StorageError

__all__ = ["validate"]


def validate(
    table: Annotated[
        str,
        typer.Argument(
            help="A file (CSV, JSON lines, Parquet, Arrow IPC), a folder of them, an address of "
            "object storage, or a query as duckdb:FILE?SELECT …"
        ),
    ],
    rules: Annotated[Path, typer.Option(help="The file of rules.")],
    reference: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TABLE", help="A table that rules refer to; may be repeated."),
    ] = None,
    good: Annotated[Path | None, typer.Option(help="Write the good rows here, as Parquet.")] = None,
    bad: Annotated[
        Path | None, typer.Option(help="Write the bad rows here, with the rules that they break.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the report as one page that opens offline.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=0, help="Rows of each broken rule to show; 5 by default.")
    ] = None,
    infer: Annotated[
        bool,
        typer.Option(
            "--infer",
            help="Propose rules from the table and show how they differ from the file's; "
            "nothing is checked.",
        ),
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="With --infer: write the proposal into the file.")
    ] = False,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Hold a table against rules, in one pass. The status is 1 when it does not pass."""
    # Readers of tables are an extra; a service that serves never loads them.
    from tidegate.validation import Rules
    from tidegate.validation.quarantine import Quarantine
    from tidegate.validation.source import open_source

    if infer:
        _infer(table, rules, accept=accept, as_json=as_json)
        return
    references = {}
    for text in reference or ():
        name, equals, address = text.partition("=")
        if not equals:
            raise InputError(f"--reference {text}: give it as NAME=TABLE")
        references[name] = open_source(address).read()
    loaded = Rules.load(rules)
    validation = loaded.start(references=references, samples=samples)
    with Quarantine(good, bad) as quarantine:
        for batch in open_source(table).batches():
            if quarantine.wanted:
                quarantine.write(*validation.split(batch))
            else:
                validation.update(batch)
    report = validation.finish()
    if html is not None:
        try:
            report.write_html(html, title=table)
        except OSError as error:
            raise StorageError(f"cannot write {html}: {error.strerror}") from error
    if as_json:
        emit(orjson.loads(report.to_json()))
    else:
        CONSOLE.print(report)
        if html is not None:
            CONSOLE.print(f"The whole report: {html.resolve()}")
    if not report.passed:
        raise typer.Exit(1)


def _infer(table: str, rules: Path, *, accept: bool, as_json: bool) -> None:
    from tidegate.validation import Rules, infer
    from tidegate.validation.source import open_source

    before = Rules.load(rules) if rules.exists() else Rules()
    proposal = infer(open_source(table).read())
    diff = before.diff(proposal)
    if as_json:
        emit({"changes": [line.to_dict() for line in diff], "accepted": accept})
    elif diff:
        CONSOLE.print(str(diff), markup=False)
    else:
        CONSOLE.print(f"{rules} says what the table says")
    if accept:
        proposal.save(rules)
        if not as_json:
            CONSOLE.print(f"written: {rules}")
