"""One row from a dict through the embedded runtime, against the bare call of ONNX Runtime.

The two never share a process: one that serves does not load Python's ONNX Runtime, which is a
second copy of the library with threads of its own. They take turns on the same core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from tidegate.bench.measure import quantile

__all__ = ["CALLS", "Bare", "Embedded"]

CALLS: Final = 2_000
"""Calls a turn: about a twentieth of a second."""


def _time(calls: int, call: Callable[[int], object], start: int) -> dict[str, float]:
    clock = time.perf_counter_ns
    taken = []
    cpu = time.process_time_ns()
    for i in range(start, start + calls):
        begin = clock()
        call(i)
        taken.append(clock() - begin)
    cpu = time.process_time_ns() - cpu
    taken.sort()
    return {
        "p50_us": quantile(taken, 0.5) / 1e3,
        "p99_us": quantile(taken, 0.99) / 1e3,
        "cpu_us": cpu / calls / 1e3,
    }


class Embedded:
    """The worker that predicts through `Runtime.predict`, features included.

    Args:
        registry: Where the model is published.
        reference: The model.
        rows: Raw rows as JSON dicts.
        watch: Whether the calls are observed.
    """

    def __init__(self, registry: str, reference: str, rows: str, watch: bool = True) -> None:
        from tidegate.runtime import Options, Runtime

        self._runtime = Runtime(registry, Options(watch=watch))
        self._name = self._runtime.deploy(reference).name
        self._rows: list[dict[str, Any]] = orjson.loads(Path(rows).read_bytes())
        self._next = 0

    def turn(self, calls: int) -> dict[str, float]:
        """Predicts the next rows, one call each."""
        rows, predict, name, count = self._rows, self._runtime.predict, self._name, len(self._rows)
        start, self._next = self._next, self._next + calls
        return _time(calls, lambda i: predict(name, rows[i % count]), start)

    def outputs(self, rows: int) -> list[list[float]]:
        """The probabilities of the first rows, to be compared with the other's."""
        chosen = self._rows[:rows]
        answers = (self._runtime.predict(self._name, row) for row in chosen)
        return [np.asarray(answer.outputs["probabilities"]).ravel().tolist() for answer in answers]


class Bare:
    """The worker that calls `session.run` on rows of a ready matrix.

    Args:
        onnx: The graph.
        matrix: A NumPy file with the features.
    """

    def __init__(self, onnx: str, matrix: str) -> None:
        from tidegate.bench.subjects import session

        self._session = session(Path(onnx))
        self._input = self._session.get_inputs()[0].name
        self._matrix = np.load(matrix)
        self._next = 0

    def turn(self, calls: int) -> dict[str, float]:
        """Runs the next rows, one call each."""
        run, name, matrix = self._session.run, self._input, self._matrix
        count = len(matrix)
        rows = [matrix[i : i + 1] for i in range(count)]
        start, self._next = self._next, self._next + calls
        return _time(calls, lambda i: run(None, {name: rows[i % count]}), start)

    def batches(self, rows: int, calls: int) -> dict[str, float]:
        """Runs batches, and gives the time and the CPU time of a row in them.

        Args:
            rows: Rows of a batch.
            calls: How many batches; they go through the matrix, which should be large.
        """
        run, name, matrix = self._session.run, self._input, self._matrix
        last = len(matrix) - rows + 1
        starts = [(self._next + i) * rows % last for i in range(calls)]
        self._next += calls
        cpu, begin = time.process_time_ns(), time.perf_counter_ns()
        for start in starts:
            run(None, {name: matrix[start : start + rows]})
        wall, cpu = time.perf_counter_ns() - begin, time.process_time_ns() - cpu
        return {"row_us": wall / calls / rows / 1e3, "row_cpu_us": cpu / calls / rows / 1e3}

    def outputs(self, rows: int) -> list[list[float]]:
        """The probabilities of the first rows, to be compared with the other's."""
        feed = {self._input: self._matrix[:rows]}
        answer: list[list[float]] = self._session.run(["probabilities"], feed)[0].tolist()
        return answer
