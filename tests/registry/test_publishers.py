"""Publishers that meet and publishers that die: readers see all of a bundle or nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidegate.registry import Bundle, Registry

Make = Callable[..., Bundle]
PUBLISHER = Path(__file__).parent / "publisher.py"

PUBLISHERS = 6
ROUNDS = 4
KILLS = 100


def run(command: str, *arguments: object) -> Any:
    done = subprocess.run(
        [sys.executable, str(PUBLISHER), command, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_of_concurrent_publishers_exactly_one_wins(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    for round_number in range(ROUNDS):
        version = f"1.{round_number}.0"
        # Half of them publish the very same bundle, which must not count as one's own success.
        models = [b"same", b"same", b"same", b"x", b"y", b"z"]
        bundles = [make(version, model=models[index]) for index in range(PUBLISHERS)]
        start = time.time() + 1.0
        processes = [
            subprocess.Popen(
                [sys.executable, str(PUBLISHER), "race", root, bundle.path, str(start)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for bundle in bundles
        ]
        outcomes = [json.loads(process.communicate()[0]) for process in processes]
        winners = [outcome for outcome in outcomes if outcome.get("won")]
        assert len(winners) == 1, outcomes
        assert sum(outcome.get("won") is False for outcome in outcomes) == PUBLISHERS - 1, outcomes
        registry = Registry(root)
        assert registry.resolve(f"m@{version}").digest == winners[0]["digest"]
        registry.verify(f"m@{version}")


def test_a_publish_killed_at_any_step_is_all_or_nothing(make: Make, tmp_path: Path) -> None:
    outcomes = run("every-step", tmp_path / "registries", make(model=b"m" * 10_000).path)
    # Four files and the record and the alias, each with its steps.
    assert len(outcomes) > 25
    visible = list(outcomes.values())
    commit = visible.index(True)
    assert not any(visible[:commit])
    assert all(visible[commit:])
    assert list(outcomes)[commit].endswith("1.0.0.json: linked")


@pytest.mark.slow
def test_a_publish_killed_at_random_instants(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    found = run("random-instants", root, make(model=b"m" * 1_000_000).path, KILLS, 20_260)
    assert found["killed"] == KILLS, found
    assert found["reads"] > 0
