"""`tidegate config`: values, origins, the page of reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def run(
    folder: Path, *arguments: str, command: str = "config", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidegate.cli", command, *arguments],
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


def test_the_bounds_of_batching_are_flags(tmp_path: Path) -> None:
    for flags, message in [
        (("--objective", "soon"), "time 'soon'"),
        (("--set", "runtime.max_delay=0ms"), "max_delay is 0ns"),
        (("--set", "runtime.max_queue_bytes=0"), "max_queue_bytes is 0"),
        (("--set", "runtime.instances=100"), "give 1 to 64"),
    ]:
        done = run(tmp_path, *flags, "--port", "0", command="serve")
        assert done.returncode == 1, flags
        assert message in done.stderr
        assert "Traceback" not in done.stderr
