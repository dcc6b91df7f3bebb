"""Reports as text, JSON and a page."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from tidegate import Rules, Schema
from tidegate.errors import StateError
from tidegate.features import Field
from tidegate.validation import ValidationReport, aggregate, in_range, outliers, unique

RULES = Rules(
    in_range("x", 0, name="<script>alert(1)</script>"),
    in_range("gone", 0, name="skipped"),
    unique("x", name="unique", severity="warning"),
    aggregate("mean", "x", low=0, high=10, name="mean"),
    outliers("x", name="outliers"),
    schema=Schema([Field("x", "int64", nullable=True), Field("gone", "int64", nullable=True)]),
)


@pytest.fixture(scope="module")
def report() -> ValidationReport:
    return RULES.validate(pa.table({"x": [1, 1, -5, 2, 900], "s": ["</td>"] * 5}))


def test_json_round_trips(report: ValidationReport) -> None:
    again = ValidationReport.from_json(report.to_json())
    assert again == report
    assert again.to_json() == report.to_json()
    with pytest.raises(StateError, match="upgrade tidegate"):
        ValidationReport.from_json(report.to_json().replace('"version":1', '"version":2'))
    for text in ("", "[]", '{"version":1}', report.to_json()[:-30]):
        with pytest.raises(StateError, match="not a validation report"):
            ValidationReport.from_json(text)


def test_a_table_for_the_terminal(report: ValidationReport) -> None:
    console = Console(width=1_000, record=True, file=io.StringIO())
    console.print(report)
    text = console.export_text()
    assert report.verdict in text
    for part in ("skipped", "1 rows (20.00%)", "0 … 10", "179.8", "not in the table"):
        assert part in text, part


class Tags(HTMLParser):
    """Checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.seen.add(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_opens_offline_and_runs_nothing(report: ValidationReport, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    report.write_html(path, title="<b>flights</b>")
    page = path.read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not {"script", "link", "img"} & tags.seen
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;flights" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page


def test_every_rule_is_on_the_page(report: ValidationReport) -> None:
    page = report.to_html()
    for rule in report.rules:
        assert page.count(f'<span class="tag {rule.status}">') >= 1
    assert Rules().validate(pa.table({"x": [1]})).to_html().count("There are no rules") == 1
