"""`tidegate keys new|list|revoke`: API keys of a server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.output import CONSOLE, DIAGNOSTICS, JsonOption, emit, table

__all__ = ["keys"]

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")

FileOption = typer.Option("--file", "-f", help="The file of keys, which access.keys names.")
FILE = Path("keys.json")


@keys.command()
def new(
    name: Annotated[str, typer.Argument(help="Whose key it is.", metavar="NAME")],
    role: Annotated[
        str, typer.Option(help="What it may do: viewer, predictor, operator or admin.")
    ] = "predictor",
    models: Annotated[
        list[str] | None, typer.Option(help="With which models; * stands for any characters.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0, help="When it ends; never by default.")
    ] = None,
    file: Annotated[Path, FileOption] = FILE,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Make a key and show it once; only its digest is kept."""
    from tidegate.server.keyring import Keyring

    grants = [f"{role}:{pattern}" for pattern in models or ["*"]]
    key = Keyring(file).new(name, grants, days=days)
    if as_json:
        emit({"key": key, "name": name, "grants": grants})
        return
    CONSOLE.print(key, markup=False)
    DIAGNOSTICS.print(f"{file} keeps its digest only: the key cannot be shown again", markup=False)


@keys.command("list")
def list_(
    file: Annotated[Path, FileOption] = FILE, as_json: Annotated[bool, JsonOption] = False
) -> None:
    """List the keys of a file and what they may do."""
    from tidegate.server.keyring import Keyring

    records = Keyring(file).records
    if as_json:
        emit(
            {
                "keys": [
                    {
                        "name": record.name,
                        "id": record.id,
                        "grants": record.grants,
                        "created": record.created,
                        "expires": record.expires,
                        "expired": record.expired,
                    }
                    for record in records
                ]
            }
        )
        return
    rows = [
        (record.name, record.id, ", ".join(record.grants), record.created, _end(record.expires))
        for record in records
    ]
    table(("name", "id", "grants", "created", "expires"), rows)


@keys.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Whose key it is.", metavar="NAME")],
    file: Annotated[Path, FileOption] = FILE,
) -> None:
    """Take a key out; running servers refuse it within seconds."""
    from tidegate.server.keyring import Keyring

    Keyring(file).revoke(name)
    DIAGNOSTICS.print(f"revoked {name}", markup=False)


def _end(expires: int | None) -> str:
    if expires is None:
        return "never"
    return datetime.fromtimestamp(expires, UTC).isoformat().replace("+00:00", "Z")
