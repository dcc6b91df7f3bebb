"""What is kept of a check: beside the bundle, canonical, readable later, shown to people."""

from __future__ import annotations

import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.check.conftest import Make

from tidegate.check import CheckReport, Figure, Request, Result, run_checks
from tidegate.errors import StateError, StorageError
from tidegate.registry import Registry
from tidegate.storage.canonical import encode


def report(outcome: str = "pass", sentence: str = "fine") -> CheckReport:
    figures = (Figure("auc", 0.75, 0.7, 0.8, 0.95), Figure("nothing", math.nan))
    return CheckReport(
        candidate="m@1.1.0",
        digest="sha256:" + "a" * 64,
        champion="m@1.0.0",
        champion_digest="sha256:" + "b" * 64,
        began=1_700_000_000.25,
        seconds=2.5,
        machine="Linux x86_64",
        results=(
            Result("integrity", "pass", "every byte agrees"),
            Result("quality", outcome, sentence, figures),  # type: ignore[arg-type]
        ),
    )


def test_round_trip() -> None:
    written = report().to_json()
    read = CheckReport.from_json(written)
    assert read.to_json() == written
    assert read.results[1].figure("auc") == Figure("auc", 0.75, 0.7, 0.8, 0.95)
    assert read.results[1].figure("nothing").value is None
    assert encode(json.loads(written)) == written


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "upgrade tidegate"),
        ({"results": 7}, "is damaged"),
        ({"results": [{"name": "x"}]}, "is damaged"),
        ({"more": 1}, "unknown: more"),
    ],
)
def test_what_is_no_report(change: dict[str, object], said: str) -> None:
    document = {**report().to_dict(), **change}
    with pytest.raises(StateError, match=said):
        CheckReport.from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("pass", "m@1.1.0 against m@1.0.0 passes: 2 checks"),
        ("skipped", "m@1.1.0 against m@1.0.0 passes: 1 checks"),
        ("warn", "m@1.1.0 against m@1.0.0 passes with warnings: quality"),
        ("fail", "m@1.1.0 against m@1.0.0 fails: quality"),
    ],
)
def test_verdicts(outcome: str, verdict: str) -> None:
    found = report(outcome)
    assert found.verdict == verdict == str(found)
    assert bool(found) is (outcome != "fail")


def test_reports_lie_beside_the_bundle(make: Make, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    bundle = make()
    digest = registry.publish(bundle)
    assert CheckReport.stored(registry, digest) == ()
    assert registry.last_report(digest, "check") is None
    first, second = (run_checks(Request(bundle)) for _ in range(2))
    assert first.store(registry) == 1
    assert second.store(registry) == 2
    assert [each.to_json() for each in CheckReport.stored(registry, digest)] == [
        first.to_json(),
        second.to_json(),
    ]
    (folder,) = (tmp_path / "registry" / "reports").iterdir()
    assert folder.name == digest.removeprefix("sha256:")
    assert [file.name for file in sorted((folder / "check").iterdir())] == [
        "000000000001.json",
        "000000000002.json",
    ]
    # The bundle itself is as it was: what lies beside it is none of its files.
    registry.verify("tiny")
    with pytest.raises(StorageError, match="read-only"):
        first.store(Registry(tmp_path / "registry", read_only=True))


class Tags(HTMLParser):
    """The names of all tags, and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}


def test_page(tmp_path: Path) -> None:
    page = report("fail", "<script>alert(1)</script>").to_html()
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.found
    assert "m@1.1.0 against m@1.0.0 fails: quality" in page
    assert "0.75 [0.7, 0.8]" in page
    assert not re.search(r"https?://", page)
    report().write_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    with pytest.raises(StorageError, match="cannot write"):
        report().write_html(tmp_path / "absent" / "page.html")


def test_text() -> None:
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    console.print(report("fail", "worse [by] far"))
    text = console.export_text()
    assert "worse [by] far" in text
    assert "fails: quality" in text
