"""Cells and distances as `docs/drift.md` defines them, in NumPy, from raw values."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def edges_of(values: Floats, bins: int = 10) -> Floats:
    """The edges as `docs/drift.md` defines them."""
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return values
    points = np.quantile(values, np.arange(bins + 1) / bins, method="higher")
    edges = list(np.unique(points))
    for value, times in Counter(points.tolist()).items():
        if times > 1:
            above = values[values > value]
            edges.append(above[0] if len(above) else value)
    edges.sort()
    top = edges[-1]
    closed = edges.count(top) > 1
    return np.array([*np.unique(edges), *([top] if closed else [])])


def counts_of(values: Floats, edges: Floats) -> Floats:
    present = values[~np.isnan(values)]
    if not len(edges):
        return np.array([len(present), np.isnan(values).sum()], dtype=float)
    return np.array(
        [
            (present < edges[0]).sum(),
            *np.histogram(present[np.isfinite(present)], edges)[0],
            (present > edges[-1]).sum(),
            np.isnan(values).sum(),
        ],
        dtype=float,
    )


def psi_of(baseline: Floats, live: Floats) -> float:
    p = np.maximum(baseline / baseline.sum(), 1e-4)
    q = np.maximum(live / live.sum(), 1e-4)
    return float(((q - p) * np.log(q / p)).sum())


def js_of(baseline: Floats, live: Floats) -> float:
    p, q = baseline / baseline.sum(), live / live.sum()
    m = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log2(p / m), 0) + np.where(q > 0, q * np.log2(q / m), 0)
    return math.sqrt(terms.sum() / 2)
