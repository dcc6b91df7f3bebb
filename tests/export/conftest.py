"""Data with what breaks exports: missing values, exact zeros, codes, ties."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

# Two OpenMP libraries that spin on few cores take a hundred times as long as one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@dataclass(frozen=True)
class Data:
    """Column 4 is half zeros, column 5 holds codes; `holes` has missing values everywhere."""

    full: npt.NDArray[np.float32]
    holes: npt.NDArray[np.float32]
    binary: npt.NDArray[np.int64]
    three: npt.NDArray[np.int64]
    amount: npt.NDArray[np.float64]


@pytest.fixture(scope="session")
def data() -> Data:
    random = np.random.default_rng(7)
    rows = 3_000
    full = random.normal(size=(rows, 6)).astype(np.float32)
    full[:, 4] *= random.random(rows) < 0.5
    full[:, 5] = random.integers(0, 50, rows)
    member = full[:, 5] % 3 == 0
    score = full[:, 0] + full[:, 1] ** 2 + member + random.normal(size=rows) / 2
    holes = full.copy()
    holes[random.random(full.shape) < 0.1] = np.nan
    return Data(
        full=full,
        holes=holes,
        binary=(score > 1.0).astype(np.int64),
        three=np.digitize(score, [0.0, 1.5]).astype(np.int64),
        amount=(3.0 * score + full[:, 2]).astype(np.float64),
    )
