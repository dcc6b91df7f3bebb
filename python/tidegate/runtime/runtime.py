"""The embedded runtime: models loaded, served and watched inside somebody's own process."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import orjson

from tidegate import _core, library
from tidegate._core import Prediction, Predictions
from tidegate.configuration.duration import seconds
from tidegate.errors import InputError
from tidegate.monitoring.watching import Watching
from tidegate.registry import Bundle, Registry
from tidegate.registry.reference import Reference
from tidegate.routing.settings import Follow
from tidegate.runtime import fork
from tidegate.runtime.batching import Batching
from tidegate.runtime.channel import channel
from tidegate.runtime.loading import Guard, Loading, Said
from tidegate.runtime.options import Arm, Deployment, Options

if TYPE_CHECKING:
    from tidegate.monitoring import DriftReport, QualityReport, Received
    from tidegate.monitoring.incidents.failed import FailedRow
    from tidegate.monitoring.log import Log, LogWriter
    from tidegate.monitoring.snapshots import Merged
    from tidegate.routing.follower import FollowerState
    from tidegate.runtime.replica import Replica
    from tidegate.runtime.rollout import Rollout
    from tidegate.storage import Store

__all__ = ["Runtime"]

Extra = Literal["error", "ignore"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Runtime:
    """Loads bundles and answers predictions in this process: no server, no port.

    A call on an idle model runs in the caller's thread with the interpreter released; while the
    model is busy, what gathers becomes its next batch. The object may be used from many threads
    and event loops at once. It is a context manager, and closing it twice does no harm. A child
    process that inherits it through `fork` gets a clear error from every call: make a new one there.

    Args:
        registry: Where `deploy` finds bundles by reference: a `Registry`, or its folder or URL.
        options: Limits.
        watching: Windows and alarms, for models that are deployed without their own.
        log: What is written down of predictions and feedback, and where; nothing by default.
        follow: How revisions are followed, where something is.

    Raises:
        MissingDependencyError: If no ONNX Runtime is installed; the message names the command.
        UnsupportedError: If a process has loaded another copy of the library.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from tidegate.demo.tiny import tiny_bundle
        >>> with tempfile.TemporaryDirectory() as folder, Runtime() as runtime:
        ...     bundle = tiny_bundle(folder)
        ...     runtime.deploy(bundle).version
        ...     prediction = runtime.predict("tiny", {"x": 1.0, "colour": "red"})
        ...     prediction.model, sorted(prediction.outputs)
        '1.0.0'
        ('tiny', ['label', 'probabilities'])
    """

    def __init__(
        self,
        registry: Registry | str | os.PathLike[str] | None = None,
        options: Options | None = None,
        watching: Watching | None = None,
        *,
        log: Log | None = None,
        follow: Follow | None = None,
    ) -> None:
        options, general = options or Options(), watching or Watching()
        if general.version is not None:
            raise InputError(
                f"reference {general.version!r} for all models: say a version where one is deployed"
            )
        library.load()
        # A runtime only reads: a registry that nobody may write to serves all the same.
        self._registry = (
            Registry(registry, read_only=True)
            if isinstance(registry, str | os.PathLike)
            else registry
        )
        self._log = None
        if log is not None and log.location is not None:
            from tidegate.monitoring.log import LogWriter

            self._log = LogWriter(log)
        self._core = _core.Runtime(
            batching=options.batching,
            watch=options.watch,
            watching=general.said(),
            observe_bytes=options.observe_bytes,
            feedback_bytes=options.feedback_bytes,
            feedback_folder=options.feedback_folder,
            quality_seconds=options.quality_seconds,
            log=None if self._log is None else self._log.core,
        )
        # Threads of the core must be gone before the interpreter is.
        self._finalizer = weakref.finalize(self, _close, self._core, self._log)
        self._follow = follow or Follow()
        self._replica: Replica | None = None
        self._aliased: dict[str, str] = {}
        self._loading = Loading(self._core, self._registry, options.guard, general)
        fork.tell(self)

    # ---- deployments

    def deploy(
        self,
        source: str | os.PathLike[str] | Bundle,
        *,
        name: str | None = None,
        objective: str | float | None = None,
        max_delay: str | float | None = None,
        max_batch_rows: int | None = None,
        max_queue_rows: int | None = None,
        max_queue_bytes: int | None = None,
        instances: int | None = None,
        guard: Guard | None = None,
        watching: Watching | None = None,
        segment: str | None = None,
    ) -> Deployment:
        """Load a bundle, or a bare ONNX model, and serve it in place of what stood there.

        Every digest is checked and the golden rows are replayed through the real path before the
        first request can reach it. Requests in flight finish on the version they began with.

        What is said of batching and watching here goes before the runtime's options, and these before
        what the bundle says of watching; it stays with the name until it is unloaded: a later `deploy`
        changes only what it says anew.

        Args:
            source: A reference (`"flight-delay@1.4.2"`, `"flight-delay@champion"`,
                `"flight-delay@sha256:…"`), a `Bundle`, a bundle's folder, or an `.onnx` file.
            name: The served name; the bundle's own by default, the file's stem for a bare model.
            objective: The time within which 99 of 100 requests to this model are to be answered, in
                seconds or as `"20ms"`.
            max_delay: The longest that a request may wait before its batch begins, in seconds or as
                `"5ms"`; beyond, it is refused.
            max_batch_rows: Most rows that one run takes.
            max_queue_rows: Most rows that wait; beyond, requests are refused.
            max_queue_bytes: Most bytes that wait; beyond, requests are refused.
            instances: How many batches run at the same time, each on a thread.
            guard: What is done about rows that break the rules of the bundle; stays with the name,
                as what is said of batching does.
            watching: Windows, what they are compared with, and alarms.
            segment: The same as `watching.segment`: by whose values drift and quality are told apart.

        Returns:
            What is served now.

        Raises:
            NotFoundError: If there is no such bundle, version or alias.
            IntegrityError: If a byte differs from its digest, or the golden rows do not reproduce.
            InputError: If the model does not fit the feature set, or is no ONNX model; if a bound
                is out of its range.
            ConflictError: If the name follows its revisions.
        """
        batching = Batching(
            seconds(objective),
            seconds(max_delay),
            max_batch_rows,
            max_queue_rows,
            max_queue_bytes,
            instances,
        )
        said = Said(batching, Watching(segment=segment).over(watching), guard)
        model, served, said = self._loading.load(source, said, name)
        served = name or served
        if not _NAME.fullmatch(served):
            raise InputError(
                f"model name {served!r}: use letters, digits, '.', '_' and '-', "
                "beginning with a letter or digit"
            )
        if self._replica is not None:
            self._replica.check_free(served)
        revision = self._core.deploy(served, model)
        self._loading.keep(served, said)
        self._aliased.pop(served, None)
        if isinstance(source, str) and self._loading.is_alias(source):
            self._aliased[served] = source
        return Deployment(served, model.name, model.version, model.digest, revision)

    def refresh(self) -> list[Deployment]:
        """Look up again what was deployed by an alias, or as the newest version.

        A name whose alias points elsewhere now is deployed anew; requests in flight finish on the
        version they began with.

        Returns:
            What has changed.

        Raises:
            NotFoundError: If an alias exists no more; what was served goes on being served.
            IntegrityError: If the other bundle is refused; the same holds.
        """
        served = {deployment.name: deployment for deployment in self.deployments()}
        changed = []
        for name, reference in list(self._aliased.items()):
            assert self._registry is not None
            if name not in served or (self._replica and self._replica.follows(name)):
                continue
            if self._registry.resolve(reference).digest != served[name].digest:
                changed.append(self.deploy(reference, name=name))
        return changed

    def unload(self, name: str) -> None:
        """Stop serving a name; requests in flight finish.

        Raises:
            NotFoundError: If nothing is deployed under the name.
        """
        self._core.undeploy(name)
        if self._replica is not None:
            self._replica.leave(name)
        self._aliased.pop(name, None)
        self._loading.forget(name)

    def deployments(self) -> list[Deployment]:
        """List what is served, by name, with the stable version of each."""
        return [Deployment(*row) for row in self._core.deployments()]

    # ---- revisions

    def follow(self, source: str, **said: Any) -> Deployment:
        """Serve a deployment by its revisions from now on, and take new ones within two seconds.

        Until there is a revision, the source is deployed as `deploy` does.

        Args:
            source: A reference, such as `"flight-delay@champion"`; it names the deployment.
            said: What `deploy` takes besides, but the name.

        Returns:
            What is served now.

        Raises:
            InputError: If it is no reference, or this runtime has no registry.
            StorageError: If there is nowhere to write to that replicas share.
            StateError: If there are revisions, and none can be served.
        """
        name = Reference.parse(source).name
        self.replica.follow(name, otherwise=lambda: self.deploy(source, **said))
        return next(found for found in self.deployments() if found.name == name)

    def rollout(self, name: str) -> Rollout:
        """The commands of a deployment, which is followed from now on.

        Args:
            name: The served name.

        Raises:
            InputError: If this runtime has no registry.
            StorageError: If there is nowhere to write to that replicas share.

        Example:
            >>> import tempfile
            >>> from tidegate.demo.tiny import tiny_bundle
            >>> from tidegate.registry import Registry
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     registry = Registry(folder)
            ...     for version in ("1.1.0", "1.0.0"):
            ...         _ = registry.publish(tiny_bundle(version=version), alias="champion")
            ...     with Runtime(registry) as runtime:
            ...         rollout = runtime.rollout("tiny")
            ...         str(rollout.start({"deployment": "tiny", "candidate": "1.1.0"}).routing)
            ...         str(rollout.undo(reason="it is slow").routing)
            '1.0.0 99 %, 1.1.0 1 %'
            '1.0.0 100 %'
        """
        from tidegate.runtime.rollout import Rollout

        served = {found.name: found.model for found in self.deployments()}
        follower = self.replica.follow(name, served.get(name))
        return Rollout(self.replica.control(name), follower, self.replica.store)

    @property
    def replica(self) -> Replica:
        """This runtime as one of those that follow; made when it is first asked for.

        Raises:
            InputError: If this runtime has no registry.
            StorageError: If there is nowhere to write to that replicas share.
        """
        if self._replica is None:
            from tidegate.runtime.replica import replica_of

            self._replica = replica_of(self._core, self._loading, self._registry, self._follow)
            # Nothing follows for a runtime that is gone; and a lease is given back at the end.
            weakref.finalize(self, self._replica.close)
        return self._replica

    @property
    def following(self) -> list[FollowerState]:
        """How each deployment that is followed stands here: what is seen, live and refused."""
        return [] if self._replica is None else self._replica.states()

    def arms(self, name: str | None = None) -> list[Arm]:
        """List the versions that get traffic, under one name or all; most names have one."""
        return [Arm(*row) for row in self._core.arms() if name in (None, row[0])]

    def samples(self, name: str, revision: int | None = None) -> str:
        """Give what has been counted of the versions that share a name's traffic, as JSON.

        What is counted begins empty with each revision of the routing; docs/rollouts.md describes the
        document. It is what `tidegate.routing` decides by.

        Args:
            name: The served name.
            revision: The live revision, or the one before it, whose labels still come; by default
                the live one.

        Raises:
            NotFoundError: Where one version has all the traffic and no shadow, and for a revision
                that is not kept.
        """
        return self._core.samples(name, revision)

    # ---- predictions

    def predict(
        self,
        name: str,
        row: Mapping[str, object],
        *,
        version: str | None = None,
        extra: Extra = "error",
        key: str | None = None,
    ) -> Prediction:
        """Predict one row.

        Args:
            name: The served name.
            row: Raw values by column, or arrays by input for a model without a feature set. An
                absent key of a nullable column is a missing value.
            version: The exact version that must answer; by default the deployment's plan chooses.
            extra: Whether keys that no column has are an `"error"` or to `"ignore"`.
            key: What the request is routed by where several versions share the traffic: the same key
                always gets the same version. By default the column that the plan names, else the
                call itself, which sticks to nothing.

        Returns:
            The outputs, the label, and which model, version and revision answered.

        Raises:
            InputError: If a column is unknown, absent or of the wrong type.
            NotFoundError: If the name or version is not served.
            OverloadedError: If too many rows wait for the model.
        """
        return self._core.predict(name, row, version, extra, key)

    def predict_many(
        self,
        name: str,
        rows: Any,
        *,
        version: str | None = None,
        extra: Extra = "error",
        key: str | None = None,
    ) -> Predictions:
        """Predict many rows at once.

        Args:
            name: The served name.
            rows: A list of dicts, an Arrow table (pyarrow, polars, pandas), a NumPy matrix of
                shape `[rows, columns]` in the schema's order (all columns numeric), or a dict of
                arrays by input for a model without a feature set.
            version: The exact version that must answer; by default the deployment's plan chooses
                one for all rows.
            extra: Whether columns that the model does not use are an `"error"` or to `"ignore"`;
                tables may always have more columns.
            key: As for `predict`.

        Returns:
            The outputs as arrays with one entry a row.

        Raises:
            InputError: If a column is unknown, absent or of the wrong type.
            NotFoundError: If the name or version is not served.
            OverloadedError: If too many rows wait for the model.
        """
        return self._core.predict_many(name, rows, version, extra, key)

    async def apredict(
        self,
        name: str,
        row: Mapping[str, object],
        *,
        version: str | None = None,
        extra: Extra = "error",
        key: str | None = None,
    ) -> Prediction:
        """Predict one row from a coroutine; rows of tasks that run at once share a batch.

        Cancelling drops the work, unless the model runs it already. Takes and raises what `predict`
        does.
        """
        prediction: Prediction = await channel().submit(
            lambda completions, token: self._core.submit(
                completions, token, name, row, version, extra, key
            ),
            self._core.flush,
            name,
        )
        return prediction

    # ---- watching

    def drift(
        self, name: str, *, version: str | None = None, segment: str | None = None
    ) -> DriftReport:
        """Report how far live features and predictions are from the bundle's baseline.

        Args:
            name: The served name.
            version: One version of several that are served.
            segment: Only the rows with this value of the segment column.

        Raises:
            NotFoundError: If the name or version is not served, or the value is not told apart.
            UnsupportedError: If the bundle has no baseline.
        """
        from tidegate.monitoring import DriftReport

        return DriftReport.from_json(self._core.drift(name, version, segment))

    def watched(self) -> list[tuple[str, str, str]]:
        """The served name, the version and the snapshot of every model that is watched."""
        from tidegate.runtime.merging import snapshots

        return snapshots(self._core)

    def merged_drift(
        self,
        name: str,
        store: Store,
        *,
        replica: str = "here",
        version: str | None = None,
        segment: str | None = None,
    ) -> Merged:
        """Report the drift that all replicas have seen together, this one among them.

        Args:
            name: The served name.
            store: Where the replicas' snapshots are.
            replica: The name of this one's own there; what it has seen by now stands in their place.
            version: Of several that share the traffic, which; the stable one by default.
            segment: Only the rows with this value of the segment column.

        Returns:
            The report, and what is wrong with snapshots that were left out.

        Raises:
            NotFoundError: If nothing is deployed under the name, or it is not watched.
            StorageError: If the store cannot be reached.
        """
        from tidegate.runtime.merging import merged_drift

        return merged_drift(self._core, name, store, replica, version, segment)

    def failed_rows(self, name: str) -> list[FailedRow]:
        """Give a few rows that failed in the model or broke a rule lately, the newest first.

        Values are as they were sent, but for what the prediction log leaves out or hashes.

        Args:
            name: The served name; rows of all its versions are given.

        Raises:
            NotFoundError: If nothing is deployed under the name.
        """
        from tidegate.monitoring.incidents.failed import failed_rows

        return failed_rows(self._core.failed_rows(name))

    def close_window(
        self, name: str, *, label: str | None = None, version: str | None = None
    ) -> None:
        """Close the open window of observations now, so that the next begins.

        Args:
            name: The served name.
            label: What to call the window in reports.
            version: Of several that share the traffic, which; the stable one by default.
        """
        self._core.close_window(name, label, version)

    def feedback(self, name: str, feedback: Any) -> Received:
        """Say how predictions came out: labels and named numbers, by the ids of predictions.

        Labels may come in bulk, late and in any order. What is sent twice counts once; of labels
        that differ the first one stays. What cannot be taken is counted, and the first few are named.

        Args:
            name: The served name; labels of all versions of its model are taken.
            feedback: A list of dicts with `prediction_id`, `label` and `metrics` (a dict of
                numbers), or an Arrow table with the columns `prediction_id`, `label` and one
                of numbers for each metric.

        Returns:
            What became of it.

        Raises:
            InputError: If it is no feedback.
            NotFoundError: If the name is not served, or its predictions are not kept.

        Example:
            >>> import tempfile
            >>> from tidegate.demo.tiny import tiny_bundle
            >>> with tempfile.TemporaryDirectory() as folder, Runtime() as runtime:
            ...     _ = runtime.deploy(tiny_bundle(folder))
            ...     prediction = runtime.predict("tiny", {"x": 1.0, "colour": "red"})
            ...     received = runtime.feedback(
            ...         "tiny", [{"prediction_id": prediction.id, "label": prediction.label}]
            ...     )
            ...     received.labels["joined"], runtime.quality("tiny").newest.measure("accuracy").value
            (1, 1.0)
        """
        from tidegate.monitoring.quality import Received

        if hasattr(feedback, "__arrow_c_stream__"):
            return Received.from_json(self._core.feedback_table(name, feedback))
        try:
            body = orjson.dumps({"feedback": feedback}, option=orjson.OPT_SERIALIZE_NUMPY)
        except TypeError as error:
            raise InputError(
                f"feedback that is neither an Arrow table nor a list of dicts ({error}): "
                "send prediction_id, label and metrics"
            ) from error
        return Received.from_json(self._core.feedback(name, body))

    def quality(self, name: str) -> QualityReport:
        """Report how good predictions were by their labels, and how good they should be without.

        Raises:
            NotFoundError: If the name is not served, or its predictions are not kept.
        """
        from tidegate.monitoring.quality import QualityReport

        return QualityReport.from_json(self._core.quality(name))

    def metrics(self) -> str:
        """Return the metrics in Prometheus' text format."""
        return self._core.metrics()

    # ---- life

    @property
    def core(self) -> _core.Runtime:
        """The native runtime, for the server that is started on it."""
        return self._core

    @property
    def registry(self) -> Registry | None:
        """Where `deploy` finds bundles by reference."""
        return self._registry

    def close(self) -> None:
        """Refuse new work, finish what is accepted, end the threads. Twice does no harm."""
        if self._replica is not None:
            self._replica.close()
        self._finalizer()

    def forked(self) -> None:
        """Fail clearly from now on: this process has inherited a runtime without its threads."""
        self._finalizer.detach()
        self._core.forked()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _close(core: _core.Runtime, log: LogWriter | None) -> None:
    core.close()
    if log is not None:
        log.close()
