"""The sections of `tidegate.toml`, and finding that file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tidegate import _core
from tidegate.configuration import Configuration, Section, Setting, read
from tidegate.monitoring import Watching
from tidegate.monitoring.alerts import Alerts
from tidegate.monitoring.log import Log
from tidegate.routing.settings import Follow
from tidegate.runtime import Options
from tidegate.server.access import Access, Rates
from tidegate.server.deploy import Deploy
from tidegate.server.replicas import Replicas
from tidegate.server.settings import Settings
from tidegate.server.tls import Tls
from tidegate.server.tracing import Tracing

__all__ = ["FILE", "FILE_VARIABLE", "configured", "fixed_changes", "sections"]

FILE: Final = "tidegate.toml"
"""Read from the working folder where it exists and no other file is named."""

FILE_VARIABLE: Final = "TIDEGATE_CONFIG"
"""The environment variable that names another file."""


RELOADED: Final = ("access", "rates", "tls")
"""The sections that are taken anew at SIGHUP; `access.allow_anonymous` is not."""


def sections() -> tuple[Section, ...]:
    """Every section that a server has.

    Example:
        >>> [section.name for section in sections()][:2]
        ['deploy', 'server']
    """
    return (
        Section("deploy", Deploy),
        Section("server", Settings, _core.server_defaults, varying=("workers",)),
        Section("access", Access),
        Section("rates", Rates),
        Section("tls", Tls),
        Section("tracing", Tracing),
        Section("alerts", Alerts),
        Section("log", Log),
        Section("runtime", Options, _core.runtime_defaults, varying=("instances",)),
        Section("watching", Watching, _core.watching_defaults),
        Section("replicas", Replicas),
        Section("routing", Follow),
    )


def configured(
    file: Path | None = None,
    *,
    environment: Mapping[str, str],
    flags: Sequence[Setting] = (),
) -> Configuration:
    """The settings of a server: the file, then the environment, then flags.

    Args:
        file: The file to read; by default the one that `TIDEGATE_CONFIG` names, or
            `tidegate.toml` in the working folder where it exists.
        environment: The environment variables.
        flags: What the command line says.

    Raises:
        ConfigurationError: If a key is unknown or a value is wrong.

    Example:
        >>> found = configured(environment={"TIDEGATE_SERVER__PORT": "8081"})
        >>> found.section(Settings).port
        8081
    """
    if file is None and environment.get(FILE_VARIABLE):
        file = Path(environment[FILE_VARIABLE])
    if file is None and Path(FILE).is_file():
        file = Path(FILE)
    return read(sections(), file=file, environment=environment, flags=flags)


def fixed_changes(before: Configuration, now: Configuration) -> list[str]:
    """The settings that have changed and are not taken while a server runs.

    Args:
        before: What the server was started with.
        now: What the sources say now.

    Example:
        >>> before = configured(environment={})
        >>> now = configured(environment={"TIDEGATE_SERVER__GRACE": "5"})
        >>> fixed_changes(before, now)
        ['server.grace']
    """
    return [
        new.name
        for old, new in zip(before.settings(), now.settings(), strict=True)
        if old.value != new.value and new.name.partition(".")[0] not in RELOADED
    ]
