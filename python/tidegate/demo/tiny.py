"""A bundle that takes a second to build, for examples and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import os

    import polars as pl

    from tidegate.registry import Bundle

__all__ = ["tiny_bundle", "tiny_table"]


def tiny_table(rows: int = 400, *, seed: int = 7) -> pl.DataFrame:
    """Raw rows with a number, a name, a time and their label; some values are missing.

    Args:
        rows: How many.
        seed: Of the random values.

    Example:
        >>> tiny_table(3).columns
        ['x', 'colour', 'at', 'label']
    """
    import polars as pl

    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    colour = random.choice(["red", "green", "blue"], size=rows)
    hours = random.integers(0, 24 * 365, size=rows)
    at = np.datetime64("2024-01-01T00:00:00", "us") + hours * np.timedelta64(3600, "s")
    label = (x + (colour == "red") + random.normal(scale=0.5, size=rows)) > 0.5
    missing = random.random(rows) < 0.05
    return pl.DataFrame(
        {
            "x": [None if gone else float(value) for value, gone in zip(x, missing, strict=True)],
            "colour": colour.tolist(),
            "at": at,
            "label": label,
        }
    )


def tiny_bundle(
    directory: str | os.PathLike[str] | None = None, *, version: str = "1.0.0"
) -> Bundle:
    """Builds a bundle named `tiny`: three raw columns, a logistic regression.

    Args:
        directory: Where to write it, a new or empty folder; a temporary one by default.
        version: Its semantic version.

    Example:
        >>> bundle = tiny_bundle()
        >>> bundle.name, bundle.version
        ('tiny', '1.0.0')
    """
    from sklearn.linear_model import LogisticRegression

    from tidegate.features import FeatureSet, Field, Schema, col
    from tidegate.registry import Bundle

    table = tiny_table()
    features = FeatureSet(
        schema=Schema(
            [
                Field("x", "float64", nullable=True),
                Field("colour", "string", nullable=False),
                Field("at", "timestamp", nullable=True),
            ]
        ),
        features=[
            col("x").fill_null("median").standardize(),
            col("colour").one_hot(),
            col("at").dt.hour().fill_null(0).cyclical(24),
        ],
    )
    matrix = features.fit_transform(table)
    model = LogisticRegression().fit(matrix, table["label"].to_numpy().astype(np.int64))
    return Bundle.build(
        "tiny", version, model=model, features=features, sample=table, directory=directory
    )
