"""Mergeable one-pass summaries, useful on their own.

Each is updated with arrays (NumPy, Arrow, lists), merges with another of its kind, is pickled, and is kept as
versioned JSON, so that data larger than memory and data on many machines are summarised the same
way. NaN (for text: `None`) and nulls are missing; they are counted and never computed with.
`docs/sketches.md` states the bound of each.
"""

from tidegate.sketch.covariance import Covariance
from tidegate.sketch.distinct import Distinct
from tidegate.sketch.frequencies import Frequencies
from tidegate.sketch.frequent import FrequentItems
from tidegate.sketch.histogram import Histogram
from tidegate.sketch.moments import Moments
from tidegate.sketch.quantiles import Quantiles
from tidegate.sketch.relative import RelativeQuantiles
from tidegate.sketch.reservoir import Reservoir

__all__ = [
    "Covariance",
    "Distinct",
    "Frequencies",
    "FrequentItems",
    "Histogram",
    "Moments",
    "Quantiles",
    "RelativeQuantiles",
    "Reservoir",
]
