"""`tidegate report` on a live server: one file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.test_drift import ROWS, tidegate

from tidegate.demo.tiny import tiny_bundle
from tidegate.monitoring.alerts import Alerts
from tidegate.monitoring.alerts.watch import Watch
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    rule = {"name": "idle", "kind": "no_traffic"}
    storage = str(tmp_path_factory.mktemp("alerts"))
    with Runtime() as runtime:
        runtime.deploy(tiny_bundle())
        watch = Watch(Alerts(storage=storage, rules=(rule,)), runtime)
        with Server(runtime, Settings(port=0), watch=watch) as server:
            yield server.url


def test_one_file_holds_what_is_known(url: str, tmp_path: Path) -> None:
    tidegate("predict", "tiny", "--url", url, rows=ROWS)
    out = tmp_path / "report.html"
    said = tidegate("report", "--url", url, "--out", str(out), "--title", "Ours", "--json")
    assert json.loads(said) == {"file": str(out), "models": ["tiny"]}
    page = out.read_text()
    for part in ("<h1>Ours</h1>", "tiny 1.0.0", "Feature by feature", "Latency by stage", "colour"):
        assert part in page
    assert "None is on record" in page


def test_a_model_that_is_not_served_is_named(url: str) -> None:
    command = [sys.executable, "-m", "tidegate.cli", "report", "tinny", "--url", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "model 'tinny' is not served: the models are tiny" in done.stderr
