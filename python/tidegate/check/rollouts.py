"""The test before a rollout, as the commands of a deployment ask for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Final, Protocol

from tidegate.check.context import Request
from tidegate.check.run import run_checks
from tidegate.errors import StorageError
from tidegate.registry import Registry
from tidegate.storage import Store

__all__ = ["Versioned", "before_rollout"]

LOG: Final = logging.getLogger("tidegate.check")

MAX_SENTENCE: Final = 600
"""Characters of a refusal; the report has all of it."""


class Versioned(Protocol):
    """A version of a deployment."""

    @property
    def version(self) -> str:
        """The semantic version."""

    @property
    def digest(self) -> str | None:
        """The digest of its bundle."""


def before_rollout(
    registry: Registry,
    *,
    model: str | None = None,
    log: str | os.PathLike[str] | Store | None = None,
    key: str | os.PathLike[str] | None = None,
) -> Callable[[str, Versioned, Versioned], str | None]:
    """What a rollout asks of each candidate before it starts.

    The holdout, budgets and limits are those that the bundle requires of itself. The report is kept
    beside the bundle where the registry can be written to.

    Args:
        registry: Where the bundles are.
        model: The model's name, where it is not that of the deployment.
        log: Where the prediction log is, to ask what clients really send.
        key: The file of the public key that must have signed the bundle.

    Returns:
        A function of the deployment, its stable version and a candidate, which gives the sentence
        that says why the candidate must not be rolled out, or `None`.

    Example:
        >>> import tempfile
        >>> from tidegate.demo.tiny import tiny_bundle
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     registry = Registry(folder)
        ...     for version in ("1.0.0", "1.1.0"):
        ...         _ = registry.publish(tiny_bundle(version=version))
        ...     check = before_rollout(registry)
        ...     records = registry.versions("tiny")
        ...     check("tiny", records[1], records[0]), len(registry.reports(records[0].digest, "check"))
        (None, 1)
    """

    def check(deployment: str, stable: Versioned, candidate: Versioned) -> str | None:
        name = model or deployment
        bundle = registry.open(f"{name}@{candidate.digest or candidate.version}")
        report = run_checks(
            Request(
                bundle,
                champion=registry.open(f"{name}@{stable.digest or stable.version}"),
                key=key,
                signatures=registry.signatures(bundle.digest),
                log=log,
            )
        )
        try:
            report.store(registry)
        except StorageError as error:
            LOG.warning("the report of %s is not kept: %s", bundle, error)
        if report:
            return None
        found = [each for each in report.results if each.outcome == "fail"]
        said = "; ".join(f"{each.name}: {each.sentence}" for each in found)
        return said if len(said) <= MAX_SENTENCE else f"{said[:MAX_SENTENCE]}…"

    return check
