from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.demo.tiny import tiny_bundle
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

ROWS = "\n".join(json.dumps({"x": i / 10, "colour": "red"}) for i in range(60))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Runtime() as runtime:
        runtime.deploy(tiny_bundle())
        with Server(runtime, Settings(port=0)) as server:
            yield server.url


def tidegate(*arguments: str, rows: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tidegate.cli", *arguments],
        input=rows,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rows_asked_for_are_seen(url: str, tmp_path: Path) -> None:
    shown = tidegate("predict", "tiny", "--url", url, rows=ROWS)
    assert "tiny 1.0.0" in shown
    assert "10 more rows" in shown
    answer = json.loads(tidegate("predict", "tiny", "--url", url, "--json", rows=ROWS))
    assert len(answer["predictions"]) == 60

    page = tmp_path / "drift.html"
    text = tidegate("drift", "tiny", "--url", url, "--close", "one", "--html", str(page))
    assert "window 'one', closed, 120 rows" in text
    assert "colour" in text
    assert "one" in page.read_text()

    report = json.loads(tidegate("drift", "tiny", "--url", url, "--json"))
    assert [window["label"] for window in report["windows"] if window["rows"]] == ["one"]
    columns = {column["name"]: column for column in report["windows"][0]["columns"]}
    assert columns["colour"]["psi"] > 1.0


def test_predictions_stand_first(url: str) -> None:
    tidegate("predict", "tiny", "--url", url, rows=ROWS)
    shown = tidegate("drift", "tiny", "--url", url, "--top", "1")
    distances, _, alarms = shown.partition("Alarms:")
    assert "prediction" in distances.strip().splitlines()[-1]
    # All rows of the closed window are red.
    assert "colour" in alarms
    assert "feature" in alarms


def test_the_models_name_is_checked(url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidegate.cli", "drift", "nobody", "--url", url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "nobody" in done.stderr


def test_one_segment_and_all_side_by_side() -> None:
    mixed = "\n".join(
        json.dumps({"x": i / 10, "colour": ["red", "blue"][i % 2]}) for i in range(60)
    )
    with Runtime() as runtime:
        runtime.deploy(tiny_bundle(), segment="colour")
        with Server(runtime, Settings(port=0)) as server:
            tidegate("predict", "tiny", "--url", server.url, rows=mixed)
            red = tidegate("drift", "tiny", "--url", server.url, "--segment", "red")
            both = tidegate("drift", "tiny", "--url", server.url)
    assert "colour = red" in red
    assert "30 rows" in red
    assert "By colour, against all rows" in both
    assert "blue" in both
