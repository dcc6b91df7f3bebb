"""The peers as they are in the source tree; starting them needs their environments."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.bench import Plan, context, run, validation, watching
from tidegate.bench.budgets import read_budgets
from tidegate.bench.peers import install, peers_in
from tidegate.bench.report import peer_rows
from tidegate.bench.subjects import Subject, build_trees
from tidegate.errors import ConfigurationError, InputError, TidegateError

PEERS = Path(__file__).parents[2] / "benches" / "peers"


def test_every_peer_is_complete() -> None:
    found = peers_in(PEERS)
    folders = [peer.folder for peer in found]
    assert {peer.name for peer in found} >= {"starlette", "starlette_batcher", "granian", "triton"}
    # Those of validation are no servers: they take turns over a table.
    others = [PEERS / name for name in validation.PEERS]
    assert all((folder / "validate.py").is_file() for folder in others)
    watchers = [PEERS / name for name in watching.PEERS]
    assert all((folder / "watch.py").is_file() for folder in watchers)
    known = [*folders, *others, *watchers]
    # A rule to simulate is one file of the standard library, and needs no environment.
    rules = [path.parent for path in PEERS.glob("*/rule.py")]
    places = [place for place in PEERS.iterdir() if place.is_dir() and place.name[0] != "_"]
    assert [place for place in places if place not in [*known, *rules]] == []
    for folder in known:
        asked = (folder / "requirements.in").read_text().split()
        lock = (folder / "requirements.lock").read_text()
        for line in asked:
            name = re.split(r"[<>=\[]", line)[0].lower()
            assert f"{name}==" in lock.replace("_", "-"), line
        assert "--hash=sha256:" in lock
        assert "://" not in lock, "a lock names no index"


def test_every_peer_is_judged() -> None:
    goals = {goal.name for goal in read_budgets(PEERS.parent / "budgets.toml")}
    served = [peer.name for peer in peers_in(PEERS) if "trees" in peer.subjects]
    assert {f"http32_over_{name}" for name in served} <= goals
    assert {f"validation_over_{name}" for name in validation.PEERS} <= goals
    turns = watching.PEERS.items()
    assert {f"{task}_over_{name}" for name, tasks in turns for task in tasks} <= goals


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


SERVICE = """
import base64, http.server, json, pathlib, sys

cases = json.loads((pathlib.Path(sys.argv[1]).parent / "trees.json").read_text())
due = {base64.b64decode(b): e for b, e in zip(cases["bodies"], cases["expected"])}
# The flights stand in a folder of that name, and come with their features.
raw = pathlib.Path(sys.argv[1]).parent.name == "flights"
wrong = "--wrong" in sys.argv or raw != ("--features" in sys.argv)

class Peer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({"ready": self.path == "/up"})

    def do_POST(self):
        numbers = due[self.rfile.read(int(self.headers["Content-Length"]))]
        self.answer({"path": self.path, "made": [0.5, 0.5] if wrong else numbers})

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Peer).serve_forever()
"""
"""Answers what is expected, without a package: its lock is empty."""


def stand_in(folder: Path) -> Subject:
    place = folder / "flights"
    place.mkdir()
    trees = build_trees(place)
    return replace(trees, features=place / "features.json")


@pytest.mark.slow
def test_a_peer_is_measured_at_its_best(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    benches = tmp_path / "benches"
    for name, subjects, settings in (
        ("right", "trees flights", '"right" = []\n"wrong" = ["--wrong"]'),
        ("wrong", "trees", '"wrong" = ["--wrong"]'),
    ):
        peer = benches / "peers" / name
        peer.mkdir(parents=True)
        (peer / "service.py").write_text(SERVICE)
        (peer / "requirements.in").touch()
        (peer / "requirements.lock").touch()
        (peer / "peer.toml").write_text(
            f'path = "/ask/{{model}}"\nready = "/up"\nanswer = [\'"made"\']\n'
            f"subjects = {subjects.split()}\n[settings]\n{settings}"
        )
    (benches / "budgets.toml").touch()
    monkeypatch.setenv("TIDEGATE_BENCHES", str(benches))
    # The trees stand in for the flights, and bring a file of features.
    monkeypatch.setattr(context, "build_flights", stand_in)
    results = run(Plan(seconds=0.3, repetitions=2, connections=(1, 4)), suites=["peers"])
    assert results.peers["right"]["trees"]["best"] == "right"
    assert results.peers["right"]["flights"]["name"] == "right, right, trees"
    assert results.figures["http32_over_right"].count == 2
    assert results.figures["flights_over_right"].count == 2
    (row,) = peer_rows(results, "flights")
    assert row[:2] == ("right", "right")
    assert [row[0] for row in peer_rows(results, "trees")] == ["right", "wrong"]
    assert results.http["right, right"][4]["rate"] > 0
    assert results.memory_mb["right, right"] > 1
    # Each is named, with what it said.
    assert "wrong answers of right, wrong" in results.not_measured["right, wrong"]
    assert "0.5" in results.not_measured["wrong, wrong"]
    assert "http32_over_wrong" not in results.figures
    assert results.http["tidegate, trees"][1]["rate"] > 0
    with pytest.raises(InputError, match="take one of right, wrong"):
        run(Plan(peers=["tea"]), suites=["peers"])
    with pytest.raises(InputError, match="no subject 'tea'"):
        run(Plan(subjects=["tea"]), suites=["peers"])
