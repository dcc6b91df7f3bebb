"""`tidegate rollback NAME`: back to what stood before, with no question asked but a reason."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.cli.desk import StoreOption, desk
from tidegate.cli.output import CONSOLE, JsonOption, emit
from tidegate.cli.progress import said
from tidegate.cli.remote import UrlOption

__all__ = ["rollback"]


def rollback(
    name: Annotated[str, typer.Argument(help="The deployment.")],
    reason: Annotated[str, typer.Option("--reason", "-m", prompt="Why", help="Why.")],
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
    store: Annotated[str | None, StoreOption] = None,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Abort an open rollout, else restore the plan before: all at once, on all replicas."""
    found = desk(url, store).order(name, "rollback", {"reason": reason})
    if as_json:
        emit(found)
    else:
        CONSOLE.print(said(found), markup=False)
