"""The load generator of the core, and the cases that it sends."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from tidegate import _core

__all__ = ["Client", "Load", "read_cases", "run_load", "write_cases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What load to make; `None` leaves the core's own default.

    Attributes:
        address: `host:port`.
        path: The request target.
        method: The HTTP method.
        headers: Further header fields.
        connections: Connections kept open, each with one request at a time.
        seconds: How long answers are counted.
        warmup_seconds: How long they are checked, but not counted, before that.
        requests: Ends the run when so many answers are counted.
        rate: Requests a second of an open loop, whose latencies count from the moment a request was
            due; `None` is a closed loop.
        arrivals: How an open loop spreads its requests over time.
        late: What an open loop does with a request that is due while no connection is free: send it
            late, or give it up and count it.
        within_seconds: Answers that took no longer are counted apart.
        timeout_seconds: After which an unanswered request is an error.
        cpu: The core that the generator is bound to.
        seed: Of the order of bodies, and of the gaps of an open loop.
        numbers_after: Texts that precede the array of expected numbers in an answer.
        form: How an answer holds expected numbers: as JSON, or as its last bytes in FP32.
        rtol: Relative tolerance of expected numbers.
        atol: Absolute tolerance of expected numbers.
    """

    address: str
    path: str | None = None
    method: str | None = None
    headers: Sequence[tuple[str, str]] | None = None
    connections: int | None = None
    seconds: float | None = None
    warmup_seconds: float | None = None
    requests: int | None = None
    rate: float | None = None
    arrivals: Literal["poisson", "constant"] | None = None
    late: Literal["wait", "drop"] | None = None
    within_seconds: float | None = None
    timeout_seconds: float | None = None
    cpu: int | None = None
    seed: int | None = None
    numbers_after: Sequence[str] | None = None
    form: Literal["json", "fp32"] | None = None
    rtol: float | None = None
    atol: float | None = None


def run_load(
    load: Load,
    bodies: Sequence[bytes],
    *,
    expected: Sequence[bytes] | Sequence[Sequence[float]] | None = None,
) -> dict[str, Any]:
    """Makes load from this process and reports what came of it.

    The interpreter is released meanwhile. To measure a server, run this in a process of its own and
    on another core: see `Client`.

    Args:
        load: What load to make.
        bodies: Request bodies, sent in a varied order; give thousands, because a repeated one
            flatters caches.
        expected: For each body the bytes of the answer, or the numbers of one array in it; `None`
            asks for status 200 only.

    Returns:
        `requests`, `seconds`, `rate`, how many of them came `within` the objective, how many were
        `refused` (503, 429) and `dropped`, `errors` by cause, `first_error` and `latency_us` with
        `mean`, `min`, `p50`, `p90`, `p99`, `p999` and `max`.

    Raises:
        InputError: A value is out of range, or `expected` has another length than `bodies`.
        BackendError: Nobody listens at the address, or the server keeps closing connections.
    """
    given = {name: value for name, value in asdict(load).items() if value is not None}
    exact = [bytes(answer) for answer in expected or () if isinstance(answer, bytes)]
    numbers = [list(answer) for answer in expected or () if not isinstance(answer, bytes)]
    due: list[bytes] | list[list[float]] | None = None if expected is None else (exact or numbers)
    report: dict[str, Any] = orjson.loads(
        _core.load(orjson.dumps(given).decode(), list(bodies), due)
    )
    return report


def write_cases(path: Path, bodies: Sequence[bytes], expected: Sequence[Sequence[float]]) -> None:
    """Writes bodies and the numbers that are due, for `read_cases`.

    Args:
        path: The file.
        bodies: JSON texts or binary bodies.
        expected: For each body the numbers of the answer.
    """
    texts = [b64encode(body).decode() for body in bodies]
    path.write_bytes(orjson.dumps({"bodies": texts, "expected": [list(row) for row in expected]}))


def read_cases(path: Path) -> tuple[list[bytes], list[list[float]]]:
    """Reads what `write_cases` wrote.

    Args:
        path: The file.

    Returns:
        The bodies and the expected numbers.
    """
    cases = orjson.loads(path.read_bytes())
    return [b64decode(body) for body in cases["bodies"]], cases["expected"]


class Client:
    """The worker that makes load: it keeps the cases of each file, so that a run starts at once."""

    def __init__(self) -> None:
        self._cases: dict[str, tuple[list[bytes], list[list[float]]]] = {}

    def run(self, load: dict[str, Any], cases: str, check: bool = True) -> dict[str, Any]:
        """Makes load with the bodies of a file.

        Args:
            load: The fields of `Load`.
            cases: What `write_cases` wrote.
            check: Whether the numbers are compared; an echo answers something else.

        Returns:
            The report.
        """
        if cases not in self._cases:
            self._cases[cases] = read_cases(Path(cases))
        bodies, expected = self._cases[cases]
        return run_load(Load(**load), bodies, expected=expected if check else None)

    def get(self, load: dict[str, Any]) -> dict[str, Any]:
        """Makes load of requests without a body, as `wrk` does.

        Args:
            load: The fields of `Load`.

        Returns:
            The report.
        """
        return run_load(Load(**load, method="GET"), [b""])
