"""Channels against a real receiver: their forms, retries, and that nothing secret is said."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.monitoring.alerts.conftest import Receiver

from tidegate.errors import ConfigurationError
from tidegate.monitoring.alerts.channels import Alert, ChannelError, Message, channels_of, post
from tidegate.monitoring.alerts.delivery import ATTEMPTS, MOST_QUEUED, PAUSES, Dispatcher

SECRET = "hunter2hunter2"
ALERT = Alert(
    key="75cfeea23e8acb36-1700000000000",
    rule="slow",
    severity="critical",
    labels={"model": "m", "version": "1.0.0"},
    text="latency_p99 is 0.2, above 0.1",
    value=0.2,
    started=1_700_000_000.0,
    resolved=None,
    summary="a <b> & c",
    runbook="https://wiki.example.org/slow",
)
ENDED = Alert(
    **{**{name: getattr(ALERT, name) for name in Alert.__slots__}, "resolved": 1.7e9 + 60}
)


def message(*alerts: Alert, kind: str = "firing") -> Message:
    link = "https://models.example.org/v1/incidents/i"
    return Message("n1", kind, 1_700_000_001.0, alerts or (ALERT,), "i", "on call", link)


def send(values: dict[str, Any], sent: Message) -> None:
    for one in channels_of({"c": values})["c"].posts(sent):
        post(one, timeout=30)


def test_webhooks_get_everything_and_a_signature(receiver: Receiver) -> None:
    url = f"{receiver.url}/hook?key={SECRET}"
    send({"kind": "webhook", "url": url, "secret": "k", "token": "t"}, message())
    path, headers, body = receiver.posts[0]
    assert path == f"/hook?key={SECRET}"
    assert headers["idempotency-key"] == "n1"
    assert headers["authorization"] == "Bearer t"
    assert (body["version"], body["kind"], body["incident"]) == (1, "firing", "i")
    assert body["alerts"][0]["labels"] == {"model": "m", "version": "1.0.0"}
    raw = channels_of({"c": {"kind": "webhook", "url": url, "secret": "k"}})["c"].posts(message())
    signature = hmac.new(b"k", raw[0].body, hashlib.sha256).hexdigest()
    assert headers["x-tidegate-signature"] == f"sha256={signature}"


def test_alertmanager_gets_its_own_form(receiver: Receiver) -> None:
    send({"kind": "alertmanager", "url": receiver.url}, message(ALERT, ENDED))
    path, _, body = receiver.posts[0]
    assert path == "/api/v2/alerts"
    assert body[0]["labels"]["alertname"] == "slow"
    assert body[0]["startsAt"] == "2023-11-14T22:13:20.000Z"
    assert body[0]["endsAt"] > body[1]["endsAt"] == "2023-11-14T22:14:20.000Z"


def test_slack_gets_blocks_without_markup_of_ours(receiver: Receiver) -> None:
    send({"kind": "slack", "url": f"{receiver.url}/services/x"}, message(*[ALERT] * 12))
    _, _, body = receiver.posts[0]
    assert body["text"] == "[FIRING] slow: model=m version=1.0.0 and 11 more"
    text = json.dumps(body["blocks"], ensure_ascii=False)
    assert "a &lt;b&gt; &amp; c" in text
    assert "… and 2 more" in text
    assert len(body["blocks"]) <= 50


def test_pagerduty_triggers_and_resolves_by_one_key(receiver: Receiver) -> None:
    values = {"kind": "pagerduty", "routing_key": "r", "url": receiver.url}
    send(values, message())
    send(values, message(ENDED, kind="resolved"))
    (_, _, trigger), (_, _, resolve) = receiver.posts
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"] == f"tidegate/{ALERT.key}"
    assert trigger["payload"]["severity"] == "critical"
    assert "payload" not in resolve


def test_secrets_come_from_the_environment_and_files(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOOK", f"{receiver.url}/env")
    (tmp_path / "hook").write_text(f"{receiver.url}/file\n")
    for source in ("env:HOOK", f"file:{tmp_path / 'hook'}"):
        send({"kind": "slack", "url": source}, message())
    assert [path for path, _, _ in receiver.posts] == ["/env", "/file"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "slak", "url": SECRET}, "did you mean 'slack'?"),
        ({"kind": "slack"}, "url is missing"),
        ({"kind": "slack", "url": f"ftp://{SECRET}"}, "its address is none of http or https"),
        ({"kind": "slack", "url": "env:NOT_THERE"}, "no variable NOT_THERE"),
        ({"kind": "slack", "url": "file:/not/there"}, "/not/there cannot be read"),
        ({"kind": "slack", "url": f"https://x/{SECRET}", "tok": "t"}, "no key 'tok'"),
        ({"kind": "slack", "url": 7}, "url is 7: give it a text"),
    ],
)
def test_a_wrong_channel_is_one_sentence(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match="channel 'c'") as error:
        channels_of({"c": values})
    assert said in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_errors_name_the_host_and_nothing_secret(receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    receiver.headers = {"Location": f"{receiver.url}/elsewhere"}
    with pytest.raises(ChannelError) as error:
        send({"kind": "webhook", "url": f"{receiver.url}/{SECRET}", "token": SECRET}, message())
    assert str(error.value) == f"127.0.0.1 answers {status}"
    assert error.value.again == (status == 500)
    assert len(receiver.posts) == 1


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/{SECRET}"
    with pytest.raises(ChannelError, match=r"127\.0\.0\.1 cannot be reached") as error:
        send({"kind": "slack", "url": url}, message())
    assert error.value.again
    assert SECRET not in str(error.value)


class Outcomes:
    def __init__(self) -> None:
        self.queue: queue.Queue[tuple[str, str, str | None]] = queue.Queue()

    def __call__(self, notification: str, channel: str, problem: str | None) -> None:
        self.queue.put((notification, channel, problem))

    def next(self) -> tuple[str, str, str | None]:
        return self.queue.get(timeout=60)


def test_what_fails_is_sent_again_until_it_arrives(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [503, 429, 500]
    channels = channels_of({"c": {"kind": "webhook", "url": f"{receiver.url}/{SECRET}"}})
    outcomes = Outcomes()
    dispatcher = Dispatcher(channels, outcomes, pauses=(0.0,) * 7)
    dispatcher.put("c", message())
    assert outcomes.next() == ("n1", "c", None)
    assert len(receiver.posts) == 4
    assert {headers["idempotency-key"] for _, headers, _ in receiver.posts} == {"n1"}
    standing = dispatcher.standings()["c"]
    assert (standing.sent, standing.failed, standing.problem) == (1, 0, None)
    dispatcher.close()
    assert "alerts do not arrive on channel c: 127.0.0.1 answers 503" in caplog.text
    assert SECRET not in caplog.text


def test_what_is_refused_is_given_up_at_once(receiver: Receiver) -> None:
    receiver.statuses = [403]
    outcomes = Outcomes()
    dispatcher = Dispatcher(
        channels_of({"c": {"kind": "webhook", "url": receiver.url}}), outcomes, pauses=(0.0,)
    )
    dispatcher.put("c", message())
    assert outcomes.next() == ("n1", "c", "127.0.0.1 answers 403")
    dispatcher.put("c", message())
    assert outcomes.next() == ("n1", "c", None)
    dispatcher.close()


def test_attempts_are_bounded(receiver: Receiver) -> None:
    receiver.statuses = [500] * 20
    outcomes = Outcomes()
    dispatcher = Dispatcher(
        channels_of({"c": {"kind": "webhook", "url": receiver.url}}),
        outcomes,
        pauses=tuple(0.0 for _ in PAUSES),
    )
    dispatcher.put("c", message())
    assert outcomes.next() == ("n1", "c", "127.0.0.1 answers 500")
    assert len(receiver.posts) == ATTEMPTS
    dispatcher.close()


def test_of_several_requests_those_that_arrived_are_not_sent_again(receiver: Receiver) -> None:
    receiver.statuses = [200, 500, 200]
    values = {"kind": "pagerduty", "routing_key": "r", "url": receiver.url}
    outcomes = Outcomes()
    dispatcher = Dispatcher(channels_of({"c": values}), outcomes, pauses=(0.0,))
    dispatcher.put("c", message(ALERT, ENDED))
    assert outcomes.next() == ("n1", "c", None)
    actions = [body["event_action"] for _, _, body in receiver.posts]
    assert actions == ["trigger", "resolve", "resolve"]
    dispatcher.close()


def test_the_queue_is_bounded_and_never_waits() -> None:
    # A receiver that takes the connection and never answers.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(512)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        outcomes = Outcomes()
        dispatcher = Dispatcher(
            channels_of({"c": {"kind": "webhook", "url": url}}), outcomes, pauses=()
        )
        for _ in range(MOST_QUEUED + 10):
            dispatcher.put("c", message())
        problems = [outcomes.next()[2] for _ in range(9)]
        assert set(problems) == {f"{MOST_QUEUED} notifications wait already"}
        assert dispatcher.standings()["c"].queued <= MOST_QUEUED
        dispatcher.close()
