"""`tidegate publish DIR`: puts a bundle into the registry, once and for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.output import CONSOLE, DIAGNOSTICS, JsonOption, RegistryOption, emit

__all__ = ["publish"]


def publish(
    directory: Annotated[Path, typer.Argument(help="Folder of the bundle.", metavar="DIR")],
    alias: Annotated[
        str | None, typer.Option("--alias", "-a", help="Alias to point at it, such as champion.")
    ] = None,
    registry: Annotated[str, RegistryOption] = "./registry",
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Publish a bundle; every file is verified on the way."""
    from tidegate.registry import Bundle, Registry

    bundle = Bundle.open(directory)
    target = Registry(registry)
    if as_json:
        digest = target.publish(bundle, alias=alias)
        emit({"alias": alias, "digest": digest, "name": bundle.name, "version": bundle.version})
        return
    with DIAGNOSTICS.status(f"publishing {bundle} to {registry}"):
        digest = target.publish(bundle, alias=alias)
    CONSOLE.print(f"published {bundle} to {registry}", markup=False)
    CONSOLE.print(f"digest    {digest}", markup=False)
    if alias is not None:
        CONSOLE.print(f"alias     {bundle.name}@{alias}", markup=False)
