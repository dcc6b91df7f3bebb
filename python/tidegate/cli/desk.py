"""Where commands of rollouts go: to a running server, or straight to the store of the revisions."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

import typer

from tidegate.cli.remote import call
from tidegate.errors import InputError

if TYPE_CHECKING:
    from tidegate.routing.orders import Orders

__all__ = ["Desk", "StoreOption", "desk"]

StoreOption: Final = typer.Option(
    "--store",
    help="Folder or object-store address of the revisions: write there, and ask no server.",
)
"""`--store`, the same in every command of rollouts."""

START_SECONDS: Final = 900.0
"""How long a start may take: the candidate is tested first."""


class Desk(Protocol):
    """What carries commands out and says how things stand."""

    def status(self, deployment: str) -> dict[str, Any]:
        """How the rollout stands."""

    def history(self, deployment: str, limit: int | None = None) -> list[dict[str, Any]]:
        """The revisions, the newest first."""

    def verify(self, deployment: str) -> dict[str, Any]:
        """The proof of the chain."""

    def order(self, deployment: str, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out one command; the revision that was appended."""


def desk(url: str, store: str | None, registry: str | None = None) -> Desk:
    """Where commands go.

    Args:
        url: The server's address, asked unless a store is named.
        store: Where the revisions are.
        registry: Where the bundles are; the store itself by default.
    """
    if store is None:
        return _Remote(url)
    return _Local(store, registry or store)


class _Remote:
    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def _address(self, deployment: str, rest: str = "rollout") -> str:
        if not deployment:
            raise InputError("a deployment without a name: say which one")
        return f"{self._url}/v1/deployments/{quote(deployment, safe='')}/{rest}"

    def status(self, deployment: str) -> dict[str, Any]:
        found: dict[str, Any] = call(self._address(deployment))
        return found

    def history(self, deployment: str, limit: int | None = None) -> list[dict[str, Any]]:
        query = "" if limit is None else f"?limit={limit}"
        found = call(self._address(deployment, f"rollout/history{query}"))
        revisions: list[dict[str, Any]] = found["revisions"]
        return revisions

    def verify(self, deployment: str) -> dict[str, Any]:
        found: dict[str, Any] = call(self._address(deployment, "rollout/verify"))
        return found

    def order(self, deployment: str, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        rest = "rollback" if verb == "rollback" else f"rollout/{verb}"
        found: dict[str, Any] = call(
            self._address(deployment, rest), method="POST", body=dict(body), seconds=START_SECONDS
        )
        return found


class _Local:
    def __init__(self, store: str, registry: str) -> None:
        self._orders = _orders(store, registry)

    def status(self, deployment: str) -> dict[str, Any]:
        return self._orders.status(deployment)

    def history(self, deployment: str, limit: int | None = None) -> list[dict[str, Any]]:
        return list(self._orders.history(deployment, limit))

    def verify(self, deployment: str) -> dict[str, Any]:
        return self._orders.verify(deployment)

    def order(self, deployment: str, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._orders.command(deployment, verb, body, actor=_user())


def _user() -> str:
    """Who gives a command, and where."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # A container may have users without names.
        name = f"user {os.getuid()}"
    return f"{name}@{platform.node()}"


def _orders(store: str, registry: str) -> Orders:
    from tidegate.check import before_rollout
    from tidegate.registry import Registry
    from tidegate.routing.catalogue import RegistryCatalogue
    from tidegate.routing.control import Control
    from tidegate.routing.orders import Orders
    from tidegate.storage import open_store

    revisions = open_store(store)
    bundles = Registry(registry)
    catalogue, check = RegistryCatalogue(bundles), before_rollout(bundles)
    return Orders(revisions, lambda name: Control(revisions, name, catalogue, check=check))
