"""Snapshots of what this replica has watched, for the report of all replicas as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidegate.errors import ConfigurationError
from tidegate.monitoring.snapshots import SnapshotWriter
from tidegate.runtime import Runtime
from tidegate.storage import open_store

__all__ = ["ROUTES", "Replicas", "routes"]

ROUTES: Final = (
    (
        "GET",
        "/v1/replicas/{model}/drift",
        "replicas_drift",
        "The drift that all replicas have seen together, of `?version=` if several share the traffic.",
    ),
)
"""The routes of replicas: method, path, name, summary."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """Where replicas write down what they have watched; without `location` they do not.

    Attributes:
        location: Folder or object-store address that all replicas share.
        every: Seconds between two snapshots.

    Raises:
        ConfigurationError: If `every` is not positive.

    Example:
        >>> Replicas(location="s3://models/watching").every
        60.0
    """

    location: str | None = None
    every: float = 60.0

    def __post_init__(self) -> None:
        if not self.every > 0:
            raise ConfigurationError(f"every is {self.every}: give seconds above 0")

    def writer(self, runtime: Runtime) -> SnapshotWriter | None:
        """What writes the snapshots of a runtime, not started yet; `None` without a location.

        Raises:
            StorageError: The store cannot arbitrate between two writers.
        """
        if self.location is None:
            return None
        return SnapshotWriter(open_store(self.location), runtime.watched, every=self.every)


def routes(runtime: Runtime, writer: SnapshotWriter | None) -> list[Route]:
    """The routes of replicas.

    Args:
        runtime: What is served.
        writer: What writes this replica's snapshots; without one the report is of this one alone.
    """

    def drift(model: str, version: str | None, segment: str | None) -> bytes:
        if writer is None:
            # Nothing is shared: this replica is all there is.
            alone = orjson.Fragment(runtime.core.drift(model, version, segment))
            document = {"replicas": 1, "faults": (), "writer": None, "report": alone}
            return orjson.dumps(document)
        merged = runtime.merged_drift(
            model, writer.store, replica=writer.replica, version=version, segment=segment
        )
        document = {
            "replicas": merged.replicas,
            "faults": merged.faults,
            "writer": writer.state,
            "report": orjson.Fragment(merged.document),
        }
        return orjson.dumps(document)

    async def answer(request: Request) -> Response:
        asked = (request.query_params.get("version"), request.query_params.get("segment"))
        content = await run_in_threadpool(drift, request.path_params["model"], *asked)
        return Response(content, media_type="application/json")

    return [Route("/v1/replicas/{model}/drift", answer)]
