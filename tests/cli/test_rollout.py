"""`tidegate rollout` and `tidegate rollback`: on a store, and against a server process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.check.conftest import trained
from tests.cli.running import run

from tidegate.demo.tiny import tiny_bundle
from tidegate.registry import Registry, Requirements


@dataclass
class Place:
    """A registry with three versions, of which the first is the champion."""

    folder: Path

    def __call__(self, *arguments: object, status: int = 0) -> str:
        return run(*arguments, status=status)

    def store(self, verb: str, *arguments: object, status: int = 0) -> str:
        """A command of `tidegate rollout` straight on the store."""
        return self("rollout", verb, *arguments, "--store", self.folder, status=status)

    def json(self, verb: str, *arguments: object, status: int = 0) -> Any:
        return json.loads(self.store(verb, *arguments, "--json", status=status))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        tiny_bundle(folder / version, version=version)
    return folder


@pytest.fixture
def place(published: Path, tmp_path: Path) -> Place:
    registry = Registry(tmp_path / "registry")
    for bundle in sorted(published.iterdir()):
        registry.publish(bundle)
    registry.alias("tiny", "champion", version="1.0.0")
    return Place(tmp_path / "registry")


def test_a_rollout_from_start_to_promotion(place: Place) -> None:
    said = place.store("start", "tiny", "1.1.0", "--steps", "10,50", "-m", "better on July")
    assert "tiny revision 2: start, 1.0.0 90 %, 1.1.0 10 %" in said
    shown = place.store("status", "tiny")
    assert "better on July" in shown
    assert "rollout r2, canary: progressing, step 1 of 2" in shown
    assert "0 of 500 requests" in shown
    found = place.json("status", "tiny")
    assert [(arm["version"], arm["percent"]) for arm in found["arms"]] == [
        ("1.0.0", 90.0),
        ("1.1.0", 10.0),
    ]
    assert {gate["outcome"] for gate in found["rollout"]["gates"]} == {"not_enough"}
    assert place.json("pause", "tiny", "-m", "a look")["rollout"]["phase"] == "paused"
    assert place.json("resume", "tiny")["rollout"]["phase"] == "progressing"
    promoted = place.json("promote", "tiny", "-m", "enough")
    assert promoted["rollout"]["phase"] == "promoted"
    assert [arm["version"] for arm in promoted["arms"]] == ["1.1.0"]
    history = place.store("history", "tiny")
    assert history.index("promote") < history.index("resume") < history.index("start")
    assert "5 revisions are one chain" in place.store("verify", "tiny")
    assert len(place.json("history", "tiny", "--limit", 2)["revisions"]) == 2
    # The test before the start is kept beside the bundle.
    shown = place("registry", "show", "tiny@1.1.0", "-r", place.folder)
    assert "tiny@1.1.0 against tiny@1.0.0 passes" in shown


def test_rollback_needs_a_reason_and_nothing_else(place: Place) -> None:
    place.store("start", "tiny", "1.1.0", "--skip-check", "a test of rollback")
    back = ("rollback", "tiny", "--store", place.folder)
    assert "tiny revision 3: abort, 1.0.0 100 %" in place(*back, "-m", "complaints")
    place.store("start", "tiny", "1.1.0", "--blue-green", "--skip-check", "the same")
    place.store("promote", "tiny")
    assert "undo, 1.0.0 100 %" in place(*back, "-m", "complaints again")
    reasons = [each["reason"] for each in place.json("history", "tiny")["revisions"]]
    assert reasons[0] == "complaints again"
    assert "not tested: a test of rollback" in reasons
    empty = place(*back, "-m", "", status=1)
    assert "a rollback needs a reason: say why" in empty


def test_a_candidate_that_fails_its_test_is_refused(place: Place, tmp_path: Path) -> None:
    greedy, _ = trained(tmp_path / "b", "2.0.0", requirements=Requirements(memory=1_000))
    Registry(place.folder).publish(greedy)
    said = place.store("start", "tiny", "2.0.0", status=1)
    assert "has not passed its test, and is not rolled out" in said
    assert place.json("history", "tiny")["revisions"][0]["arms"][0]["version"] == "1.0.0"


def test_a_plan_in_a_file(place: Place, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'deployment = "tiny"\ncandidate = "1.1.0"\nreason = "from git"\n'
        '[strategy]\nkind = "shadow"\nshare = 50\n'
        '[strategy.then]\nkind = "canary"\nsteps = [{ percent = 20 }]\n'
    )
    said = place.store("start", "-f", plan, "--skip-check", "a test")
    assert "1.0.0 100 %, 50 % copied to 1.1.0" in said
    assert "from git" in place.store("history", "tiny")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('deployment = "tiny"\ncandidate = "1.1.0"\nstrategie = 1\n')
    assert "wrong.toml: there is no key 'strategie'" in place.store("start", "-f", wrong, status=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("start", "tiny", "7.0.0"), "has no version '7.0.0'"),
        (("start", "tiny", "1.0.0"), "is the stable one already"),
        (("start", "tiny"), "say the deployment and its new version"),
        (("start", "tiny", "1.1.0", "--steps", "a,b"), "--steps a,b: give percents"),
        (("start", "tiny", "1.1.0", "--steps", "50,10"), "make each larger than the one before"),
        (("start", "tiny", "1.1.0", "--blue-green", "--shadow"), "--blue-green moves all at once"),
        (("start", "tiny", "1.1.0", "--skip-check", " "), "--skip-check needs a reason"),
        (("start", "-f", "absent.toml"), "plan absent.toml cannot be read"),
        (("start", "tiny", "1.1.0", "-f", "absent.toml"), "leave out version"),
        (("pause", "tiny"), "has no revision, and nothing to pause"),
        (("undo", "tiny"), "has no revision, and nothing to undo"),
        (("status", "tiny"), "has no revision in"),
        (("history", "tiny"), "has no revision in"),
        (("verify", "tiny"), "has no revision in"),
        (("watch", "tiny", "--every", "1us"), "--every 1us: use 50ms to 1h"),
    ],
)
def test_what_is_wrong(place: Place, arguments: tuple[str, ...], said: str) -> None:
    answer = place.store(*arguments, status=1)
    assert said in answer
    assert answer.startswith("error: ")
    assert answer.count("\n") == 1
    failed = place.json(*arguments, status=1)
    assert said in failed["error"]


def test_two_rollouts_at_once_and_a_promotion_too_late(place: Place) -> None:
    place.store("start", "tiny", "1.1.0", "--skip-check", "a test")
    second = place.store("start", "tiny", "1.2.0", "--skip-check", "a test", status=1)
    assert "rollout r2 of 1.1.0 of deployment 'tiny' is progressing" in second
    place.store("abort", "tiny")
    late = place.store("promote", "tiny", status=1)
    assert "rollout r2 of 1.1.0 was aborted" in late


def test_a_history_that_was_edited(place: Place) -> None:
    place.store("start", "tiny", "1.1.0", "--skip-check", "a test")
    first = place.folder / "deployments" / "tiny" / "revisions" / "000000000001.json"
    text = first.read_text()
    first.unlink()
    first.write_text(text.replace('"reason":"what was served', '"reason":"What was served'))
    assert "revision 1" in place.store("verify", "tiny", status=1)


def test_watching(place: Place) -> None:
    place.store("start", "tiny", "1.1.0", "--skip-check", "a test")
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "tidegate.cli", "rollout", "watch", "tiny"),
            *("--every", "100ms", "--json", "--store", str(place.folder)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        assert first["rollout"]["phase"] == "progressing"
        place.store("abort", "tiny", "-m", "seen enough")
        last = [json.loads(line) for line in watching.stdout][-1]
        assert watching.wait(60) == 1
    assert last["rollout"]["phase"] == "aborted"
    assert last["reason"] == "seen enough"
    # What has ended is shown once; for people with its bars.
    ended = place.store("watch", "tiny", status=1)
    assert "aborted" in ended
    assert "█" in ended
    place.store("start", "tiny", "1.1.0", "--skip-check", "a test")
    timed = place.store("watch", "tiny", "--every", "100ms", "--for", "300ms", status=1)
    assert "is progressing after 300ms: it goes on unwatched" in timed
