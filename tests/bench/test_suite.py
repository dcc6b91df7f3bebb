"""The suite itself, shortened: servers, peers, client and verdicts, without a look at the figures."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from tidegate.bench import Plan, judge, read_budgets, run, suite
from tidegate.bench.budgets import folder
from tidegate.bench.report import document, figure_rows, http_rows, verdict_rows
from tidegate.bench.subjects import Subject
from tidegate.cli.app import build_app
from tidegate.errors import MissingDependencyError

TINY = Plan(
    seconds=0.15,
    repetitions=1,
    pairs=1,
    connections=(1, 32),
    table_rows=3_000,
    table_turns=1,
    row_calls=5,
)


def absent(_: Path) -> Subject:
    raise MissingDependencyError("the flights are not installed")


@pytest.mark.slow
def test_a_short_run_measures_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "build_flights", absent)
    results = run(TINY)
    assert results.not_measured["flights"] == "the flights are not installed"
    assert {"features_table_over_sklearn", "features_row_rust_us", "mean_batch_at_32"} <= set(
        results.figures
    )
    cells = [cell for by_connections in results.http.values() for cell in by_connections.values()]
    assert all(cell["rate"] > 0 and cell["errors"] == 0 for cell in cells), results.http
    assert "tidegate, trees" in results.http
    assert "Starlette + onnxruntime" in results.http
    place = folder()
    assert place is not None
    verdicts = {
        v.budget.name: v for v in judge(read_budgets(place / "budgets.toml"), results.figures)
    }
    # Without the flights there is nothing to embed or to watch: not measured is not passed.
    assert verdicts["embedded_over_bare"].status == "not measured"
    assert verdicts["watching_cost"].status == "not measured"
    found = list(verdicts.values())
    assert orjson.loads(orjson.dumps(document(results, found)))["http"]["tidegate, trees"]["32"][
        "rate"
    ]
    assert http_rows(results)
    assert len(verdict_rows(found)) == len(found)
    assert not {row[0] for row in figure_rows(results, found)} & set(verdicts)


@pytest.mark.parametrize("enforce", [True, False])
def test_the_command_names_what_is_missed(monkeypatch: pytest.MonkeyPatch, enforce: bool) -> None:
    def empty(plan: Plan, progress: object) -> suite.Results:
        del plan, progress
        return suite.Results()

    monkeypatch.setattr("tidegate.bench.run", empty)
    arguments = ["bench", "--quick", "--json", *(("--enforce",) if enforce else ())]
    done = CliRunner().invoke(build_app(), arguments)
    assert done.exit_code == (1 if enforce else 0)
    report = orjson.loads(done.stdout)
    assert {budget["status"] for budget in report["budgets"]} == {"not measured"}
