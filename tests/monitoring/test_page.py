from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tidegate.monitoring import Baseline, DriftReport, Monitor, Watching, svg, write_html
from tidegate.monitoring.page import render_html
from tidegate.monitoring.report import MAJOR, MODERATE

GOLDEN = Path(__file__).parent.parent / "golden" / "drift" / "report-1.json"
VOID = {"meta", "br"}


class Tags(HTMLParser):
    """Checks that tags close in order, and gathers them with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parse(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


@pytest.fixture(scope="module")
def report() -> DriftReport:
    return DriftReport.from_json(GOLDEN.read_bytes())


def test_the_page_opens_offline(report: DriftReport, tmp_path: Path) -> None:
    path = tmp_path / "drift.html"
    write_html(report, path, title="flights")
    page = path.read_text()
    tags = parse(page)
    names = {tag for tag, _ in tags.seen}
    assert not names & {"script", "link", "img", "iframe", "object", "image", "use"}
    for _, attributes in tags.seen:
        assert not {"src", "href", "xlink:href"} & set(attributes)
    assert "@import" not in page
    assert set(re.findall(r"https?://[^\"' <]+", page)) == {"http://www.w3.org/2000/svg"}
    assert page.count("<svg") >= 10


def test_the_page_shows_every_column_and_window(report: DriftReport) -> None:
    page = render_html(report, title="flights 1.0.0")
    assert "<h1>flights 1.0.0</h1>" in page
    for name in ("rain", "carrier", "probabilities[1]", "July", "(open)"):
        assert name in page
    for window in report.windows:
        for column in window.columns:
            assert f"PSI {column.psi:.4f}" in page


def test_a_window_less_changes_the_page(report: DriftReport) -> None:
    fewer = replace(report, windows=report.windows[:-1])
    assert render_html(fewer).count("<rect") < render_html(report).count("<rect")


def test_names_are_escaped(report: DriftReport) -> None:
    evil = '<script>alert("x")</script>'
    windows = tuple(
        replace(
            window,
            label=evil,
            columns=tuple(
                replace(
                    column,
                    name=evil + column.name,
                    cells=tuple(replace(cell, label=evil) for cell in column.cells),
                )
                for column in window.columns
            ),
        )
        for window in report.windows
    )
    page = render_html(replace(report, windows=windows), title=evil)
    assert "script" not in {tag for tag, _ in parse(page).seen}


def test_nothing_watched_is_said() -> None:
    page = render_html(DriftReport(baseline_rows=5, windows=()))
    parse(page)
    assert "No row was watched yet" in page


def test_colours_darken_with_psi() -> None:
    def light(psi: float) -> int:
        colour = svg.psi_colour(psi)
        return sum(int(colour[i : i + 2], 16) for i in (1, 3, 5))

    shades = [light(psi) for psi in (0.0, 0.05, MODERATE, MAJOR, 0.5, 1.0)]
    assert shades == sorted(shades, reverse=True)
    assert svg.psi_colour(99.0) == svg.psi_colour(1.0)
    assert svg.psi_colour(None) == "#ffffff"


def alarming() -> DriftReport:
    rng = np.random.default_rng(0)

    def rows(count: int, shift: float) -> pa.Table:
        colours = ["red", "green", "<b>blue</b>"]
        return pa.table(
            {
                "x": rng.normal(shift, 1.0, count),
                "colour": rng.choice(colours, count),
                "late": rng.uniform(size=count),
            }
        )

    baseline = Baseline(rows(20_000, 0.0), predictions=["late"])
    monitor = Monitor(baseline, watching=Watching(rows=5_000), now=0.0)
    for hour in range(6):
        monitor.observe(rows(5_000, 0.0 if hour < 3 else 0.8), now=3_600.0 * hour)
    return monitor.report(now=30_000.0)


def test_alarms_are_shown_with_their_intervals() -> None:
    report = alarming()
    assert report.alarms is not None
    (alarm,) = report.alarms.raised
    assert alarm.name == "x"
    page = render_html(report)
    parse(page)
    assert "1 of 3 columns left their reference" in page
    assert f"x: {alarm.lower:.2%} to {alarm.upper:.2%}" in page
    assert f"between {alarm.lower:.1%} and {alarm.upper:.1%}" in page
    assert "late (prediction)" in page
    assert "<b>blue" not in page
    quiet = render_html(replace(report, alarms=replace(report.alarms, looks=0)))
    assert "What the alarms are about" not in quiet
    calm = tuple(replace(column, alarm=False) for column in report.alarms.columns)
    assert "No column has left its reference" in render_html(
        replace(report, alarms=replace(report.alarms, columns=calm))
    )
