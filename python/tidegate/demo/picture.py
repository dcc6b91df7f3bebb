"""The report as one HTML page that opens offline."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import orjson

from tidegate.demo.task import CLOCK, MODEL
from tidegate.errors import StorageError

__all__ = ["FILE", "draw"]

FILE: Final = "report.html"


def draw(report: dict[str, Any], months: Collection[str], folder: Path) -> Path:
    """Draws what the server has watched, month by month.

    The two schedule times are left out: every hour of July lies after every hour of June, so their
    PSI is as large as it can be and says nothing of the flights. `tidegate drift` shows them.

    Args:
        report: The drift report as the server sent it.
        months: The labels of the windows to show.
        folder: Where the page is written.

    Returns:
        The page.

    Raises:
        StorageError: The folder cannot be written.
    """
    from tidegate.monitoring import DriftReport, write_html

    windows = [
        {**window, "columns": [each for each in window["columns"] if each["name"] not in CLOCK]}
        for window in report["windows"]
        if window["label"] in months
    ]
    shown = DriftReport.from_json(orjson.dumps({**report, "windows": windows}))
    path = folder / FILE
    try:
        write_html(shown, path, title=f"{MODEL}: month by month against January to June")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from None
    return path
