from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from tidegate import Rules
from tidegate.cli.app import build_app
from tidegate.errors import InputError, NotFoundError
from tidegate.validation import foreign_key, in_range


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), [str(part) for part in arguments])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text("x,s\n1,a\n-1,b\n")
    Rules(in_range("x", 0, name="positive")).save(tmp_path / "rules.json")
    return tmp_path


def test_the_status_says_whether_it_passed(place: Path) -> None:
    done = run("validate", place / "t.csv", "--rules", place / "rules.json")
    assert done.exit_code == 1
    assert "failed: 1 rule on 2 rows: positive (1 row)" in done.stdout
    (place / "t.csv").write_text("x,s\n1,a\n")
    done = run("validate", place / "t.csv", "--rules", place / "rules.json")
    assert done.exit_code == 0
    assert "passed" in done.stdout


def test_json_html_and_rows_apart(place: Path) -> None:
    options = ["--good", place / "good.parquet", "--bad", place / "bad.parquet"]
    done = run(
        "validate", place / "t.csv", "--rules", place / "rules.json", "--json",
        "--html", place / "report.html", *options,
    )  # fmt: skip
    assert done.exit_code == 1
    assert json.loads(done.stdout)["rules"][0]["rows"][0] == {"row": 1, "values": {"x": -1}}
    assert "positive" in (place / "report.html").read_text()
    assert pq.read_table(place / "good.parquet").to_pylist() == [{"x": 1, "s": "a"}]
    assert pq.read_table(place / "bad.parquet")["_broken_rules"].to_pylist() == ["positive"]


def test_tables_that_rules_refer_to(place: Path) -> None:
    Rules(foreign_key("s", "names", "code", name="known")).save(place / "rules.json")
    pq.write_table(pa.table({"code": ["a", "b"]}), place / "names.parquet")
    known = f"names={place / 'names.parquet'}"
    done = run("validate", place / "t.csv", "--rules", place / "rules.json", "--reference", known)
    assert done.exit_code == 0, done.stdout
    for reference in ([], ["--reference", "names"]):
        done = run("validate", place / "t.csv", "--rules", place / "rules.json", *reference)
        assert isinstance(done.exception, InputError)


def test_a_proposal_is_shown_then_written(place: Path) -> None:
    rows = "".join(f"{row % 7},{'ab'[row % 2]}\n" for row in range(200))
    (place / "t.csv").write_text("x,s\n" + rows)
    done = run("validate", place / "t.csv", "--rules", place / "new.json", "--infer")
    assert done.exit_code == 0
    assert "+ s values" in done.stdout
    assert not (place / "new.json").exists()
    done = run("validate", place / "t.csv", "--rules", place / "new.json", "--infer", "--accept")
    assert Rules.load(place / "new.json").names == ["x range", "s values"]
    done = run("validate", place / "t.csv", "--rules", place / "new.json", "--infer", "--json")
    assert json.loads(done.stdout) == {"changes": [], "accepted": False}
    assert run("validate", place / "t.csv", "--rules", place / "new.json").exit_code == 0


def test_what_is_not_there(place: Path) -> None:
    done = run("validate", place / "t.csv", "--rules", place / "none.json")
    assert isinstance(done.exception, NotFoundError)
    done = run("validate", place / "none.csv", "--rules", place / "rules.json")
    assert isinstance(done.exception, NotFoundError)


def test_ingest_writes_once(place: Path) -> None:
    options = [place / "t.csv", place / "lake", "--rules", place / "rules.json"]
    done = run("ingest", *options, "--json")
    (part,) = json.loads(done.stdout)["parts"]
    assert (part["rows"], part["quarantined"], part["new"]) == (1, 1, True)
    done = run("ingest", *options)
    assert "was there" in done.stdout
