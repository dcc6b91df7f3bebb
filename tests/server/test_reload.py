"""SIGHUP, and replacing versions while requests come in."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
from tests.server.test_life import serving

from tidegate.demo.tiny import tiny_bundle
from tidegate.registry import Bundle, Registry
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings
from tidegate.server.keyring import Keyring

PREDICT = "/v1/models/tiny:predict"
INSTANCES = {"instances": [{"x": 0.5, "colour": "red"}]}


@pytest.fixture
def registry(bundle: Bundle, tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "registry")
    registry.publish(bundle, alias="champion")
    registry.publish(tiny_bundle(tmp_path / "second", version="2.0.0"))
    return registry


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"the server ended before it said {text!r}")


def test_sighup_takes_keys_rates_and_aliases(registry: Registry, tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys.json")
    headers = {"authorization": f"Bearer {keyring.new('ci', ['predictor'])}"}
    config = tmp_path / "tidegate.toml"
    config.write_text(f"[access]\nkeys = '{keyring.file}'\n")
    options = ("--config", str(config))
    with serving(Path(registry.location), tmp_path, *options) as (process, url):

        def ask() -> httpx.Response:
            return httpx.post(f"{url}{PREDICT}", json=INSTANCES, headers=headers)

        assert ask().json()["model_version"] == "1.0.0"
        registry.alias("tiny", "champion", version="2.0.0")
        config.write_text(f"{config.read_text()}[rates]\ncaller = '2/h'\n[server]\ngrace = 7\n")
        process.send_signal(signal.SIGHUP)
        wait_for(process, "server.grace takes a restart")
        wait_for(process, "reloaded")
        assert ask().json()["model_version"] == "2.0.0"
        assert ask().headers["ratelimit-remaining"] == "0"
        assert ask().status_code == 429
        # What is wrong changes nothing, and serving goes on.
        config.write_text("[acess]\n")
        process.send_signal(signal.SIGHUP)
        wait_for(process, "nothing is reloaded")
        assert ask().status_code == 429
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_log_that_nobody_reads_stops_nothing(registry: Registry, tmp_path: Path) -> None:
    with serving(Path(registry.location), tmp_path) as (process, url):
        assert process.stderr is not None
        process.stderr.close()
        process.stderr = None
        for version in ("2.0.0", "1.0.0"):
            registry.alias("tiny", "champion", version=version)
            process.send_signal(signal.SIGHUP)
            until = time.monotonic() + 30
            while httpx.post(f"{url}{PREDICT}", json=INSTANCES).json()["model_version"] != version:
                assert time.monotonic() < until
                time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_versions_are_replaced_under_load(registry: Registry) -> None:
    """No request fails; each is answered by the version in force when it came, or a later one."""
    deployed = [("1.0.0", 1)]
    stop = threading.Event()
    answers: list[tuple[int, int, str, int]] = []
    failures: list[str] = []

    with Runtime(registry) as runtime, Server(runtime, Settings(port=0)) as server:
        runtime.deploy("tiny@1.0.0")

        def load() -> None:
            with httpx.Client(base_url=server.url, timeout=60) as client:
                while not stop.is_set():
                    before = len(deployed)
                    reply = client.post(PREDICT, json=INSTANCES)
                    after = len(deployed)
                    if reply.status_code != 200:
                        failures.append(reply.text)
                        return
                    answer = reply.json()
                    answers.append(
                        (before, after, answer["model_version"], int(answer["revision"]))
                    )

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in range(12):
                # Requests come in between two replacements.
                seen = len(answers)
                until = time.monotonic() + 60
                while len(answers) < seen + 8 and not failures:
                    assert time.monotonic() < until
                    time.sleep(0.01)
                version = ("2.0.0", "1.0.0")[number % 2]
                deployment = runtime.deploy(f"tiny@{version}")
                deployed.append((version, deployment.revision))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert failures == []
    versions = {revision: version for version, revision in deployed}
    assert {version for _, _, version, _ in answers} == {"1.0.0", "2.0.0"}
    for before, after, version, revision in answers:
        assert versions[revision] == version
        # At the earliest what was in force before it was sent; the latest may have been in force
        # for a moment before it was written down here.
        assert deployed[before - 1][1] <= revision <= deployed[min(after, len(deployed) - 1)][1]


def test_refresh_replaces_what_has_moved_only(registry: Registry) -> None:
    with Runtime(registry) as runtime:
        runtime.deploy("tiny@champion")
        runtime.deploy("tiny@1.0.0", name="fixed")
        runtime.deploy("tiny", name="newest")
        assert runtime.refresh() == []
        registry.alias("tiny", "champion", version="2.0.0")
        (changed,) = runtime.refresh()
        assert (changed.name, changed.version, changed.revision) == ("tiny", "2.0.0", 2)
        assert runtime.refresh() == []
        runtime.unload("tiny")
        registry.alias("tiny", "champion", version="1.0.0")
        assert runtime.refresh() == []
        assert {d.name: d.version for d in runtime.deployments()} == {
            "fixed": "1.0.0",
            "newest": "2.0.0",
        }
