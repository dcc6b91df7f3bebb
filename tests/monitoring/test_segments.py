"""Drift by segment: each value's rows against their like, from NumPy to the page."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from tests.monitoring.reference import Floats, counts_of, edges_of, psi_of

from tidegate.demo.tiny import tiny_bundle, tiny_table
from tidegate.errors import InputError, NotFoundError, StateError
from tidegate.export import Proof
from tidegate.monitoring import Baseline, DriftReport, Monitor, Watching
from tidegate.monitoring.page import render_html
from tidegate.registry import BuildOptions, Bundle
from tidegate.runtime import Runtime

AIRPORTS = np.array(["EWR", "JFK", "LGA"])


def flights(rows: int, seed: int, shift: float = 0.0) -> tuple[Floats, np.ndarray, pa.Table]:
    """Delays that differ by airport; at JFK they move by `shift`."""
    rng = np.random.default_rng(seed)
    origin = rng.choice(AIRPORTS, rows, p=[0.5, 0.3, 0.2])
    delay = rng.normal(0, 1, rows) + (origin == "LGA") + shift * (origin == "JFK")
    return delay, origin, pa.table({"delay": delay, "origin": origin})


def test_each_segment_is_compared_with_its_like() -> None:
    was, was_at, before = flights(20_000, 0)
    now, now_at, live = flights(5_000, 1, shift=0.8)
    baseline = Baseline(before, segment="origin")
    monitor = Monitor(baseline, watching=Watching(segment="origin"), now=0.0)
    monitor.observe(live, now=1.0)
    monitor.close(now=2.0)
    edges = edges_of(was)
    for airport in AIRPORTS:
        report = monitor.report(segment=airport, now=3.0)
        assert report.segment == f"origin={airport}"
        assert report.baseline_rows == int((was_at == airport).sum())
        assert report.alarms is None
        (window,) = report.windows
        column = window.column("delay")
        due = [
            counts_of(values[at == airport], edges) for values, at in ((was, was_at), (now, now_at))
        ]
        assert [cell.baseline for cell in column.cells] == due[0].tolist()
        assert [cell.live for cell in column.cells] == due[1].tolist()
        assert column.psi == pytest.approx(psi_of(*due), abs=1e-9)
    whole = monitor.report(now=3.0)
    assert whole.segments is not None
    assert whole.segments.like_with_like
    found = {value.value: value for value in whole.segments.values}
    assert list(found) == ["EWR", "JFK", "LGA", "(other)", "(missing)"]
    assert {k: v.rows for k, v in found.items() if v.rows} == Counter(now_at.tolist())
    psi = {value: found[value].columns[0].psi or 0.0 for value in AIRPORTS}
    # What happened at one airport is seen there, and hardly in all rows.
    assert psi["JFK"] > 0.5 > 0.05 > max(psi["EWR"], psi["LGA"])
    page = render_html(whole, title="flights")
    assert "By origin" in page
    assert "compared with those of the same value" in page
    assert "of origin=JFK" in render_html(monitor.report(segment="JFK", now=3.0))


def test_without_its_like_a_segment_is_compared_with_all_rows() -> None:
    _, _, before = flights(20_000, 0)
    monitor = Monitor(Baseline(before), watching=Watching(segment="origin"), now=0.0)
    monitor.observe(before, now=1.0)
    report = monitor.report(segment="LGA", now=1.0)
    assert (report.windows[0].column("delay").psi or 0.0) > 0.3
    segments = monitor.report(now=1.0).segments
    assert segments is not None
    assert not segments.like_with_like
    trailing = Watching(rows=100_000, segment="origin", reference="trailing:1")
    monitor = Monitor(Baseline(before), watching=trailing, now=0.0)
    for second in (1.0, 2.0):
        monitor.observe(before, now=second)
        monitor.close(now=second)
    window = monitor.report(segment="LGA", now=3.0).windows[-1]
    assert window.column("delay").psi == 0.0


def test_what_is_no_segment_is_refused() -> None:
    _, _, before = flights(2_000, 0)
    with pytest.raises(InputError, match="delay"):
        Monitor(Baseline(before), watching=Watching(segment="delay"))
    with pytest.raises(InputError, match="name one of"):
        Baseline(before, segment="gate")
    monitor = Monitor(Baseline(before), watching=Watching(segment="origin"), now=0.0)
    with pytest.raises(NotFoundError, match="EWR"):
        monitor.report(segment="SFO", now=0.0)
    with pytest.raises(NotFoundError, match="segment="):
        Monitor(Baseline(before), now=0.0).report(segment="EWR", now=0.0)


def test_reports_of_older_versions_have_no_segments() -> None:
    report = DriftReport.from_json('{"version":1,"baseline":{"rows":10},"windows":[]}')
    assert (report.segment, report.segments) == (None, None)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny model once more, in a bundle that says how it is watched."""
    plain = tiny_bundle()
    from tidegate.features import FeatureSet

    return Bundle.build(
        "tiny",
        "1.1.0",
        model=plain.path / "model.onnx",
        features=FeatureSet.from_json((plain.path / "features.json").read_text()),
        sample=tiny_table(),
        options=BuildOptions(
            watching=Watching(rows=50, tolerance=0.3, segment="colour"), proof=Proof()
        ),
        directory=tmp_path_factory.mktemp("bundle") / "watched",
    )


