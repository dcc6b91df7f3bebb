"""What loading a model does to the latency of another one that is served in the same process."""

from __future__ import annotations

import threading
from typing import Any, Final

from tidegate.bench.context import Context
from tidegate.bench.measure import figure
from tidegate.bench.process import Worker
from tidegate.bench.subjects import ANSWER, Subject
from tidegate.errors import BackendError

__all__ = ["Loader", "measure"]

SPARE: Final = "spare"
"""The name under which the model is loaded again and again."""

LOAD: Final = 0.5
"""The rate of requests, as a share of what the server sustains."""


class Loader:
    """A server in this process, in which a model is loaded over and over while somebody wants it.

    Args:
        registry: Where the model is.
        reference: What is served, and loaded.
    """

    def __init__(self, registry: str, reference: str) -> None:
        from tidegate.runtime import Runtime
        from tidegate.server import Server, Settings

        self._runtime = Runtime(registry)
        self._reference = reference
        self._runtime.deploy(reference)
        self._server = Server(self._runtime, Settings(port=0, workers=1))
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._loads = 0

    def address(self) -> str:
        """`host:port` of the server."""
        return f"{self._server.host}:{self._server.port}"

    def begin(self) -> None:
        """Loads without a pause from now on; returns when the first load is under way."""
        begun = threading.Event()
        self._ending.clear()
        self._loads = 0

        def load() -> None:
            while not self._ending.is_set():
                begun.set()
                self._runtime.deploy(self._reference, name=SPARE)
                self._loads += 1

        self._thread = threading.Thread(target=load, name="loader")
        self._thread.start()
        begun.wait()

    def end(self) -> int:
        """Ends with the load that is under way; returns how many there were."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        return self._loads

    def close(self) -> None:
        """Ends the server."""
        self.end()
        self._server.stop()
        self._runtime.close()


def measure(context: Context) -> None:
    """The p99 of requests while a model is loaded, over the p99 without, in turns.

    Args:
        context: Where the figures go.
    """
    trees = context.trees()
    if trees is not None:
        context.attempt("loading", lambda: _loading(context, trees))


def _loading(context: Context, trees: Subject) -> None:
    plan, places = context.plan, context.places
    context.progress("latency while a model is loaded")
    ratios, loads = [], 0
    with (
        Worker(
            "loader", places.server, registry=str(trees.registry), reference=trees.reference
        ) as server,
        Worker("load", places.client) as client,
    ):
        load: dict[str, Any] = {
            "address": server.call("address"),
            "path": f"/v2/models/{trees.name}/infer",
            "connections": 32,
            "seconds": max(1.0, plan.seconds),
            "warmup_seconds": 0.2,
            "cpu": places.client,
            "numbers_after": ANSWER,
        }

        def run(**more: Any) -> dict[str, Any]:
            report: dict[str, Any] = client.call(
                "run", load={**load, **more}, cases=str(trees.cases)
            )
            if sum(report["errors"].values()):
                raise BackendError(f"a request failed while loading: {report['first_error']}")
            return report

        rate = LOAD * run()["rate"]
        for turn in range(2 * plan.repetitions + 1):
            p99 = {}
            for loading in (False, True) if turn % 2 else (True, False):
                if loading:
                    server.call("begin")
                p99[loading] = run(rate=rate, seed=turn)["latency_us"]["p99"]
                if loading:
                    loads += server.call("end")
            ratios.append(p99[True] / p99[False])
    context.results.figures["p99_while_loading"] = figure(ratios)
    if loads < len(ratios):
        context.results.notes.append(f"only {loads} loads in {len(ratios)} runs: give them longer")
