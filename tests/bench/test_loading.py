"""The server of the suite `loading`: it answers while it loads."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from tidegate.bench.loading import Loader
from tidegate.demo.tiny import tiny_bundle
from tidegate.registry import Registry


def test_it_answers_while_it_loads(tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    Registry(registry).publish(tiny_bundle(tmp_path / "tiny"))
    loader = Loader(str(registry), "tiny@1.0.0")
    try:
        for _ in range(2):
            loader.begin()
            with urllib.request.urlopen(
                f"http://{loader.address()}/v2/models/tiny/ready", timeout=60
            ) as answer:
                assert answer.status == 200
            assert loader.end() >= 1
    finally:
        loader.close()
