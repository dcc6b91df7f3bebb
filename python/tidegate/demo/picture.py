"""The report as one HTML page that opens offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from tidegate.demo.task import MODEL
from tidegate.errors import StorageError

__all__ = ["FILE", "draw"]

FILE: Final = "report.html"


def draw(report: Mapping[str, Any], folder: Path) -> Path:
    """Draws what the server has watched, window by window.

    Args:
        report: The drift report as the server sent it.
        folder: Where the page is written.

    Returns:
        The page.

    Raises:
        StorageError: The folder cannot be written.
    """
    from tidegate.monitoring import DriftReport, write_html

    path = folder / FILE
    try:
        write_html(DriftReport.from_json(orjson.dumps(report)), path, title=MODEL)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from None
    return path
