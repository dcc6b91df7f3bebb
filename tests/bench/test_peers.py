"""The peers as they are in the source tree; starting them needs their environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.bench.peers import install, peers_in
from tidegate.errors import TidegateError

PEERS = Path(__file__).parents[2] / "benches" / "peers"


def test_every_peer_is_complete() -> None:
    found = peers_in(PEERS)
    assert {peer.name for peer in found} >= {"starlette_batcher", "granian"}
    assert [folder for folder in PEERS.iterdir() if folder.is_dir() and folder not in found] == []
    for peer in found:
        asked = (peer / "requirements.in").read_text().split()
        lock = (peer / "requirements.lock").read_text()
        for line in asked:
            assert f"{line.split('<')[0].split('>')[0].lower()}==" in lock.replace("_", "-"), line
        assert "--hash=sha256:" in lock
        assert "://" not in lock, "a lock names no index"


def test_an_environment_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    peer = tmp_path / "peer"
    peer.mkdir()
    (peer / "requirements.lock").write_text("/nowhere/at-all.whl\n")
    with pytest.raises(TidegateError, match="environment of peer could not be made"):
        install(peer, tmp_path / "environments")
    assert not (tmp_path / "environments" / "peer" / "installed.lock").exists()
