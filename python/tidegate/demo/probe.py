"""Latency and throughput of the live server: varied one-row requests, every answer checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from tidegate import _core
from tidegate.demo.task import MODEL
from tidegate.demo.traffic import Client, bodies

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CONNECTIONS", "Measured", "measure"]

CONNECTIONS: Final = (1, 32)
"""One caller who waits for each answer, and a crowd that fills batches."""

VARIED_ROWS: Final = 2_000
"""Different rows in turn: repeated rows flatter a tree model up to 2.7 times."""

WARM_UP_SECONDS: Final = 0.3


@dataclass(frozen=True)
class Measured:
    """One run of load."""

    connections: int
    requests: int
    errors: int
    per_second: float
    p50_us: float
    p99_us: float


def measure(client: Client, table: pl.DataFrame, *, seconds: float) -> list[Measured]:
    """Sends one-row JSON requests from one thread of this process, as fast as answers come.

    The load shares the machine with the server, so that the figures are a floor of what the server
    does when its clients are elsewhere; `tidegate bench` measures with care.

    Args:
        client: A connection to the server.
        table: Joined flights, of which up to 2,000 are sent in turn.
        seconds: How long each run is counted.

    Returns:
        One measurement for each of `CONNECTIONS`.
    """
    step = max(1, table.height // VARIED_ROWS)
    rows = table.gather_every(step).head(VARIED_ROWS)
    together = next(iter(bodies(rows, rows.height)))
    answer = client.call("POST", f"/v1/models/{MODEL}:predict", together)
    expected = [row["probabilities"] for row in answer["predictions"]]
    single = list(bodies(rows, 1))
    measured = []
    for connections in CONNECTIONS:
        plan = {
            "address": client.address,
            "path": f"/v1/models/{MODEL}:predict",
            "connections": connections,
            "seconds": seconds,
            "warmup_seconds": WARM_UP_SECONDS,
            "numbers_after": ['"probabilities"'],
        }
        report = orjson.loads(_core.load(orjson.dumps(plan).decode(), single, expected))
        measured.append(
            Measured(
                connections=connections,
                requests=report["requests"],
                errors=sum(report["errors"].values()),
                per_second=report["rate"],
                p50_us=report["latency_us"]["p50"],
                p99_us=report["latency_us"]["p99"],
            )
        )
    return measured
