"""Drift of a model as all replicas have seen it together."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tidegate.errors import NotFoundError
from tidegate.monitoring import DriftReport
from tidegate.monitoring.snapshots import Merged, Snapshots

if TYPE_CHECKING:
    from tidegate import _core
    from tidegate.storage import Store

__all__ = ["merged_drift", "snapshots"]


def snapshots(core: _core.Runtime) -> list[tuple[str, str, str]]:
    """The served name, the version and the snapshot of every model that is watched.

    Args:
        core: The native runtime.
    """
    found = []
    for name, _, version, *_ in core.arms():
        with contextlib.suppress(NotFoundError):
            found.append((name, version, core.drift_snapshot(name, version)))
    return found


def merged_drift(
    core: _core.Runtime,
    name: str,
    store: Store,
    replica: str,
    version: str | None,
    segment: str | None,
) -> Merged:
    """Merges the newest snapshots of all replicas with what this one has seen by now.

    Args:
        core: The native runtime.
        name: The served name.
        store: Where the replicas' snapshots are.
        replica: The name under which this runtime's own are there.
        version: Of several that share the traffic, which; the stable one where none is named.
        segment: Only the rows with this value of the segment column.

    Raises:
        NotFoundError: If nothing is deployed under the name, or it is not watched.
        StorageError: If the store cannot be reached.
    """
    core.drift(name, version)  # says what is deployed, if this is not
    if version is None:
        version = next(found[2] for found in core.deployments() if found[0] == name)
    texts = Snapshots(store, name, version).newest()
    texts[replica] = core.drift_snapshot(name, version)
    report, faults = core.merged_drift(name, list(texts.values()), version, segment)
    count = len(texts) - len(faults)
    return Merged(DriftReport.from_json(report), report, count, tuple(faults))
