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
        grpc: Serve gRPC as well, on a port of its own.
        grpc_port: The port for gRPC on the same host; 0 picks a free one. By default the one after
            `port`, or a free one where that is 0.
        workers: Threads of the data plane; half of the cores, from 1 to 8, by default.
        grace: Seconds that requests in flight get to finish after SIGTERM.
        drain_delay: Seconds between refusing readiness and taking no more connections, so that
            load balancers can notice.
        echo: Answer `POST /v2/echo` with a fixed body: the floor that benchmarks compare with.
        access_log: A file that gets one JSON line a request; `-` is standard output.
        limits: Bounds on clients by name, such as `{"body_bytes": 1e6}`.

    Raises:
        ConfigurationError: If a value is out of its range, or a limit is unknown.

    Example:
        >>> Settings(port=0, limits={"body_bytes": 1_000_000}).address
        '127.0.0.1:0'
        >>> Settings().grpc_address
        '127.0.0.1:8081'
        >>> Settings(port=70000)
        Traceback (most recent call last):
        ...
        tidegate.errors.ConfigurationError: port is 70000: choose one from 0 to 65535
    """

    host: str = "127.0.0.1"
    port: int = 8080
    grpc: bool = True
    grpc_port: int | None = None
    workers: int | None = None
    grace: float = 30.0
    drain_delay: float = 0.0
    echo: bool = False
    access_log: str | None = None
    limits: Mapping[str, float] = field(default_factory=dict, metadata=known(_core.limits))

    def __post_init__(self) -> None:
        for name, port in (("port", self.port), ("grpc_port", self.grpc_port)):
            if port is not None and not 0 <= port <= MOST_PORTS:
                raise ConfigurationError(f"{name} is {port}: choose one from 0 to {MOST_PORTS}")
        if self.grpc and self.grpc_port == self.port != 0:
            raise ConfigurationError(
                f"grpc_port is {self.grpc_port}, which is the port for HTTP: choose another"
            )
        if self.grpc and self.grpc_port is None and self.port == MOST_PORTS:
            raise ConfigurationError(
                f"port is {self.port}, after which there is none for gRPC: set grpc_port, or grpc "
                "to false"
            )
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
        return self._at(self.port)

    @property
    def grpc_address(self) -> str | None:
        """The same for gRPC; `None` without it."""
        if not self.grpc:
            return None
        # After HTTP's, so that two servers with their ports never meet.
        after = self.port + 1 if self.port else 0
        return self._at(after if self.grpc_port is None else self.grpc_port)

    def _at(self, port: int) -> str:
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"{host}:{port}"
