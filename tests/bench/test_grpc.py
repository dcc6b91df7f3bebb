"""The gRPC suite without its programs; with them it is a run of its own: `tidegate bench`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.bench import grpc
from tidegate.bench.budgets import folder
from tidegate.errors import BackendError, MissingDependencyError


def test_without_cargo_it_is_not_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="cargo is not installed"):
        grpc.build(tmp_path)


def test_what_cannot_be_built_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="could not find"):
        grpc.build(tmp_path)


def test_its_programs_are_in_the_source_tree() -> None:
    place = folder()
    assert place is not None
    examples = {path.stem for path in (place / "rust" / "examples").glob("*.rs")}
    assert set(grpc.PROGRAMS) <= examples
