"""The rule file against real Prometheus: promtool's check, its unit tests, a server that scrapes.

Where Prometheus or Alertmanager is not installed, what needs it is skipped, which means that it is
not measured there (Debian: `apt-get install prometheus prometheus-alertmanager`).
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.monitoring.alerts.harness import Replica, Told, memory

from tidegate.demo.tiny import tiny_bundle
from tidegate.monitoring.alerts import rules_of
from tidegate.monitoring.alerts.channels import Alert, Message, channels_of, post
from tidegate.monitoring.alerts.dashboard import PANELS, dashboard
from tidegate.monitoring.alerts.prometheus import rule_file
from tidegate.monitoring.alerts.signals import SIGNALS
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

RULES: list[dict[str, Any]] = [
    {"name": "queue", "kind": "threshold", "signal": "queue_rows", "above": 10, "for": "2m"},
    {
        "name": "drift of distances",
        "kind": "threshold",
        "signal": "drift_psi",
        "above": 0.25,
        "column": "dist*",
        "role": "feature",
        "severity": "critical",
        "labels": {"team": "ml"},
        "summary": "a {{ brace }} and a \"quote\"",
        "runbook": "https://wiki.example.org/drift",
    },
    {"name": "failing", "kind": "threshold", "signal": "error_ratio", "above": 0.1},
    {"name": "unlike itself", "kind": "anomaly", "signal": "queue_rows", "past": "1h", "least": 30},
    {"name": "burning", "kind": "burn_rate", "objective": "20ms", "target": 0.99},
    {"name": "drifted", "kind": "drift"},
    {"name": "worse", "kind": "quality", "measure": "auc", "drop": 0.05, "past": "1h"},
    {"name": "bad", "kind": "quality", "measure": "rmse", "above": 2, "estimated": True},
    {"name": "idle", "kind": "no_traffic", "over": "10m", "keep": "1m"},
]  # fmt: skip


def program(name: str, *others: str) -> str:
    for each in (name, *others):
        found = shutil.which(each)
        if found:
            return found
    pytest.skip(f"not measured: {name} is not installed")


@pytest.fixture
def rules_path(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yml"
    text = rule_file(rules_of(RULES))
    # Debian's Prometheus is older than this key.
    path.write_text("\n".join(line for line in text.splitlines() if "keep_firing_for" not in line))
    assert 'keep_firing_for: "1m"' in text
    return path


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_every_kind_and_signal(rules_path: Path, tmp_path: Path) -> None:
    promtool = program("promtool")
    assert "9 rules found" in run(promtool, "check", "rules", rules_path.name, cwd=tmp_path)
    many = [
        {"name": f"{kind} {name}", "kind": kind, "signal": name, "model": "m*", **more}
        for name in SIGNALS
        for kind, more in (("threshold", {"above": 0.5}), ("anomaly", {"side": "below"}))
    ]
    (tmp_path / "many.yml").write_text(rule_file(rules_of(many)))
    found = run(promtool, "check", "rules", "many.yml", cwd=tmp_path)
    assert f"{len(many)} rules found" in found


def test_promtool_says_what_the_rules_say(rules_path: Path, tmp_path: Path) -> None:
    """The same course of numbers makes the same alerts in Prometheus as here."""
    promtool = program("promtool")
    own = '{model="m",version="1.0.0"'
    ok, bad = (
        f'tidegate_requests_total{own},outcome="ok"}}',
        f'tidegate_requests_total{own},outcome="backend"}}',
    )
    bucket = f'tidegate_stage_seconds_bucket{own},stage="total",le='
    inputs = [
        # Traffic for 100 minutes, then none.
        {"series": ok, "values": "0+60x100 6000x40"},
        {"series": bad, "values": "0x50 0+60x50 3000x40"},
        {"series": f'{bucket}"0.016384"}}', "values": "0+60x60 3600x80"},
        {"series": f'{bucket}"0.032768"}}', "values": "0+60x60 3600x80"},
        {"series": f'{bucket}"+Inf"}}', "values": "0+60x100 6000x40"},
        {"series": f"tidegate_queue_rows{own}}}", "values": "5x60 5 50 50 50 50 5x80"},
        {"series": f'tidegate_drift_psi{own},column="distance",role="feature"}}', "values": "0.3x140"},
        {"series": f'tidegate_drift_psi{own},column="dest",role="feature"}}', "values": "0.3x140"},
        {"series": f'tidegate_drift_alarm{own},column="x",role="feature"}}', "values": "0x30 1x110"},
        {"series": f'tidegate_quality{own},measure="auc"}}', "values": "0.9x30 0.8x110"},
        {"series": f"tidegate_quality_labelled_total{own}}}", "values": "0x40 1000x100"},
        {"series": f'tidegate_quality_estimate{own},measure="rmse"}}', "values": "1x30 3x110"},
    ]  # fmt: skip
    labels = {"model": "m", "version": "1.0.0", "severity": "warning"}
    drifted = {
        **labels,
        "severity": "critical",
        "team": "ml",
        "column": "distance",
        "role": "feature",
    }
    notes = {
        "summary": 'a {{ brace }} and a "quote"',
        "runbook_url": "https://wiki.example.org/drift",
    }
    expected = [
        ("29m", "drifted", []),
        ("35m", "drifted", [{"exp_labels": {**labels, "column": "x", "role": "feature"}}]),
        ("35m", "worse", []),
        ("45m", "worse", [{"exp_labels": {**labels, "measure": "auc"}}]),
        ("29m", "bad", []),
        ("35m", "bad", [{"exp_labels": {**labels, "measure": "rmse"}}]),
        ("62m", "queue", []),
        ("64m", "queue", [{"exp_labels": labels}]),
        ("70m", "queue", []),
        ("10m", "drift of distances", [{"exp_labels": drifted, "exp_annotations": notes}]),
        ("40m", "failing", []),
        ("70m", "failing", [{"exp_labels": labels}]),
        ("50m", "unlike itself", []),
        ("62m", "unlike itself", [{"exp_labels": labels}]),
        ("20m", "unlike itself", []),
        ("45m", "burning", []),
        ("95m", "burning", [{"exp_labels": labels}]),
        ("100m", "idle", []),
        ("125m", "idle", [{"exp_labels": {"model": "m", "severity": "warning"}}]),
    ]
    tests = {
        "rule_files": [rules_path.name],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": inputs,
                "alert_rule_test": [
                    {"eval_time": when, "alertname": name, "exp_alerts": alerts}
                    for when, name, alerts in expected
                ],
            }
        ],
    }
    # JSON is YAML.
    (tmp_path / "tests.yml").write_text(json.dumps(tests))
    assert "SUCCESS" in run(promtool, "test", "rules", "tests.yml", cwd=tmp_path)

    # A wrong expectation fails, so that success means something.
    tests["tests"][0]["alert_rule_test"][0]["exp_alerts"] = [{"exp_labels": labels}]  # type: ignore[index]
    (tmp_path / "wrong.yml").write_text(json.dumps(tests))
    wrong = subprocess.run([promtool, "test", "rules", "wrong.yml"], cwd=tmp_path, check=False)
    assert wrong.returncode != 0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], ready: str, cwd: Path) -> Iterator[None]:
    with (cwd / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=log)
    try:
        eventually(lambda: httpx.get(ready, timeout=5).status_code == 200)
        yield
    finally:
        process.terminate()
        process.wait(60)


def eventually(holds: Callable[[], Any], seconds: float = 90.0) -> Any:
    until = time.monotonic() + seconds
    while True:
        try:
            if found := holds():
                return found
        except httpx.HTTPError:
            pass
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    name = program("alertmanager", "prometheus-alertmanager")
    (tmp_path / "alertmanager.yml").write_text(
        json.dumps({"route": {"receiver": "none"}, "receivers": [{"name": "none"}]})
    )
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        name,
        "--config.file=alertmanager.yml",
        f"--storage.path={tmp_path / 'am'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
    ]
    with running(command, f"{url}/-/ready", tmp_path):
        yield url


def test_alertmanager_takes_and_ends_our_alerts(alertmanager: str) -> None:
    channel = channels_of({"c": {"kind": "alertmanager", "url": alertmanager}})["c"]
    now = time.time()
    alert = Alert("k", "slow", "critical", {"model": "m"}, "0.2 above 0.1", 0.2, now - 5, None)

    def there() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{alertmanager}/api/v2/alerts", timeout=10).json()
        return found

    for _ in range(2):
        for one in channel.posts(Message("n", "firing", now, (alert,), "i")):
            post(one, timeout=30)
    [found] = eventually(there)
    assert found["labels"] == {"alertname": "slow", "model": "m", "severity": "critical"}
    assert found["annotations"] == {"description": "0.2 above 0.1", "incident": "i"}
    assert found["status"]["state"] == "active"
    values = {name: getattr(alert, name) for name in Alert.__slots__}
    ended = Alert(**{**values, "resolved": now - 1})
    for one in channel.posts(Message("n2", "resolved", now, (ended,), "i")):
        post(one, timeout=30)
    eventually(lambda: there() == [])


def test_prometheus_scrapes_fires_and_tells_alertmanager(alertmanager: str, tmp_path: Path) -> None:
    name = program("prometheus")
    values = {"name": "asked", "kind": "threshold", "signal": "requests_per_second", "above": 0.01}
    rule = rules_of([{**values, "over": "10s", "severity": "critical"}])
    (tmp_path / "asked.yml").write_text(rule_file(rule, every=1.0))
    with Runtime() as runtime:
        runtime.deploy(tiny_bundle())
        with Server(runtime, Settings(port=0)) as server:
            address = alertmanager.removeprefix("http://")
            configuration = {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": ["asked.yml"],
                "scrape_configs": [
                    {
                        "job_name": "tidegate",
                        "static_configs": [{"targets": [f"127.0.0.1:{server.port}"]}],
                    }
                ],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [address]}]}]},
            }
            (tmp_path / "prometheus.yml").write_text(json.dumps(configuration))
            url = f"http://127.0.0.1:{free_port()}"
            command = [
                name,
                "--config.file=prometheus.yml",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address={url.removeprefix('http://')}",
            ]
            with running(command, f"{url}/-/ready", tmp_path):

                def fired() -> list[dict[str, Any]]:
                    body = {"instances": [{"x": 1.0, "colour": "red"}]}
                    httpx.post(f"{server.url}/v1/models/tiny:predict", json=body, timeout=10)
                    found = httpx.get(f"{alertmanager}/api/v2/alerts", timeout=10).json()
                    return [a for a in found if a["labels"]["alertname"] == "asked"]

                [alert] = eventually(fired)
                assert alert["labels"]["model"] == "tiny"
                assert alert["labels"]["severity"] == "critical"
                # Every query of the dashboard is one that Prometheus takes.
                for panel in dashboard(rule)["panels"]:
                    for target in panel["targets"]:
                        query = target["expr"].replace("$__rate_interval", "1m")
                        query = query.replace("$model", ".*")
                        reply = httpx.get(
                            f"{url}/api/v1/query", params={"query": query}, timeout=30
                        )
                        assert reply.status_code == 200, (query, reply.text)


def test_the_dashboard_is_as_grafana_reads_it() -> None:
    found = dashboard(rules_of(RULES))
    assert json.loads(json.dumps(found)) == found
    assert [panel["title"] for panel in found["panels"][: len(PANELS)]] == [p[0] for p in PANELS]
    ids = [panel["id"] for panel in found["panels"]]
    assert len(set(ids)) == len(ids)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in found["panels"]]
    assert len(set(places)) == len(places)
    for panel in found["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
        assert panel["targets"]
        for target in panel["targets"]:
            assert "$sel" not in target["expr"]
    assert {variable["name"] for variable in found["templating"]["list"]} == {"source", "model"}
    assert found["schemaVersion"] >= 36


def test_alerts_are_kept_alive_at_alertmanager() -> None:
    """What fires is sent again before Alertmanager takes it for over."""
    channels = channels_of({"first": {"kind": "alertmanager", "url": "http://127.0.0.1:1"}})
    values = {"name": "queued", "kind": "threshold", "signal": "queue_rows", "above": 10}
    rules = rules_of([{**values, "channels": ["first"], "group_wait": 0}], ("first",))
    told = Told()
    replica = Replica("r", memory(), rules, told, channels)
    for second in range(0, 601, 15):
        replica.tick(1.7e9 + second, m=99.0)
    times = [at - 1.7e9 for at, _, _, _ in told.lines]
    assert max(b - a for a, b in pairwise(times)) <= 75.0
    assert len(times) >= 9
