"""The page of everything: what it shows, that it opens offline, and how a real browser sees it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.monitoring.test_page import GOLDEN, parse

from tidegate.monitoring import DriftReport
from tidegate.monitoring.exposition import Sample, labels_of
from tidegate.monitoring.overview import ModelOverview, Overview, render
from tidegate.monitoring.overview.latency import stages_of

EVIL = '<script>alert("x")</script>'


def measures(accuracy: float | None, width: float) -> dict[str, Any]:
    span = None if accuracy is None else {"lower": accuracy - width, "upper": accuracy + width}
    return {
        "accuracy": {"value": accuracy, "interval": span},
        "log_loss": {"value": 0.4, "interval": None},
    }


def figures(accuracy: float | None, width: float = 0.05) -> dict[str, Any]:
    return {
        "predictions": 1_000,
        "labelled": 800,
        "measures": measures(accuracy, width),
        "estimates": {"accuracy": 0.81, "auc": 0.9},
        "estimated_with_labels": 0,
        "metrics": {},
    }


QUALITY: dict[str, Any] = {
    "version": 1,
    "model": "m",
    "versions": [
        {
            "version": "1.0.0",
            "digest": None,
            "task": {"kind": "classification"},
            "total": figures(0.83, 0.02),
            "classes": [],
            "confusion": [],
            "calibration": [
                {"rows": 100.0 * i, "probability": i / 10 + 0.05, "rate": (i / 10) ** 1.3}
                for i in range(10)
            ],
            "windows": [
                {"start": 1.7e9 + 3_600 * i, "end": 1.7e9 + 3_600 * (i + 1), **figures(value)}
                for i, value in enumerate([0.85, 0.84, None, 0.86, 0.7, 0.65])
            ],
            "segments": [],
        }
    ],
    "labels": {},
    "metrics": {},
    "awaiting": {},
}

INCIDENT: dict[str, Any] = {
    "id": "20231114-221320-abcdef",
    "title": "too slow",
    "severity": "critical",
    "status": "resolved",
    "opened": 1.7e9,
    "resolved": 1.7e9 + 1_800,
    "timeline": [{"at": 1.7e9, "text": "incident opens: too slow"}],
    "records": [
        {
            "type": "evidence",
            "causes": [{"at": 1.7e9 - 60, "what": "deployment m", "detail": "1.0.0 → 1.1.0"}],
        }
    ],
}


def samples() -> list[Sample]:
    found = []
    for stage, scale in (("decode", 8), ("features", 16), ("backend", 128), ("total", 256)):
        own = {"model": "m", "version": "1.0.0", "stage": stage}
        for power in range(24):
            below = 1_000.0 * min(1.0, (1 << power) / (4 * scale))
            labels = labels_of(**own, le=f"{(1 << power) / 1e6:.6f}")
            found.append(Sample("tidegate_stage_seconds_bucket", labels, below))
        labels = labels_of(**own, le="+Inf")
        found.append(Sample("tidegate_stage_seconds_bucket", labels, 1_000.0))
        found.append(Sample("tidegate_stage_seconds_sum", labels_of(**own), 2 * scale / 1e3))
    return found


@pytest.fixture(scope="module")
def overview() -> Overview:
    model = ModelOverview(
        name="flight-delay",
        version="1.0.0",
        drift=DriftReport.from_json(GOLDEN.read_bytes()),
        quality=QUALITY,
        stages=stages_of(samples(), "m"),
    )
    bare = ModelOverview("bare", "0.0.0", absent={"drift": "the bundle has no baseline"})
    return Overview(1.7e9, "http://127.0.0.1:8080", [model, bare], [INCIDENT])


def test_the_page_opens_offline_and_shows_everything(overview: Overview) -> None:
    page = render(overview, title="Flights")
    tags = parse(page)
    assert not {tag for tag, _ in tags.seen} & {"script", "link", "img", "iframe", "object", "use"}
    assert set(re.findall(r"https?://[^\"' <,]+", page)) == {
        "http://www.w3.org/2000/svg",
        "http://127.0.0.1:8080",
    }
    for part in (
        "flight-delay 1.0.0",
        "What drifted, and when",
        "Feature by feature",
        "800 of 1,000 predictions have met their labels",
        "0.81 to 0.85",
        "Calibration",
        "Latency by stage",
        "20231114-221320-abcdef",
        "Moved first",
        "1.0.0 → 1.1.0",
        "30 min",
        "bare 0.0.0",
        "drift: the bundle has no baseline",
    ):
        assert part in page, part


def test_nothing_is_said_of_what_is_absent() -> None:
    page = render(Overview(0.0, "here", [ModelOverview("m", "1.0.0")]))
    parse(page)
    for part in ("Quality", "Latency", "Incidents", "Feature by feature", "How to read"):
        assert part not in page
    assert "No model is served" in render(Overview(0.0, "here", []))
    assert "None is on record" in render(Overview(0.0, "here", [], []))


def test_texts_are_escaped() -> None:
    incident = {**INCIDENT, "id": EVIL, "title": EVIL, "timeline": [{"at": 0.0, "text": EVIL}]}
    quality = {**QUALITY, "versions": [{**QUALITY["versions"][0], "version": EVIL}]}
    model = ModelOverview(EVIL, EVIL, quality=quality, absent={EVIL: EVIL})
    page = render(Overview(0.0, EVIL, [model], [incident]), title=EVIL)
    assert "script" not in {tag for tag, _ in parse(page).seen}


@pytest.fixture(scope="module")
def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("not measured: no Chromium is installed")


def run(browser: str, folder: Path, *arguments: str) -> str:
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={folder / 'profile'}",
        *arguments,
    ]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_browser_draws_it(browser: str, overview: Overview, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(overview, title="Flights"), encoding="utf-8")
    address = path.as_uri()
    shot = tmp_path / "report.png"
    run(browser, tmp_path, "--window-size=1100,5200", f"--screenshot={shot}", address)
    data = shot.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    # A page of one colour would be a few kilobytes.
    assert len(data) > 100_000
    dom = run(browser, tmp_path, "--dump-dom", address)
    for part in ("Latency by stage", "Calibration", "Moved first", "<svg"):
        assert part in dom
