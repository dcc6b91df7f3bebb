"""`tidegate check` and `tidegate registry sign`, as a person and as a program use them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import run as tidegate

from tidegate.demo.tiny import tiny_bundle, tiny_table
from tidegate.registry import Registry


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a champion and a candidate."""
    folder = tmp_path_factory.mktemp("check")
    registry = Registry(folder / "registry")
    registry.publish(tiny_bundle(folder / "a"), alias="champion")
    registry.publish(tiny_bundle(folder / "b", version="1.1.0"))
    tiny_table(2_000, seed=5).write_parquet(folder / "holdout.parquet")
    tiny_table(2_000, seed=5).write_csv(folder / "holdout.csv")
    return folder


def test_a_candidate_against_the_champion(place: Path) -> None:
    options = ("-r", place / "registry", "--label", "label")
    said = tidegate(
        "check", "tiny@1.1.0", "--holdout", place / "holdout.parquet", *options,
        "--latency", "10s", "--memory", "2GB", "--html", place / "page.html",
    )  # fmt: skip
    assert "tiny@1.1.0 against tiny@1.0.0 passes" in said
    assert "report 1 of tiny@1.1.0" in said
    assert "Check of tiny@1.1.0" in (place / "page.html").read_text()
    shown = tidegate("registry", "show", "tiny@1.1.0", "-r", place / "registry")
    assert "check 1" in shown
    assert "against tiny@1.0.0 passes" in shown


def test_a_failing_check_for_a_program(place: Path) -> None:
    found: Any = json.loads(
        tidegate(
            "check", "tiny@1.1.0", "--against", "1.0.0", "--holdout", place / "holdout.csv",
            "--label", "label", "--groups", "colour", "--positive", "1", "--limit", "parity=0.2",
            "--no-store", "--json", "-r", place / "registry", status=1,
        )
    )  # fmt: skip
    assert found["outcome"] == "fail"
    assert found["number"] is None
    (bias,) = (each for each in found["results"] if each["name"] == "bias")
    assert bias["outcome"] == "fail"
    (parity,) = (each for each in bias["figures"] if "parity" in each["name"])
    assert parity["limit"] == 0.2
    assert parity["low"] > 0.2


def test_a_folder_that_nobody_published(place: Path, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "c", version="2.0.0")
    said = tidegate("check", bundle.path, "-r", tmp_path / "none")
    assert "tiny@2.0.0 passes" in said
    assert "report" not in said
    both = tidegate("check", bundle.path, "--against", place / "a", "-r", tmp_path / "none")
    assert "tiny@2.0.0 against tiny@1.0.0 passes" in both


def test_signatures(place: Path, tmp_path: Path) -> None:
    private, registry = tmp_path / "key.pem", place / "registry"
    made = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)]
    subprocess.run(made, check=True, capture_output=True)
    unsigned = tidegate("check", "tiny@1.0.0", "--key", private, "-r", registry, status=1)
    assert "fails: signature" in unsigned
    said = tidegate("registry", "sign", "tiny@champion", "--key", private, "-r", registry)
    assert "tiny@1.0.0 is signed by key sha256:" in said
    assert "signed on" in tidegate("check", "tiny@1.0.0", "--key", private, "-r", registry)
    shown = json.loads(tidegate("registry", "show", "tiny@1.0.0", "--json", "-r", registry))
    assert len(shown["signed_by"]) == 1
    assert [each["outcome"] for each in shown["reports"]] == ["fail", "pass"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tiny@7.0.0",), "has no version '7.0.0'"),
        (("tiny@1.1.0", "--against", "challenger"), "has no alias 'challenger'"),
        (("tiny@1.1.0", "--holdout", "nowhere.csv"), "there is no table at nowhere.csv"),
        (("tiny@1.1.0", "--latency", "soon"), "time 'soon'"),
        (("tiny@1.1.0", "--limit", "psi"), "--limit psi: give it as NAME=NUMBER"),
        (("tiny@1.1.0", "--margin", "auk=1"), "margin 'auk' is none of"),
        (("tiny@1.1.0", "--original", "model.bin"), "model.bin is no model by its name"),
        (("tiny@1.1.0", "--original", "model.txt"), "model.txt cannot be read"),
    ],
)
def test_what_is_wrong(place: Path, arguments: tuple[str, ...], said: str) -> None:
    answer = tidegate("check", *arguments, "-r", place / "registry", status=1)
    assert said in answer
    assert answer.startswith("error: ")
    assert answer.count("\n") == 1
