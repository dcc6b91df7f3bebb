"""Quality from the log: predictions joined with labels that came too late for the server's store."""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
import orjson

from tidegate import _core
from tidegate.errors import UnsupportedError
from tidegate.monitoring.log.query import ALL, Selection, query
from tidegate.monitoring.quality import VersionQuality, version_quality
from tidegate.storage import Store

__all__ = ["joined"]

MAX_CLASSES: Final = 64
"""Most classes of a classifier, as in the server."""

WINDOW_SECONDS: Final = 3_600.0
"""Windows of quality."""

_SQL: Final = """
    WITH labels AS (
        SELECT prediction_id, row, arg_min(label, time) AS actual
        FROM feedback WHERE label IS NOT NULL AND outcome <> 'other_model'
        GROUP BY prediction_id, row
    )
    SELECT p.*, labels.actual AS "_label", epoch(p.time) AS "_time"
    FROM predictions AS p LEFT JOIN labels USING (prediction_id, row)
    ORDER BY p.version, p.time
"""


def joined(
    model: str, location: str | os.PathLike[str] | Store, selection: Selection = ALL
) -> list[VersionQuality]:
    """The quality of each logged version of a model, by all labels that were ever sent.

    Predictions leave the server's store when it is full; the labels that come afterwards are
    unknown to it, and are logged. Here they meet. Of several labels of one prediction the first counts.

    Args:
        model: The model's own name.
        location: The log's folder or object store.
        selection: Which files are read: `model` is set.

    Returns:
        One entry a version, in their order.

    Raises:
        NotFoundError: If nothing of the model is logged.
        UnsupportedError: If the logged predictions are no decisions of a classifier or regressor.
    """
    chosen = Selection(model, selection.since, selection.until)
    columns, rows = query(_SQL, location, chosen)
    versions: dict[str, list[dict[str, Any]]] = {}
    for values in rows:
        row = dict(zip(columns, values, strict=True))
        versions.setdefault(row["version"], []).append(row)
    return [_quality(version, found) for version, found in versions.items()]


def _quality(version: str, rows: list[dict[str, Any]]) -> VersionQuality:
    first = rows[0]
    outputs = [name for name in first if name.startswith("prediction_") and name != "prediction_id"]
    scores = [name for name in outputs if name.startswith("prediction_probabilities")]
    times = np.array([row["_time"] for row in rows], dtype=np.float64)
    if "prediction_label" in outputs:
        decided = [str(row["prediction_label"]) for row in rows]
        actual = [row["_label"] for row in rows]
        classes = sorted({*decided, *(label for label in actual if label is not None)}, key=_order)
        if len(scores) == 1 and len(classes) < 2:
            # Two classes, of which one was never seen.
            classes = ["0", "1"] if set(classes) <= {"0", "1"} else [*classes, "(other)"]
        width = 2 if len(scores) == 1 else len(scores)
        if not 2 <= len(classes) <= MAX_CLASSES or (scores and width != len(classes)):
            raise UnsupportedError(
                f"the logged predictions of version {version} have {len(classes)} classes for "
                f"{width} probabilities: log labels as the model was trained with them"
            )
        places = {name: float(place) for place, name in enumerate(classes)}
        numbers = np.array(
            [
                [places[name], *(row[score] for score in scores)]
                for name, row in zip(decided, rows, strict=True)
            ],
            dtype=np.float64,
        )
        labels = np.array([places.get(label, np.nan) for label in actual], dtype=np.float64)
        task = {"kind": "classification", "classes": classes, "probabilities": bool(scores)}
    elif len(outputs) == 1:
        numbers = np.array([[row[outputs[0]]] for row in rows], dtype=np.float64)
        labels = np.array(
            [np.nan if row["_label"] is None else float(row["_label"]) for row in rows]
        )
        task = {"kind": "regression", "span": None}
    else:
        raise UnsupportedError(
            f"the logged predictions of version {version} are no decisions: their columns are "
            f"{', '.join(outputs)}"
        )
    quality = _core.Quality(orjson.dumps(task).decode(), WINDOW_SECONDS)
    quality.update(numbers, labels, times)
    return version_quality(version, None, orjson.loads(quality.report()))


def _order(name: str) -> tuple[float, str]:
    """Numbers by value, then texts."""
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name