@pytest.fixture(scope="module")
def flagged(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model with one more column that rows can be told apart by."""
    from sklearn.linear_model import LogisticRegression

    from tidegate.features import FeatureSet, Field, Schema, col

    table = with_flag(tiny_table())
    schema = Schema(
        [
            Field("x", "float64", nullable=True),
            Field("colour", "string", nullable=True),
            Field("flag", "bool", nullable=True),
        ]
    )
    features = FeatureSet(
        schema=schema, features=[col("x").fill_null(0), col("colour").one_hot(), col("flag")]
    )
    labels = table["label"].to_numpy().astype(np.int64)
    model = LogisticRegression().fit(features.fit_transform(table), labels)
    return Bundle.build(
        "flagged",
        "1.0.0",
        model=model,
        features=features,
        sample=table,
        options=BuildOptions(watching=Watching(segment="colour"), proof=Proof()),
        directory=tmp_path_factory.mktemp("bundle") / "flagged",
    )


def with_flag(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(flag=pl.col("x").fill_null(0.0) > 0)


def rows_of(name: str) -> pl.DataFrame:
    table = tiny_table(120, seed=3).drop("label")
    return with_flag(table).drop("at") if name == "flagged" else table


def windows(runtime: Runtime) -> DriftReport:
    runtime.predict_many("tiny", tiny_table(120, seed=3).drop("label"))
    return runtime.drift("tiny")


def test_what_a_bundle_says_of_watching_holds_where_nothing_else_is_said(watched: Bundle) -> None:
    assert watched.manifest.watching == {"rows": 50, "tolerance": 0.3, "segment": "colour"}
    for source in (watched, watched.path):
        with Runtime() as runtime:
            runtime.deploy(source)
            report = windows(runtime)
            assert [window.rows for window in report.windows] == [50, 50, 20]
            assert report.alarms is not None
            assert report.alarms.tolerance == 0.3
            assert report.segments is not None
            assert report.segments.column == "colour"
            assert report.segments.like_with_like
            red = runtime.drift("tiny", segment="red")
            assert red.segment == "colour=red"


def test_options_go_before_the_bundle_and_the_call_before_options(watched: Bundle) -> None:
    with Runtime(watching=Watching(rows=60, segment="x")) as runtime:
        # Named for all models, the column is passed over by one that cannot be told apart by it: the
        # bundle's own counts there.
        runtime.deploy(watched, watching=Watching(tolerance=0.2))
        report = windows(runtime)
        assert report.windows[0].rows == 60
        assert report.alarms is not None
        assert report.alarms.tolerance == 0.2
        assert report.segments is not None
        assert (report.segments.column, report.segments.like_with_like) == ("colour", True)
        with pytest.raises(InputError, match="float64"):
            runtime.deploy(watched, segment="x")


@pytest.mark.parametrize("general", ["flag", "nothing", "colour", None])
def test_a_segment_for_all_models_is_for_those_that_have_the_column(
    watched: Bundle, flagged: Bundle, general: str | None
) -> None:
    with Runtime(watching=Watching(rows=60, segment=general)) as runtime:
        runtime.deploy(watched)
        runtime.deploy(flagged)
        # Without a segment of its own, beside the others.
        runtime.deploy(tiny_bundle(), name="plain")
        found = {}
        for name in ("tiny", "flagged", "plain"):
            runtime.predict_many(name, rows_of(name))
            segments = runtime.drift(name).segments
            found[name] = None if segments is None else segments.column
        # Quality goes by the same column.
        apart = set(runtime.quality("flagged").newest.segments)
        assert apart == ({"true", "false"} if general == "flag" else {"red", "green", "blue"})
    assert found == {
        # Its bundle says colour; it has no flag.
        "tiny": "colour",
        # Its bundle says colour as well; it has a flag.
        "flagged": "flag" if general == "flag" else "colour",
        "plain": "colour" if general == "colour" else None,
    }


def test_watching_that_is_unknown_is_refused() -> None:
    with pytest.raises(StateError, match="upgrade tidegate"):
        Watching.from_document({"telepathy": 1})
