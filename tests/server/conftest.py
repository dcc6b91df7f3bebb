"""A runtime with the tiny bundle, and a server on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.demo.tiny import tiny_bundle
from tidegate.registry import Bundle, Registry
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def registry_folder(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    Registry(folder).publish(bundle, alias="champion")
    return folder


@pytest.fixture
def runtime(registry_folder: Path) -> Iterator[Runtime]:
    with Runtime(registry_folder) as runtime:
        runtime.deploy("tiny@champion")
        yield runtime


@pytest.fixture
def server(runtime: Runtime) -> Iterator[Server]:
    with Server(runtime, Settings(port=0, echo=True)) as server:
        yield server


ROW = {"x": 1.25, "colour": "red", "at": "2024-03-01T10:00:00Z"}
