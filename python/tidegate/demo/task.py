"""The task: will a flight arrive more than 15 minutes late, asked when it is due to depart.

What is known then: the schedule, the carrier, the origin and destination, the distance, the plane
and the weather at the origin in that hour. Month and day of month are no features: trained on one
half of a year they would be constants of the other half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import lightgbm
    import numpy.typing as npt
    import polars as pl

    from tidegate.features import FeatureSet
    from tidegate.types import FloatMatrix

__all__ = [
    "CATEGORICAL",
    "CLASSES",
    "CLOCK",
    "LABEL",
    "MODEL",
    "NUMERIC",
    "RAW",
    "SEED",
    "TRAINING_MONTHS",
    "area_under_curve",
    "feature_set",
    "fit_model",
    "raw",
]

MODEL: Final = "flight-delay"
"""The name that the model is published and served under."""

CLOCK: Final = ("scheduled_departure", "scheduled_arrival")
"""Raw columns that are times: their hours and weekdays are features, the times themselves are not."""

NUMERIC: Final = (
    "distance",
    "plane_year",
    "engines",
    "seats",
    "temp",
    "humid",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
)
"""Raw columns that are numbers."""

CATEGORICAL: Final = ("carrier", "origin", "dest", "manufacturer", "plane_type", "engine_type")
"""Raw columns that are names."""

RAW: Final = (*CLOCK, *NUMERIC, *CATEGORICAL)
"""Every raw column, in the order of the schema."""

LABEL: Final = "late"
CLASSES: Final = ("on time", "late")
"""What the classes 0 and 1 mean."""

TRAINING_MONTHS: Final = range(1, 7)
"""January to June; what comes after is replayed as live traffic."""

TREES: Final = 200
LEAVES: Final = 31
SEED: Final = 2013


def raw(table: pl.DataFrame) -> pl.DataFrame:
    """The raw columns of the task, in the order of the schema.

    Args:
        table: Joined flights.

    Returns:
        The columns of `RAW`.
    """
    return table.select(RAW)


def feature_set(table: pl.DataFrame) -> FeatureSet:
    """The features of the task, unfitted.

    Missing numbers are filled with the median, and whether the plane and the weather are known at
    all is a feature of its own: 15 % of the tail numbers are not in the table of planes.

    Args:
        table: Joined flights; types are taken from it.

    Returns:
        A feature set of about 75 columns.
    """
    from tidegate.features import FeatureSet, Schema, col

    departure, arrival = (col(name).dt for name in CLOCK)
    return FeatureSet(
        schema=Schema.infer(raw(table)),
        features=[
            departure.hour().cyclical(24),
            (departure.hour() * 60 + departure.minute()).alias("departure_minute"),
            departure.weekday().alias("departure_weekday"),
            arrival.hour().alias("arrival_hour"),
            col("distance").log1p().standardize(),
            col("plane_year").fill_null("median").standardize(),
            col("plane_year").is_null(),
            col("engines").fill_null("most_frequent"),
            col("seats").fill_null("median").standardize(),
            col("temp").is_null(),
            col("temp").fill_null("median").standardize(),
            col("humid").fill_null("median").min_max(),
            col("wind_speed").fill_null("median").clip(0, 60).standardize(),
            col("precip").fill_null(0).log1p(),
            col("pressure").fill_null("median").standardize(),
            col("visib").fill_null("median").min_max(),
            col("carrier").one_hot(min_count=100),
            col("origin").one_hot(),
            col("dest").one_hot(min_count=2500),
            col("manufacturer").one_hot(min_count=1000),
            col("plane_type").one_hot(min_count=100),
            col("engine_type").one_hot(min_count=100),
        ],
    )


def fit_model(features: FloatMatrix, late: npt.NDArray[np.bool_]) -> lightgbm.LGBMClassifier:
    """Trains the classifier on the float32 matrix that it will be served.

    Args:
        features: `[rows, width]` in time order.
        late: The labels, `[rows]`.

    Returns:
        200 trees of 31 leaves; the seed is fixed, so that two runs give one model.

    Raises:
        MissingDependencyError: LightGBM is not installed.
    """
    try:
        import lightgbm
    except ImportError:
        from tidegate.errors import MissingDependencyError

        raise MissingDependencyError(
            "the demo trains with LightGBM: type: pip install 'tidegate[demo]'"
        ) from None

    model = lightgbm.LGBMClassifier(
        n_estimators=TREES,
        num_leaves=LEAVES,
        learning_rate=0.05,
        min_child_samples=100,
        random_state=SEED,
        deterministic=True,
        force_row_wise=True,
        # Threads that wait by spinning take ten times as long beside any other work on two cores.
        n_jobs=1,
        verbose=-1,
    )
    return model.fit(features, late.astype(np.int32))


def area_under_curve(scores: npt.NDArray[np.floating], late: npt.NDArray[np.bool_]) -> float:
    """The chance that a late flight is scored above a punctual one, ties counting one half.

    The Mann-Whitney form: Hanley and McNeil, "The meaning and use of the area under a receiver
    operating characteristic (ROC) curve", Radiology 143 (1982).

    Args:
        scores: Predicted probabilities, `[rows]`; no NaN.
        late: The labels, `[rows]`.

    Returns:
        The area; NaN when only one class occurs.

    >>> import numpy as np
    >>> area_under_curve(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    positives = int(late.sum())
    negatives = late.size - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    return float((ranks[late].sum() - positives * (positives + 1) / 2) / (positives * negatives))
