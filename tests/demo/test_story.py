"""The demonstration itself, shortened: one run whole, one without September."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tidegate.demo.steps import MARKER, prepare_folder
from tidegate.errors import InputError

ROWS = 1500
MONTHS = ["2013-07", "2013-08", "2013-09", "2013-10", "2013-11", "2013-12"]


def demo(folder: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tidegate.cli", "demo", "--json"),
            *("--directory", str(folder), "--rows-per-month", str(ROWS)),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return demo(tmp_path_factory.mktemp("whole") / "demo", "--load-seconds", "0.3")


@pytest.fixture(scope="module")
def without_september(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("part") / "demo"
    return demo(folder, "--load-seconds", "0", "--months", "7,8,10-12")


def test_the_loop_is_closed(whole: dict[str, Any]) -> None:
    assert whole["without_arrival"] == 9_430
    assert whole["training_rows"] == 6 * ROWS
    assert whole["trees"] == 200
    assert whole["digest"].startswith("sha256:")
    assert whole["compared"] == 100
    assert [month["label"] for month in whole["months"]] == MONTHS
    assert {month["rows"] for month in whole["months"]} == {ROWS}


def test_the_drift_is_the_real_one(whole: dict[str, Any]) -> None:
    by_label = {month["label"]: month for month in whole["months"]}
    assert by_label["2013-09"]["late_rate"] < 0.17
    assert by_label["2013-12"]["late_rate"] > 0.29
    assert by_label["2013-07"]["auc"] > by_label["2013-10"]["auc"] > 0.6
    for month in whole["months"]:
        assert 0.1 < month["predicted"] < 0.5
        names = [name for name, _ in month["drifted"]]
        assert "temp" in names or "visib" in names or "humid" in names or "pressure" in names
        assert "scheduled_departure" not in names


def test_alarms_and_quality_month_by_month(whole: dict[str, Any]) -> None:
    seen = {month["label"]: month["seen"] for month in whole["months"]}
    assert "temp" in dict(seen["2013-07"]["alarms"])
    for month in whole["months"]:
        found = month["seen"]
        assert all(moved > 0.1 for _, moved in found["alarms"])
        # The mean of a month follows from two readings of the total.
        assert 0.6 < found["labelled"]["accuracy"] < 0.95
        assert 0.6 < found["estimated"]["accuracy"] < 0.95
        assert 0.05 < found["labelled"]["brier"] < 0.25
    # Labels come a month late: those of July are there when September begins.
    labels = [month["seen"]["estimated_with_labels"] for month in whole["months"]]
    assert labels == [0, 0, ROWS, 2 * ROWS, 3 * ROWS, 4 * ROWS]
    # What the probabilities promise does not know of the delays of December.
    december = seen["2013-12"]
    assert december["labelled"]["accuracy"] < december["estimated"]["accuracy"]


def test_every_answer_under_load_was_right(whole: dict[str, Any]) -> None:
    assert [run["connections"] for run in whole["load"]] == [1, 32]
    for run in whole["load"]:
        assert run["errors"] == 0
        assert run["requests"] > 100
        assert 0 < run["p50_us"] <= run["p99_us"]


def test_what_is_left_behind(whole: dict[str, Any]) -> None:
    from tidegate.registry import Registry

    registry = Registry(whole["registry"])
    assert registry.resolve("flight-delay@champion").digest == whole["digest"]
    registry.verify("flight-delay@1.0.0")
    page = Path(whole["report"]).read_text()
    assert all(label in page for label in MONTHS)
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert json.loads((Path(whole["report"]).parent / MARKER).read_text())["digest"]


def test_the_server_is_stopped(whole: dict[str, Any]) -> None:
    host, port = whole["address"].removeprefix("http://").split(":")
    assert whole["pid"] is None
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0


def test_a_month_left_out_changes_table_and_picture(
    whole: dict[str, Any], without_september: dict[str, Any]
) -> None:
    assert [month["label"] for month in without_september["months"]] == [
        label for label in MONTHS if label != "2013-09"
    ]
    # The same model and the same rows; means are merged in the order in which rows were counted.
    kept = [month for month in whole["months"] if month["label"] != "2013-09"]
    for month, same in zip(without_september["months"], kept, strict=True):
        assert month["drifted"] == same["drifted"]
        assert month["predicted"] == pytest.approx(same["predicted"], rel=1e-12)
        assert month["auc"] == same["auc"]
    page, other = (Path(each["report"]).read_text() for each in (whole, without_september))
    assert "2013-09" in page
    assert "2013-09" not in other


def test_serve_leaves_the_server_running(tmp_path: Path) -> None:
    outcome = demo(tmp_path / "demo", "--serve", "--months", "7", "--load-seconds", "0")
    try:
        with urllib.request.urlopen(f"{outcome['address']}/v2/health/ready", timeout=60) as reply:
            assert reply.status == 200
    finally:
        os.kill(outcome["pid"], 15)


def test_ended_from_outside_it_stops_its_server(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tidegate.cli", "demo", "--json", "--load-seconds", "60"),
            *("--directory", str(folder), "--rows-per-month", str(ROWS), "--months", "7"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = folder / "server.address"
    until = time.monotonic() + 120
    while not address.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    host, port = address.read_text().strip().removeprefix("http://").split(":")
    process.terminate()
    assert process.wait(60) == 128 + 15
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="--directory"):
        prepare_folder(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_a_demo_can_be_run_again(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "demo")
    (tmp_path / "demo" / "registry").mkdir()
    prepare_folder(tmp_path / "demo")
    assert [path.name for path in (tmp_path / "demo").iterdir()] == [MARKER]
