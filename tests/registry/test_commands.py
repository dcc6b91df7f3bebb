"""`tidegate publish` and `tidegate registry`, as a person and as a program use them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidegate.registry import Bundle

Make = Callable[..., Bundle]


def tidegate(*arguments: object, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tidegate.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def as_json(*arguments: object, status: int = 0) -> Any:
    return json.loads(tidegate(*arguments, "--json", status=status))


@pytest.fixture
def place(make: Make, tmp_path: Path) -> Path:
    tidegate("publish", make().path, "--alias", "champion", "-r", tmp_path / "registry")
    return tmp_path / "registry"


def test_publish(make: Make, tmp_path: Path) -> None:
    place, first = tmp_path / "registry", make()
    said = tidegate("publish", first.path, "-a", "champion", "--registry", place)
    assert "published m@1.0.0" in said
    assert first.digest in said
    assert "m@champion" in said
    second = make("1.1.0")
    assert as_json("publish", second.path, "-r", place) == {
        "alias": None,
        "digest": second.digest,
        "name": "m",
        "version": "1.1.0",
    }
    again = tidegate("publish", first.path, "-r", place, status=1)
    assert again.startswith("error: m@1.0.0 is published already")
    assert again.count("\n") == 1
    refused = as_json("publish", tmp_path / "absent", "-r", place, status=1)
    assert refused["kind"] == "NotFoundError"


def test_list(place: Path, tmp_path: Path) -> None:
    (head, row) = tidegate("registry", "list", "-r", place).strip().splitlines()
    assert head.split() == ["model", "version", "aliases", "digest", "published"]
    assert row.split()[:3] == ["m", "1.0.0", "champion"]
    (model,) = as_json("registry", "list", "-r", place)["models"]
    assert model["name"] == "m"
    assert model["aliases"] == {"champion": "1.0.0"}
    assert "no models" in tidegate("registry", "list", "-r", tmp_path / "absent")


def test_show(place: Path) -> None:
    said = tidegate("registry", "show", "m@champion", "-r", place)
    for expected in ("m@1.0.0", "metric auc", "lineage data.rows", "model.onnx", "champion"):
        assert expected in said
    shown = as_json("registry", "show", "m", "-r", place)
    assert shown["manifest"]["metrics"] == {"auc": 0.75}
    assert shown["aliases"] == ["champion"]
    missing = tidegate("registry", "show", "m@2.0.0", "-r", place, status=1)
    assert "it has 1.0.0" in missing


def test_verify(place: Path, make: Make) -> None:
    assert "registered digest" in tidegate("registry", "verify", "-r", place)
    assert "registered digest" in tidegate("registry", "verify", "m@champion", "-r", place)
    bare = tidegate("registry", "verify", make().path, "-r", place)
    assert "the manifest itself is unverified" in bare
    (model,) = (place / "bundles").glob("*/model.onnx")
    model.unlink()
    model.write_bytes(b"a modem")
    said = tidegate("registry", "verify", "-r", place, status=1)
    assert "model.onnx was changed" in said
    (outcome,) = as_json("registry", "verify", "-r", place, status=1)["bundles"]
    assert outcome["intact"] is False
    one = as_json("registry", "verify", "m", "-r", place, status=1)
    assert one["kind"] == "IntegrityError"
