"""`tidegate keys`: a key is shown once, listed without its secret, and revoked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidegate.cli", "keys", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_key_from_new_to_revoked(tmp_path: Path) -> None:
    done = run(tmp_path, "new", "ci", "--models", "flight-*", "--models", "tiny", "--days", "2")
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    assert key.startswith("tg_")
    assert key not in (tmp_path / "keys.json").read_text()
    listed = json.loads(run(tmp_path, "list", "--json").stdout)["keys"]
    assert [entry["name"] for entry in listed] == ["ci"]
    assert listed[0]["grants"] == ["predictor:flight-*", "predictor:tiny"]
    assert "predictor:tiny" in run(tmp_path, "list").stdout
    again = run(tmp_path, "new", "ci")
    assert again.returncode == 1
    assert "there is a key 'ci' already" in again.stderr
    assert run(tmp_path, "revoke", "ci").returncode == 0
    assert run(tmp_path, "revoke", "ci").returncode == 1
    wrong = run(tmp_path, "new", "x", "--role", "emperor")
    assert wrong.returncode == 1
    assert "viewer, predictor, operator or admin" in wrong.stderr
