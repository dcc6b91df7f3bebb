"""What the machine has to give for work like that of features: plain kernels in NumPy's own loops."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from tidegate.types import FloatMatrix

__all__ = ["ceiling", "floor_seconds"]

PARTS: Final = 2
"""Threads of the plain kernel that says what the machine's cores have to give."""


def _plain(columns: list[Any], out: FloatMatrix, rows: slice) -> None:
    part = out[rows]
    for at in range(part.shape[1]):
        part[:, at] = columns[at % len(columns)][rows]


def ceiling(columns: list[Any], width: int) -> float:
    """How many times as fast two threads are as one at a plain kernel of the same kind.

    It writes columns of 64 bits into a fresh row-major matrix of 32 bits, in NumPy's own loops,
    which hold no lock. What more than one core can give for this work, no code gets beyond.

    Args:
        columns: Of equal lengths.
        width: How many columns the matrix has.
    """
    rows = len(columns[0])
    blocks = [slice(at, min(at + 4_096, rows)) for at in range(0, rows, 4_096)]

    def turn(threads: int) -> float:
        begin = time.perf_counter()
        out = np.zeros((rows, width), dtype=np.float32)

        def work(first: int) -> None:
            for block in blocks[first::threads]:
                _plain(columns, out, block)

        others = [threading.Thread(target=work, args=(at,)) for at in range(1, threads)]
        for other in others:
            other.start()
        work(0)
        for other in others:
            other.join()
        return time.perf_counter() - begin

    turn(PARTS)
    one, two = min(turn(1) for _ in range(5)), min(turn(PARTS) for _ in range(5))
    return one / two


def floor_seconds(columns: list[Any]) -> float:
    """How long it takes to read these columns and to write as many float32 into fresh memory.

    Args:
        columns: Of equal lengths, of 64-bit floats.
    """
    begin = time.perf_counter()
    out = np.empty((len(columns), len(columns[0])), dtype=np.float32)
    for at, column in enumerate(columns):
        out[at] = column
    return time.perf_counter() - begin
