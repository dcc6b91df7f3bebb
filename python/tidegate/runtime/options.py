"""How a runtime is set up, and what stands behind a served name."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.configuration.duration import seconds
from tidegate.runtime.batching import Batching

__all__ = ["Arm", "Deployment", "Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """Limits of the runtime.

    Attributes:
        objective: The time within which 99 of 100 requests are to be answered, such as `"20ms"`,
            for models that are deployed without one of their own; by default there is none, and
            nothing is refused but by the bounds.
        max_delay: The longest that a request may wait before its batch begins, such as `"5ms"`;
            beyond, it is refused.
        max_batch_rows: Most rows that one run of a model takes.
        max_queue_rows: Most rows that wait for one model; beyond, requests are refused.
        max_queue_bytes: Most bytes that wait for one model; beyond, requests are refused.
        instances: How many batches of one model run at the same time, each on a thread; one for
            each two cores, at most 4, by default.
        watch: Observe features and predictions where a bundle has a baseline.
        observe_bytes: Most bytes of answered requests that wait to be observed; beyond, they are
            dropped and counted.
        feedback_bytes: Most bytes of predictions that are kept for their labels; beyond, the oldest
            leave. 0 keeps none, and then there is no quality.
        feedback_folder: A folder in which they survive the process, of this process alone; nowhere
            by default.
        quality_seconds: The span of a window of quality, by the time of prediction.
        guard: What is done about rows that break the rules of a bundle: `"reject"`, which is the
            default, `"repair"` or `"count"`.
    """

    objective: str | None = None
    max_delay: str | None = None
    max_batch_rows: int | None = None
    max_queue_rows: int | None = None
    max_queue_bytes: int | None = None
    instances: int | None = None
    watch: bool = True
    observe_bytes: int | None = None
    feedback_bytes: int | None = None
    feedback_folder: str | None = None
    quality_seconds: float | None = None
    guard: str | None = None

    @property
    def batching(self) -> Batching:
        """What is said of batching."""
        return Batching(
            objective=seconds(self.objective),
            max_delay=seconds(self.max_delay),
            max_batch_rows=self.max_batch_rows,
            max_queue_rows=self.max_queue_rows,
            max_queue_bytes=self.max_queue_bytes,
            instances=self.instances,
        )


@dataclass(frozen=True, slots=True)
class Deployment:
    """A served name and what stands behind it.

    Attributes:
        name: The name that requests use.
        model: The bundle's own name.
        version: The bundle's version; where several share the traffic, the stable one.
        digest: The bundle's digest, or `None` for a bare ONNX file.
        revision: Which change of the deployment this is, from 1.
    """

    name: str
    model: str
    version: str
    digest: str | None
    revision: int


@dataclass(frozen=True, slots=True)
class Arm:
    """A version that gets traffic under a served name.

    Attributes:
        name: The name that requests use.
        model: The bundle's own name.
        version: The bundle's version.
        digest: The bundle's digest, or `None` for a bare ONNX file.
        revision: Which change of the deployment this is.
        role: `"stable"`, `"candidate"` or `"arm"`.
        weight: Its share of the traffic in basis points, of which there are 10,000.
    """

    name: str
    model: str
    version: str
    digest: str | None
    revision: int
    role: str
    weight: int
