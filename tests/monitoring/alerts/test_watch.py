"""Alerts beside a real runtime: a thread, a store, a receiver; restarts; what people do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.monitoring.alerts.conftest import Receiver

from tidegate.demo.tiny import tiny_bundle
from tidegate.errors import ConfigurationError, InputError, NotFoundError
from tidegate.monitoring.alerts import Alerts
from tidegate.monitoring.alerts.watch import Watch
from tidegate.runtime import Runtime

ROW = {"x": 1.25, "colour": "red"}
BUSY = {
    "name": "busy",
    "kind": "threshold",
    "signal": "requests_per_second",
    "above": 0.001,
    "over": "1h",
    "summary": "somebody asks",
}


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def now(self) -> float:
        return self.time

    def at_least(self, time: float) -> None:
        self.time = max(self.time, time)


def settings(folder: Path, receiver: Receiver, **more: Any) -> Alerts:
    return Alerts(
        storage=str(folder / "alerts"),
        notify=("hook",),
        group_wait="0s",
        link="https://models.example.org",
        channels={"hook": {"kind": "webhook", "url": f"{receiver.url}/hook"}},
        rules=(BUSY,),
        **more,
    )


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Runtime() as runtime:
        runtime.deploy(tiny_bundle())
        yield runtime


def watching(alerts: Alerts, runtime: Runtime, hands: Hands, **more: Any) -> Watch:
    return Watch(alerts, runtime, clock=hands, pauses=(0.0,) * 3, **more)  # type: ignore[arg-type]


def fire(watch: Watch, runtime: Runtime, hands: Hands) -> str:
    watch.look()
    hands.time += 60
    for _ in range(5):
        runtime.predict("tiny", ROW)
    watch.look()
    return str(watch.incidents()[0]["id"])


def test_an_incident_opens_with_its_evidence(
    tmp_path: Path, receiver: Receiver, runtime: Runtime
) -> None:
    hands = Hands()
    watch = watching(settings(tmp_path, receiver), runtime, hands)
    watch.look()
    hands.time += 30
    runtime.deploy(tiny_bundle(version="1.1.0"))
    watch.look()
    name = fire(watch, runtime, hands)
    receiver.wait(1)
    _, _, body = receiver.posts[0]
    assert body["kind"] == "firing"
    assert body["link"] == f"https://models.example.org/v1/incidents/{name}"
    assert body["alerts"][0]["labels"] == {"model": "tiny", "version": "1.1.0"}

    found = watch.incident(name)
    evidence = next(record for record in found["records"] if record["type"] == "evidence")
    assert [served["version"] for served in evidence["served"]] == ["1.1.0"]
    assert evidence["causes"][0]["kind"] == "change"
    assert evidence["causes"][0]["detail"].startswith("1.0.0 (sha256:")
    columns = {column["column"]: column for column in evidence["columns"]}
    # Five equal rows are nothing like the baseline.
    assert columns["x"]["psi"] > 1.0
    assert sum(cell["live"] for cell in columns["x"]["cells"]) == 5
    stages = {stage["stage"] for stage in evidence["stages"]}
    assert {"features", "total"} <= stages
    times = [line["at"] for line in found["timeline"]]
    assert times == sorted(times)
    watch.close()


def test_what_people_do_is_on_record_and_in_the_review(
    tmp_path: Path, receiver: Receiver, runtime: Runtime
) -> None:
    hands = Hands()
    watch = watching(settings(tmp_path, receiver), runtime, hands)
    name = fire(watch, runtime, hands)
    hands.time += 60
    watch.acknowledge(name, "ada")
    watch.note(name, "ada", "rolled | back <script>")
    assert watch.incidents()[0]["status"] == "acknowledged"
    with pytest.raises(InputError, match="a note has 0 characters"):
        watch.note(name, "ada", "")
    with pytest.raises(NotFoundError, match="there is no incident 'x'"):
        watch.note("x", "ada", "text")
    with pytest.raises(NotFoundError, match="there is no open incident 'x'"):
        watch.acknowledge("x", "ada")
    hands.time += 7_200
    watch.look()
    watch.look()
    incident = watch.incidents()[0]
    assert (incident["status"], incident["resolver"]) == ("resolved", "rules")
    text = watch.review(name)
    for part in (
        f"# Incident {name}: somebody asks",
        "| acknowledged | 2023-11-14 22:15:20 UTC by ada, after 1 min 0 s |",
        "by rules, after",
        "ada notes: rolled \\| back &lt;script&gt;",
        "hook told: firing",
        "hook told: resolved",
        "rule busy fires: model=tiny version=1.0.0",
        "## Suggested causes, by what moved first",
        "█",
    ):
        assert part in text
    with pytest.raises(NotFoundError):
        watch.resolve(name, "ada")
    watch.close()


def test_a_restart_tells_nobody_again(tmp_path: Path, receiver: Receiver, runtime: Runtime) -> None:
    hands, alerts = Hands(), settings(tmp_path, receiver)
    watch = watching(alerts, runtime, hands, effective={"server.port": "1", "a.b": "x"})
    name = fire(watch, runtime, hands)
    receiver.wait(1)
    watch.close()
    hands.time += 30
    again = watching(alerts, runtime, hands, effective={"server.port": "2", "a.b": "x"})
    for _ in range(3):
        again.look()
        hands.time += 60
        runtime.predict("tiny", ROW)
    assert [incident["id"] for incident in again.incidents()] == [name]
    assert again.incident(name)["status"] == "open"
    again.resolve(name, "ada")
    assert again.incidents()[0]["resolver"] == "ada"
    assert [change["name"] for change in again._engine.state.changes] == ["server.port"]
    again.close()
    assert [body["kind"] for _, _, body in receiver.posts] == ["firing"]


def test_the_thread_looks_by_itself(tmp_path: Path, receiver: Receiver, runtime: Runtime) -> None:
    watch = Watch(settings(tmp_path, receiver, every=1.0), runtime)
    watch.start()
    until = time.monotonic() + 60
    while not receiver.posts and time.monotonic() < until:
        runtime.predict("tiny", ROW)
    assert receiver.posts[0][2]["kind"] == "firing"
    watch.close()
    watch.close()


def test_a_channel_can_be_tried(tmp_path: Path, receiver: Receiver, runtime: Runtime) -> None:
    watch = watching(settings(tmp_path, receiver), runtime, Hands())
    watch.test("hook")
    kinds = [(body["kind"], body["alerts"][0]["status"]) for _, _, body in receiver.posts]
    assert kinds == [("test", "firing"), ("test", "resolved")]
    receiver.statuses = [404]
    with pytest.raises(
        ConfigurationError, match=r"'hook' does not take .*: 127\.0\.0\.1 answers 404"
    ):
        watch.test("hook")
    with pytest.raises(NotFoundError, match="there is no channel 'nope': the channels are hook"):
        watch.test("nope")
    watch.close()


def test_a_store_that_cannot_be_written_is_said_and_alerts_go_on(
    tmp_path: Path, receiver: Receiver, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "journal").write_text("a file where a folder should be")
    hands = Hands()
    watch = watching(settings(tmp_path, receiver), runtime, hands)
    fire(watch, runtime, hands)
    receiver.wait(1)
    assert caplog.text.count("alerts cannot be recorded for now") == 1
    assert watch.alerts()["problem"] is None or "journal" in watch.alerts()["problem"]
    watch.close()


def test_without_storage_it_is_said(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    alerts = Alerts(rules=(BUSY,))
    watch = watching(alerts, runtime, Hands())
    assert "forgotten when the server ends" in caplog.text
    watch.close()
