"""The peers as they are in the source tree; starting them needs their environments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tidegate.bench.budgets import read_budgets
from tidegate.bench.peers import install, peers_in
from tidegate.errors import ConfigurationError, TidegateError

PEERS = Path(__file__).parents[2] / "benches" / "peers"


def test_every_peer_is_complete() -> None:
    found = peers_in(PEERS)
    folders = [peer.folder for peer in found]
    assert {peer.name for peer in found} >= {"starlette_batcher", "granian", "mlserver", "triton"}
    assert [place for place in PEERS.iterdir() if place.is_dir() and place not in folders] == []
    for folder in folders:
        asked = (folder / "requirements.in").read_text().split()
        lock = (folder / "requirements.lock").read_text()
        for line in asked:
            name = re.split(r"[<>=\[]", line)[0].lower()
            assert f"{name}==" in lock.replace("_", "-"), line
        assert "--hash=sha256:" in lock
        assert "://" not in lock, "a lock names no index"


def test_every_peer_is_judged() -> None:
    goals = {goal.name for goal in read_budgets(PEERS.parent / "budgets.toml")}
    assert {f"http32_over_{peer.name}" for peer in peers_in(PEERS)} <= goals


def test_a_peer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    peer = tmp_path / "odd"
    peer.mkdir()
    for name in ("service.py", "requirements.lock"):
        (peer / name).touch()
    (peer / "peer.toml").write_text('pathh = "/"')
    with pytest.raises(ConfigurationError, match="odd"):
        peers_in(tmp_path)


def test_an_environment_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    peer = tmp_path / "peer"
    peer.mkdir()
    (peer / "requirements.lock").write_text("/nowhere/at-all.whl\n")
    with pytest.raises(TidegateError, match="environment of peer could not be made"):
        install(peer, tmp_path / "environments")
    assert not (tmp_path / "environments" / "peer" / "installed.lock").exists()
