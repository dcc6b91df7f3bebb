"""The suite itself, shortened: servers, peers, client and verdicts, without a look at the figures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from tidegate.bench import (
    Plan,
    context,
    judge,
    overload,
    read_budgets,
    run,
)
from tidegate.bench.budgets import folder
from tidegate.bench.http import NGINX
from tidegate.bench.report import document, figure_rows, http_rows, verdict_rows
from tidegate.bench.results import Results
from tidegate.bench.subjects import Subject, build_trees
from tidegate.bench.suite import SUITES
from tidegate.cli.app import build_app
from tidegate.cli.bench import SUITES as COMMAND_SUITES
from tidegate.errors import InputError, MissingDependencyError

TINY = Plan(
    seconds=0.3,
    repetitions=1,
    pairs=1,
    connections=(1, 32),
    table_rows=3_000,
    table_turns=1,
    row_calls=5,
)


def absent(_: Path) -> Subject:
    raise MissingDependencyError("the flights are not installed")


def elsewhere(folder: Path) -> Subject:
    place = folder / "flights"
    place.mkdir()
    return build_trees(place)


@pytest.mark.slow
def test_a_short_run_measures_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "build_flights", absent)
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
    def empty(plan: Plan, suites: list[str], progress: object) -> Results:
        del plan, suites, progress
        return Results()

    monkeypatch.setattr("tidegate.bench.run", empty)
    arguments = ["bench", "--quick", "--json", *(("--enforce",) if enforce else ())]
    done = CliRunner().invoke(build_app(), arguments)
    assert done.exit_code == (1 if enforce else 0)
    report = orjson.loads(done.stdout)
    assert {budget["status"] for budget in report["budgets"]} == {"not measured"}


def test_goals_are_judged_with_their_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def empty(plan: Plan, suites: list[str], progress: object) -> Results:
        del plan, progress
        asked.append(suites)
        return Results(suites=suites)

    monkeypatch.setattr("tidegate.bench.run", empty)
    place = folder()
    assert place is not None
    goals = read_budgets(place / "budgets.toml")
    for arguments, suites in (
        ([], ["basic"]),
        (["--suite", "peers"], ["peers"]),
        (["--full"], list(SUITES)),
    ):
        done = CliRunner().invoke(build_app(), ["bench", "--json", *arguments])
        judged = {budget["name"] for budget in orjson.loads(done.stdout)["budgets"]}
        assert asked[-1] == suites
        assert judged == {goal.name for goal in goals if goal.suite in suites}


def test_the_command_chooses_peers_and_subjects(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Plan] = []

    def empty(plan: Plan, suites: list[str], progress: object) -> Results:
        del suites, progress
        asked.append(plan)
        return Results()

    monkeypatch.setattr("tidegate.bench.run", empty)
    for chosen in (["--peer", "granian", "--subject", "flights"], []):
        done = CliRunner().invoke(build_app(), ["bench", "--suite", "peers", *chosen])
        assert done.exit_code == 0, done.output
    assert [(list(plan.peers), list(plan.subjects)) for plan in asked] == [
        (["granian"], ["flights"]),
        ([], []),
    ]


def test_the_command_knows_every_suite() -> None:
    assert list(SUITES) == list(COMMAND_SUITES)
    with pytest.raises(InputError, match="no suite 'tea'"):
        run(suites=["tea"])


def test_every_goal_has_a_suite() -> None:
    place = folder()
    assert place is not None
    assert {goal.suite for goal in read_budgets(place / "budgets.toml")} <= set(SUITES)


@pytest.mark.slow
def test_a_short_run_finds_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    # The trees stand in for the flights, which are a data set that need not be installed.
    monkeypatch.setattr(context, "build_flights", elsewhere)
    monkeypatch.setattr(overload, "LOADS", (0.5, 3.0))
    monkeypatch.setattr(overload, "SIZES", (8, 256))
    monkeypatch.setattr(overload, "STEPS", 2)
    monkeypatch.setattr(overload, "TIGHT", 2.0)
    results = run(replace(TINY, requests=2_000), suites=["limits", "overload", "memory"])
    if shutil.which("nginx") is None and not Path(NGINX).is_file():
        assert "nginx" in results.not_measured["limits"]
        assert "nginx" in results.not_measured["overload"]
        return
    # Where others keep the machine busy there is no figure, and the report says so.
    busy = {name for name, why in results.not_measured.items() if "the machine is too busy" in why}
    assert busy == set(results.not_measured), results.not_measured
    assert busy <= {"overload_100", "overload_1", "objective_over_tuned"}
    due = {
        "share_of_limit",
        "p50_over_floor",
        "table_json_over_bare",
        "table_binary_over_bare",
        "p99_open_over_nginx",
        "overload_100_goodput",
        "overload_1_goodput_less_refusing",
        "objective_over_tuned",
    }
    missing = due - set(results.figures)
    assert all(any(name.startswith(each) for each in busy) for name in missing), missing
    if "overload_100" not in busy:
        overloaded = results.curves["tidegate, trees, 100 rows a request"]
        # What is beyond the capacity is refused, not answered late or wrongly.
        assert overloaded["refused"][-1] > overloaded["refused"][0]
    cells = [cell for by_connections in results.http.values() for cell in by_connections.values()]
    assert all(cell["rate"] > 0 and cell["errors"] == 0 for cell in cells), results.http
    assert len(results.curves["memory"]["memory_mb"]) == 100
    assert min(results.curves["memory"]["memory_mb"]) > 5
    assert results.curves["memory"]["requests"][-1] >= 2_000
    stages = {"admit", "decode", "backend", "encode", "total"}
    times = {stage: results.figures[f"stage_{stage}_us"].median for stage in stages}
    assert 0 < times["decode"] < times["total"], times
