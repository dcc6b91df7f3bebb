"""Tracing: the settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote, urlsplit

from tidegate.errors import ConfigurationError

__all__ = ["Tracing"]

PATH: Final = "/v1/traces"
"""Where a collector takes spans, below its address."""

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Tracing:
    """Spans of requests for an OpenTelemetry collector; without `endpoint` there are none.

    Attributes:
        endpoint: Address of a collector that takes OTLP over HTTP, such as
            `http://127.0.0.1:4318`; `/v1/traces` is added where it does not end so. By default
            what `OTEL_EXPORTER_OTLP_ENDPOINT` says.
        ratio: The share of requests that are traced, from 0 to 1, where the caller sends no
            `traceparent`; one that does decides by its sampled flag.
        service: The name of the service that spans are of; by default what `OTEL_SERVICE_NAME`
            says, else `tidegate`.
        headers: Headers for the collector, each as `NAME=VALUE`. `tidegate config` shows them: a
            secret is better put into `OTEL_EXPORTER_OTLP_HEADERS`.
        timeout: Seconds for the collector to take what is sent at one time.

    Raises:
        ConfigurationError: If a value is wrong.

    Example:
        >>> Tracing(endpoint="http://127.0.0.1:4318").url
        'http://127.0.0.1:4318/v1/traces'
        >>> Tracing(endpoint="127.0.0.1:4318")
        Traceback (most recent call last):
        ...
        tidegate.errors.ConfigurationError: endpoint is '127.0.0.1:4318': give the address of a collector, such as http://127.0.0.1:4318
    """

    endpoint: str | None = None
    ratio: float = 1.0
    service: str | None = None
    headers: tuple[str, ...] = ()
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if self.endpoint is not None and not _is_address(self.endpoint):
            raise ConfigurationError(
                f"endpoint is {self.endpoint!r}: give the address of a collector, such as "
                "http://127.0.0.1:4318"
            )
        if not 0 <= self.ratio <= 1:
            raise ConfigurationError(f"ratio is {self.ratio}: give a share from 0 to 1")
        if not 0 < self.timeout < float("inf"):
            raise ConfigurationError(f"timeout is {self.timeout}: give seconds above 0")
        for header in self.headers:
            name, equals, value = header.partition("=")
            if not (equals and _NAME.fullmatch(name) and _VALUE.fullmatch(value)):
                # Its value may be a secret.
                raise ConfigurationError(
                    f"one of headers, {name[:40]!r}, is no header: give each as NAME=VALUE"
                )

    @property
    def url(self) -> str | None:
        """Where spans are sent; `None` where there are none."""
        if self.endpoint is None:
            return None
        address = self.endpoint.rstrip("/")
        return address if address.endswith(PATH) else address + PATH

    def completed(self, environment: Mapping[str, str]) -> Tracing:
        """The same, with OpenTelemetry's own variables for what is not set.

        Args:
            environment: The environment variables.

        Raises:
            ConfigurationError: If one of them is wrong.

        Example:
            >>> variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
            >>> Tracing().completed(variables).url
            'http://collector:4318/v1/traces'
        """
        headers = environment.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")
        try:
            return replace(
                self,
                endpoint=self.endpoint or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None,
                service=self.service or environment.get("OTEL_SERVICE_NAME") or None,
                headers=self.headers or tuple(unquote(h).strip() for h in headers if h.strip()),
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"an OTEL_ variable is wrong: {error}") from error


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # Reading the port checks it.
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and text.isprintable()
