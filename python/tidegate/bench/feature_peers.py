"""What the feature set of the benchmarks is by hand: in polars, in NumPy, and as scikit-learn's ONNX.

Each holds the table in the form that it likes best and gives the same row-major matrix of float32;
what is learned (medians, means, deviations, categories) is learned beforehand.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.bench.features import CHECKED, contest_table, rare
from tidegate.bench.measure import quantile

if TYPE_CHECKING:
    import polars as pl

    from tidegate.types import FloatMatrix

__all__ = ["NumPy", "Onnx", "Polars"]


class _ByHand:
    """The rows, and what is learned from them."""

    def __init__(self, rows: int | None) -> None:
        from tidegate.demo import task

        self._table = contest_table(rows)
        self._numbers: list[tuple[str, float, float, float]] = []
        for name in task.NUMERIC:
            column = self._table[name]
            median = float(column.median())  # type: ignore[arg-type]
            filled = column.fill_null(median)
            mean, deviation = float(filled.mean()), float(filled.std(ddof=0))  # type: ignore[arg-type]
            self._numbers.append((name, median, mean, 1 / deviation))
        self._names: list[tuple[str, list[str]]] = []
        for name in task.CATEGORICAL:
            counts = self._table[name].value_counts()
            least = rare(name, self._table.height)
            kept = counts.filter(counts["count"] >= least)[name]
            self._names.append((name, sorted(kept.to_list())))
        self._width = len(self._numbers) + sum(len(kept) + 1 for _, kept in self._names)

    def _transform(self) -> FloatMatrix:
        raise NotImplementedError

    def table(self) -> dict[str, float]:
        """The whole table to a matrix: seconds."""
        cpu, begin = time.process_time(), time.perf_counter()
        result = self._transform()
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        return {"seconds": seconds, "cpu_seconds": cpu, "width": result.shape[1]}

    def agrees(self, path: str) -> bool:
        """Are the first rows those that `Ours.sample` wrote? Both have their columns in one order."""
        mine: FloatMatrix = self._transform()[:CHECKED]
        return bool(np.allclose(mine, np.load(path), rtol=1e-4, atol=1e-4))


class Polars(_ByHand):
    """The worker with polars: one select, its names as enumerations beforehand.

    Args:
        rows: Most rows of the table.
    """

    def __init__(self, rows: int | None = None) -> None:
        import polars as pl

        super().__init__(rows)
        numbers = [
            ((pl.col(name).fill_null(median) - mean) * scale).cast(pl.Float32)
            for name, median, mean, scale in self._numbers
        ]
        names: list[pl.Expr] = []
        for name, kept in self._names:
            code = pl.col(name).cast(pl.Enum(kept), strict=False).to_physical()
            is_kept = ((code == at).fill_null(False) for at in range(len(kept)))
            for at, marked in enumerate((*is_kept, code.is_null())):
                names.append(marked.cast(pl.Float32).alias(f"{name}={at}"))
        self._select = [*numbers, *names]

    def _transform(self) -> FloatMatrix:
        matrix: FloatMatrix = self._table.select(self._select).to_numpy(order="c")
        return matrix


class NumPy(_ByHand):
    """The worker with NumPy alone: numbers as arrays, names as arrays of bytes.

    Args:
        rows: Most rows of the table.
    """

    def __init__(self, rows: int | None = None) -> None:
        super().__init__(rows)
        self._columns = {name: self._table[name].to_numpy() for name, *_ in self._numbers}
        self._texts = {
            name: np.array([text.encode() for text in self._table[name]]) for name, _ in self._names
        }
        self._kept = {
            name: np.array([text.encode() for text in kept]) for name, kept in self._names
        }

    def _transform(self) -> FloatMatrix:
        rows = self._table.height
        out = np.zeros((rows, self._width), dtype=np.float32)
        for at, (name, median, mean, scale) in enumerate(self._numbers):
            column = self._columns[name]
            out[:, at] = (np.where(np.isnan(column), median, column) - mean) * scale
        first, every = len(self._numbers), np.arange(rows)
        for name, _ in self._names:
            texts, kept = self._texts[name], self._kept[name]
            place = np.searchsorted(kept, texts)
            found = kept[np.minimum(place, len(kept) - 1)] == texts
            out[every, first + np.where(found, place, len(kept))] = 1.0
            first += len(kept) + 1
        return out


class Onnx:
    """The worker with scikit-learn's pipeline as ONNX: one row from a dict.

    Args:
        rows: Most rows of the table.
    """

    def __init__(self, rows: int | None = None) -> None:
        import onnxruntime as ort
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType, StringTensorType

        from tidegate.bench.features import pipeline
        from tidegate.demo import task

        table = contest_table(rows)
        frame = table.to_pandas()
        fitted = pipeline(table.height, exported=True).fit(frame)
        types = [(name, FloatTensorType([None, 1])) for name in task.NUMERIC]
        types += [(name, StringTensorType([None, 1])) for name in task.CATEGORICAL]
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = to_onnx(fitted, initial_types=types).SerializeToString()
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._numeric, self._names = task.NUMERIC, task.CATEGORICAL
        step = max(1, table.height // 4_096)
        self._rows = list(table.gather_every(step).iter_rows(named=True))
        self._next = 0

    def _row(self, row: dict[str, Any]) -> object:
        feed: dict[str, Any] = {}
        for name in self._numeric:
            value = row[name]
            feed[name] = np.array([[np.nan if value is None else value]], dtype=np.float32)
        for name in self._names:
            feed[name] = np.array([[row[name]]], dtype=object)
        return self._session.run(None, feed)

    def row(self, calls: int) -> dict[str, float]:
        """Features of the next rows, each from a dict: microseconds."""
        clock, count = time.perf_counter_ns, len(self._rows)
        taken = []
        for at in range(self._next, self._next + calls):
            begin = clock()
            self._row(self._rows[at % count])
            taken.append(clock() - begin)
        self._next += calls
        taken.sort()
        return {"p50_us": quantile(taken, 0.5) / 1e3}
