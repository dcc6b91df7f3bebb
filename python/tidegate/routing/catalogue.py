"""What a version of a deployment is: its digest, and what it takes and gives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from tidegate.errors import InputError, NotFoundError
from tidegate.registry import Registry
from tidegate.routing.plan import Arm

__all__ = ["Catalogue", "Known", "RegistryCatalogue", "check_same"]

CHAMPION = "champion"
"""The alias that says what a deployment without revisions serves."""


@dataclass(frozen=True, slots=True)
class Known:
    """One version.

    Attributes:
        version: Its semantic version.
        digest: Of its bundle.
        columns: The fingerprint of the raw columns it takes; `None` without a feature set.
        kind: What it gives: `classifier`, `regressor` or `tensors`.
        classes: The labels of a classifier, in order.
    """

    version: str
    digest: str | None
    columns: str | None
    kind: str
    classes: tuple[int | str, ...] | None

    @property
    def arm(self) -> Arm:
        """The version as an arm; weight and role do not matter."""
        return Arm(self.version, 0, "candidate", self.digest)


class Catalogue(Protocol):
    """Where versions are looked up."""

    def find(self, deployment: str, selector: str) -> Known:
        """One version.

        Args:
            deployment: The served name.
            selector: A version, alias or digest.

        Raises:
            NotFoundError: If there is none; the message names those that there are.
        """

    def current(self, deployment: str) -> Known | None:
        """What is served where the deployment has no revision yet."""


class RegistryCatalogue:
    """The versions of a registry.

    Args:
        registry: Where they are.
        model: The model's name, where it is not that of the deployment.
    """

    def __init__(self, registry: Registry, model: str | None = None) -> None:
        self._registry = registry
        self._model = model

    def find(self, deployment: str, selector: str) -> Known:
        """One version, by version, alias or digest."""
        name = self._model or deployment
        # A whole reference is understood too: people copy them.
        selector = selector.removeprefix(f"{name}@")
        record, manifest = self._registry.show(f"{name}@{selector}")
        classes = manifest.classes
        columns = manifest.schema_fingerprint
        return Known(record.version, record.digest, columns, manifest.kind, classes)

    def current(self, deployment: str) -> Known | None:
        """What the alias `champion` means."""
        try:
            return self.find(deployment, CHAMPION)
        except NotFoundError:
            return None


def check_same(deployment: str, stable: Known, other: Known) -> None:
    """Refuses a version that takes or gives something else.

    Raises:
        InputError: In one sentence.

    Example:
        >>> stable = Known("1.0.0", None, "sha256:a", "classifier", (0, 1))
        >>> check_same("m", stable, Known("1.1.0", None, "sha256:a", "regressor", None))
        Traceback (most recent call last):
        ...
        tidegate.errors.InputError: version 1.1.0 of 'm' is a regressor and the stable version 1.0.0 a classifier: ...
    """
    mend = "serve it under a name of its own"
    if stable.columns != other.columns:
        raise InputError(
            f"version {other.version} of {deployment!r} takes other columns than the stable version "
            f"{stable.version}: {mend}"
        )
    if stable.kind != other.kind:
        raise InputError(
            f"version {other.version} of {deployment!r} is a {other.kind} and the stable version "
            f"{stable.version} a {stable.kind}: {mend}"
        )
    if stable.classes != other.classes:
        raise InputError(
            f"version {other.version} of {deployment!r} gives the classes "
            f"{json.dumps(other.classes)} and the stable version {stable.version} "
            f"{json.dumps(stable.classes)}: {mend}"
        )
