"""Small bundles, and registries to publish them in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidegate.registry import BuildOptions, Bundle, Registry

Make = Callable[..., Bundle]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Builds bundles without a feature set; their bytes need not be a model here."""
    made = 0

    def build(version: str = "1.0.0", *, name: str = "m", model: bytes = b"a model") -> Bundle:
        nonlocal made
        made += 1
        options = BuildOptions(
            metrics={"auc": 0.75},
            lineage={"data": {"rows": 100}},
            created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )
        directory = tmp_path / f"bundle-{made}"
        return Bundle.build(name, version, model=model, options=options, directory=directory)

    return build


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")
