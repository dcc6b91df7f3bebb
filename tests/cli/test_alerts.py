"""`tidegate alerts rules|dashboard` and `tidegate serve` with rules: from the file alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_config import run

FILE = """
[alerts.channels.ops]
kind = "slack"
url = "https://hooks.example.com/SECRET"

[[alerts.rules]]
name = "idle"
kind = "no_traffic"
channels = ["ops"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tidegate.toml").write_text(FILE)
    return tmp_path


def test_rules_for_people_programs_and_prometheus(folder: Path) -> None:
    shown = run(folder, "rules", command="alerts")
    assert shown.returncode == 0, shown.stderr
    assert "idle" in shown.stdout
    [rule] = json.loads(run(folder, "rules", "--json", command="alerts").stdout)
    assert (rule["name"], rule["channels"]) == ("idle", [["ops"]])
    out = run(folder, "rules", "--prometheus", "--out", "rules.yml", command="alerts")
    assert out.returncode == 0, out.stderr
    assert '- alert: "idle"' in (folder / "rules.yml").read_text()
    out = run(folder, "dashboard", command="alerts")
    assert json.loads(out.stdout)["title"] == "tidegate"


def test_settings_show_names_and_nothing_secret(folder: Path) -> None:
    shown = run(folder, "--json")
    assert "SECRET" not in shown.stdout
    found = json.loads(shown.stdout)
    assert found["alerts.channels"]["value"] == ["ops"]
    assert found["alerts.rules"]["value"] == ["idle"]
    assert "SECRET" not in run(folder).stdout


def test_a_wrong_rule_ends_the_server_with_one_sentence(folder: Path) -> None:
    (folder / "tidegate.toml").write_text(FILE.replace('kind = "no_traffic"', 'kind = "idle"'))
    done = run(folder, "--port", "0", command="serve")
    assert done.returncode == 1
    assert done.stderr.startswith("error: section [alerts]: rule 'idle': there is no kind 'idle'")
    (folder / "tidegate.toml").write_text(FILE.replace("https://hooks.example.com", "env:NONE"))
    done = run(folder, "--port", "0", command="serve")
    assert done.returncode == 1
    assert "channel 'ops': the environment has no variable" in done.stderr
    assert "SECRET" not in done.stderr.replace("NONE/SECRET", "")
