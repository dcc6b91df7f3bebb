"""How a server is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tidegate import _core
from tidegate.configuration import known
from tidegate.errors import ConfigurationError

__all__ = ["Settings"]

MOST_PORTS: Final = 65535


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server listens and ends.

    Attributes:
        host: The name or address to listen on; `0.0.0.0` for all addresses of this machine.
        port: The port; 0 picks a free one.
        workers: Threads of the data plane; half of the cores, from 1 to 8, by default.
        grace: Seconds that requests in flight get to finish after SIGTERM.
        drain_delay: Seconds between refusing readiness and taking no more connections, so that
            load balancers can notice.
        echo: Answer `POST /v2/echo` with a fixed body: the floor that benchmarks compare with.
        limits: Bounds on clients by name, such as `{"body_bytes": 1e6}`.

    Raises:
        ConfigurationError: If a value is out of its range, or a limit is unknown.

    Example:
        >>> Settings(port=0, limits={"body_bytes": 1_000_000}).address
        '127.0.0.1:0'
        >>> Settings(port=70000)
        Traceback (most recent call last):
        ...
        tidegate.errors.ConfigurationError: port is 70000: choose one from 0 to 65535
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int | None = None
    grace: float = 30.0
    drain_delay: float = 0.0
    echo: bool = False
    limits: Mapping[str, float] = field(default_factory=dict, metadata=known(_core.limits))

    def __post_init__(self) -> None:
        if not 0 <= self.port <= MOST_PORTS:
            raise ConfigurationError(f"port is {self.port}: choose one from 0 to {MOST_PORTS}")
        if self.workers is not None and self.workers < 1:
            raise ConfigurationError(f"workers is {self.workers}: at least one thread must serve")
        for name, seconds in (("grace", self.grace), ("drain_delay", self.drain_delay)):
            if not 0 <= seconds < float("inf"):
                raise ConfigurationError(f"{name} is {seconds}: give seconds from 0 on")
        names = [name for name, _, _ in _core.limits()]
        for name in self.limits:
            if name not in names:
                raise ConfigurationError(
                    f"unknown limit {name!r}: the limits are {', '.join(names)}"
                )

    @property
    def address(self) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"{host}:{self.port}"
