"""Mergeable one-pass summaries, useful on their own.

Each is updated with arrays, merges with another of its kind, is pickled, and is kept as versioned
JSON, so that data larger than memory and data on many machines are summarised the same way.
NaN (for text: `None`) is missing; it is counted and never computed with.
"""

from tidegate.sketch.frequencies import Frequencies
from tidegate.sketch.histogram import Histogram
from tidegate.sketch.moments import Moments
from tidegate.sketch.quantiles import Quantiles

__all__ = ["Frequencies", "Histogram", "Moments", "Quantiles"]
