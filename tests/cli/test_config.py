"""`tidegate config`: values, origins, the page of reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidegate.cli", "config", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_values_and_origins(tmp_path: Path) -> None:
    (tmp_path / "tidegate.toml").write_text("[server]\nport = 1\ngrace = 2.5\n")
    done = run(tmp_path, "--json", "--set", "rates.caller=9/s", TIDEGATE_SERVER__PORT="2")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["server.port"] == {"value": 2, "origin": "TIDEGATE_SERVER__PORT"}
    assert found["server.grace"] == {"value": 2.5, "origin": "tidegate.toml"}
    assert found["rates.caller"] == {"value": "9/s", "origin": "--set"}
    assert found["server.limits.rows"]["origin"] == "default"
    table = run(tmp_path).stdout
    assert "server.grace" in table
    assert "tidegate.toml" in table


def test_a_mistake_is_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, TIDEGATE_SERVER__PROT="2")
    assert done.returncode == 1
    assert "did you mean TIDEGATE_SERVER__PORT?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_reference(tmp_path: Path) -> None:
    done = run(tmp_path, "--reference")
    assert "### [server]" in done.stdout
    assert "| `limits.body_bytes` | number | `67108864` |" in done.stdout
