"""What a case is, and when an answer meets it. Standard library only: every client imports it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "ABOVE",
    "CLIENTS",
    "DIES",
    "Case",
    "Differs",
    "Found",
    "Holds",
    "Output",
    "Tensor",
    "problem",
]

HTTP = ("plain", "triton_http", "kserve_rest")
GRPC = ("triton_grpc", "kserve_grpc")
CLIENTS = (*HTTP, *GRPC)
"""One driver each, in `drivers/`."""

DIES = "dies"

KSERVE_CALLS = ("live", "ready", "model_ready", "infer")

ANY = object()
"""Whatever it is, it must be there."""


@dataclass(frozen=True)
class ABOVE:
    """A number above this one."""

    least: float


class Holds(tuple[Any, ...]):
    """A list that has at least these."""


@dataclass(frozen=True)
class Tensor:
    """A tensor as anybody can write it: its elements flat and row-major, BYTES as text."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: tuple[Any, ...]


@dataclass(frozen=True)
class Output:
    """An output that is asked for by name."""

    name: str
    binary: bool = True
    classes: int = 0


@dataclass(frozen=True)
class Differs:
    """How a server departs from a case, and why that is right or at least known."""

    why: str
    status: str
    """What it answers; [`DIES`] if the request ends it, which is then not asked."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request, and what must hold of its answer."""

    name: str
    call: str
    """What is called; `http` is a request written out in `method`, `path`, `headers`, `body`."""
    model: str = ""
    version: str = ""
    """`{version}` stands for the version that the server gives every model."""
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Output, ...] = ()
    binary: bool = True
    """Inputs as raw bytes; otherwise as JSON, or in gRPC as typed contents."""
    id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    compression: str = ""
    method: str = "POST"
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    clients: tuple[str, ...] = ()
    """Which clients can say it; by default those that know the call."""
    status: str = "ok"
    gives: tuple[Tensor, ...] | None = None
    """The outputs, all of them and in this order."""
    fields: Any = None
    """A part of the answer as JSON: what is named must be so, the rest may be anything."""
    differs: Mapping[str, Differs] = field(default_factory=dict)
    """By server, `server protocol` or `server client`."""

    def is_said_by(self, client: str) -> bool:
        """Whether a client can send it."""
        if self.clients:
            return client in self.clients
        if self.call == "http":
            return client == "plain"
        if client.startswith("kserve"):
            return self.call in KSERVE_CALLS and not (self.version or self.compression)
        return True

    def difference(self, server: str, client: str) -> Differs | None:
        """How this server departs from it in this client's protocol."""
        protocol = "grpc" if client in GRPC else "http"
        names = (server, f"{server} {protocol}", f"{server} {client}")
        return next((self.differs[name] for name in names if name in self.differs), None)


@dataclass
class Found:
    """What came back, in words that all clients share."""

    status: str
    """`ok`, or the kind of error: see [`kind_of_http`] and the drivers of gRPC."""
    message: str = ""
    outputs: list[Tensor] = field(default_factory=list)
    fields: Any = None


KINDS = {
    400: "invalid",
    404: "not_found",
    405: "wrong_method",
    413: "too_large",
    415: "unsupported",
    500: "internal",
    501: "unsupported",
    503: "unavailable",
    504: "late",
    "INVALID_ARGUMENT": "invalid",
    "NOT_FOUND": "not_found",
    "RESOURCE_EXHAUSTED": "too_large",
    "INTERNAL": "internal",
    "UNIMPLEMENTED": "unsupported",
    "UNAVAILABLE": "unavailable",
    "DEADLINE_EXCEEDED": "late",
}
"""Statuses of HTTP and of gRPC under one name."""


def kind(status: int | str) -> str:
    """The name of a status; what has none keeps its own."""
    return "ok" if status == 200 else KINDS.get(status, str(status))


def problem(case: Case, found: Found, version: str) -> str | None:
    """What is wrong with an answer; None if it meets the case."""
    if found.status != case.status:
        return f"{found.status} ({found.message[:200]!r}) instead of {case.status}"
    if case.status != "ok" and case.call != "http" and not found.message:
        return "an error without a message"
    if case.gives is not None:
        names = [tensor.name for tensor in found.outputs]
        if names != [tensor.name for tensor in case.gives]:
            return f"outputs {names}"
        for due, tensor in zip(case.gives, found.outputs, strict=True):
            if wrong := _other_tensor(due, tensor):
                return wrong
    return _other(case.fields, found.fields, version, "answer")


def _other_tensor(due: Tensor, found: Tensor) -> str | None:
    if (due.datatype, due.shape) != (found.datatype, tuple(found.shape)):
        return f"{due.name} is {found.datatype} of shape {found.shape}"
    same = len(due.data) == len(found.data) and all(map(_equal, due.data, found.data))
    return None if same else f"{due.name} holds {str(found.data)[:200]}, not {str(due.data)[:200]}"


def _equal(due: Any, found: Any) -> bool:
    if isinstance(due, float) and math.isnan(due):
        return isinstance(found, float) and math.isnan(found)
    return bool(due == found) and isinstance(due, bool) == isinstance(found, bool)


def _other(due: Any, found: Any, version: str, at: str) -> str | None:
    if due is None or (due is ANY and found is not None):
        return None
    if isinstance(due, ABOVE):
        right = isinstance(found, int | float) and found > due.least
        return None if right else f"{at} is {found!r}, not above {due.least}"
    if isinstance(due, Mapping):
        if not isinstance(found, Mapping):
            return f"{at} is {found!r}, no object"
        problems = (_other(v, found.get(k), version, f"{at}.{k}") for k, v in due.items())
        return next(filter(None, problems), None)
    if isinstance(due, Holds):
        some = isinstance(found, Sequence) and all(
            any(_other(one, other, version, at) is None for other in found) for one in due
        )
        return None if some else f"{at} is {found!r}, without {tuple(due)!r}"
    if isinstance(due, list):
        if not isinstance(found, list) or len(found) != len(due):
            return f"{at} is {found!r}, not {due!r}"
        pairs = enumerate(zip(due, found, strict=True))
        problems = (_other(a, b, version, f"{at}[{i}]") for i, (a, b) in pairs)
        return next(filter(None, problems), None)
    due = version if due == "{version}" else due
    return None if due == found else f"{at} is {found!r}, not {due!r}"
