"""The test that a rollout asks for: refuses with a sentence, keeps the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.check.conftest import Make, holdout

from tidegate.check import CheckReport, before_rollout
from tidegate.registry import Registry, Requirements
from tidegate.registry.records import VersionRecord


@pytest.fixture
def registry(make: Make, tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "registry")
    table = tmp_path / "holdout.parquet"
    holdout(1_000).write_parquet(table)
    wanted = Requirements(holdout=str(table), label="label")
    registry.publish(make("1.0.0"))
    registry.publish(make("1.1.0"))
    registry.publish(make("1.2.0", shuffled=True, requirements=wanted))
    return registry


def version(registry: Registry, number: str) -> VersionRecord:
    return registry.resolve(f"tiny@{number}")


def test_what_is_good_may_go_on(registry: Registry) -> None:
    check = before_rollout(registry)
    candidate = version(registry, "1.1.0")
    assert check("tiny", version(registry, "1.0.0"), candidate) is None
    (report,) = CheckReport.stored(registry, candidate.digest)
    assert report.champion == "tiny@1.0.0"


def test_the_bundles_own_holdout_is_asked(registry: Registry) -> None:
    candidate = version(registry, "1.2.0")
    said = before_rollout(registry)("tiny", version(registry, "1.0.0"), candidate)
    assert said is not None
    assert "quality: worse than tiny@1.0.0" in said
    (report,) = CheckReport.stored(registry, candidate.digest)
    assert report["quality"].outcome == "fail"


@pytest.mark.usefixtures("registry")
def test_a_registry_that_nobody_may_write_to(tmp_path: Path) -> None:
    only = Registry(tmp_path / "registry", read_only=True)
    check = before_rollout(only, model="tiny")
    assert check("served-name", version(only, "1.0.0"), version(only, "1.1.0")) is None
    assert CheckReport.stored(only, version(only, "1.1.0").digest) == ()
