"""The README's examples run as they are written."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(name: str) -> str:
    found = re.search(rf"<!-- run: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no example {name}"
    return found[1]


def commands(name: str) -> list[str]:
    return [line.removeprefix("$ ") for line in block(name).splitlines() if line.startswith("$ ")]


def environment() -> dict[str, str]:
    """Where `tidegate` is the program of this environment."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the embedded example has left its registry."""
    place = tmp_path_factory.mktemp("readme")
    (place / "example.py").write_text(block("embedded"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 {"), done.stdout
    return place


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """The server example's first command, on a port of its own."""
    words = shlex.split(commands("server")[0])
    words[words.index("--port") + 1] = "0"
    ready = folder / "address"
    process = subprocess.Popen(
        [*words, "--address-file", str(ready)], cwd=folder, env=environment(), text=True
    )
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            if ready.exists() and ready.read_text().strip():
                break
            time.sleep(0.05)
        assert process.poll() is None
        yield ready.read_text().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_embedded(folder: Path) -> None:
    assert (folder / "registry").is_dir()


def test_server(server: str, folder: Path) -> None:
    with urllib.request.urlopen(f"{server}/v2/health/ready", timeout=60) as reply:
        assert reply.status == 200
    for command in commands("server")[1:]:
        if (
            command.startswith("curl")
            and subprocess.run(["which", "curl"], capture_output=True, check=False).returncode
        ):
            continue
        done = subprocess.run(
            shlex.split(command.replace("http://127.0.0.1:8080", server)),
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "error" not in done.stdout


def test_bench_is_there() -> None:
    done = subprocess.run(
        shlex.split(commands("bench")[0]), env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 0


def test_every_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"`?make ([a-z-]+)", (ROOT / page).read_text()):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page}: make {target}"


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"
