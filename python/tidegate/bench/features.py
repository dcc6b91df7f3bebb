"""Features of one row and of the whole table, against scikit-learn's ColumnTransformer.

The same columns in, the same columns out: ten numbers filled with their medians and standardised,
six names one-hot with rare ones in a bucket. Missing names are a name of their own beforehand,
since scikit-learn would make a category of them and we would not.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tidegate.bench.measure import quantile
from tidegate.errors import BackendError

if TYPE_CHECKING:
    import polars as pl

    from tidegate.types import FloatMatrix

__all__ = ["CHECKED", "RARE", "Ours", "ScikitLearn", "contest_table", "pipeline", "rare"]

RARE: Final = {
    "carrier": 100,
    "origin": 100,
    "dest": 6_200,
    "manufacturer": 100,
    "plane_type": 100,
    "engine_type": 100,
}
"""How often a name must occur in the whole table to have a column of its own: 75 columns in all."""

WHOLE: Final = 327_346
"""Rows of the whole table: the flights of 2013 that arrived."""

AGREEMENT: Final = 1e-4
"""How far float32 may be from scikit-learn's float64 after standardising."""

CHECKED: Final = 2_000
"""Rows whose features are compared."""


def contest_table(rows: int | None = None) -> pl.DataFrame:
    """The flights with ten numbers and six names, none of the names missing.

    Args:
        rows: At most so many, evenly spaced; `None` takes all that arrived.

    Raises:
        MissingDependencyError: The extra `demo` is not installed.
    """
    import polars as pl

    from tidegate.demo import data, task

    table = data.join(data.read()).table
    if rows is not None:
        table = table.gather_every(max(1, table.height // rows)).head(rows)
    numbers = (pl.col(name).cast(pl.Float64) for name in task.NUMERIC)
    names = (pl.col(name).fill_null("none") for name in task.CATEGORICAL)
    return table.select(*numbers, *names).rechunk()


def rare(name: str, rows: int) -> int:
    """How often a name must occur in so many rows to have a column of its own."""
    return max(1, RARE[name] * rows // WHOLE)


def pipeline(rows: int, *, exported: bool = False) -> Any:
    """scikit-learn's pipeline of the same features, unfitted.

    Args:
        rows: Rows of the table that it is to be fitted on.
        exported: Whether it is to become ONNX, which knows no infrequent categories: rare names
            are left out then.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from tidegate.demo import task

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    names = [
        (
            name,
            OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
            if exported
            else OneHotEncoder(
                min_frequency=rare(name, rows),
                handle_unknown="infrequent_if_exist",
                sparse_output=False,
                dtype=np.float32,
            ),
            [name],
        )
        for name in task.CATEGORICAL
    ]
    return ColumnTransformer(
        [("numbers", numbers, list(task.NUMERIC)), *names],
        sparse_threshold=0.0,
        verbose_feature_names_out=False,
    )


def _status(field: str) -> int:
    """Bytes that the kernel names in the process's status."""
    from pathlib import Path

    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise BackendError(f"the kernel tells no {field}")


class _Contender:
    """What both have in common: the rows, and the clock."""

    def __init__(self, rows: int | None) -> None:
        self._table = contest_table(rows)
        step = max(1, self._table.height // 4_096)
        self._rows = list(self._table.gather_every(step).iter_rows(named=True))
        self._next = 0

    def _row(self, row: dict[str, Any]) -> object:
        raise NotImplementedError

    def row(self, calls: int) -> dict[str, float]:
        """Features of the next rows, each from a dict: microseconds."""
        clock, rows, count = time.perf_counter_ns, self._rows, len(self._rows)
        taken = []
        for i in range(self._next, self._next + calls):
            begin = clock()
            self._row(rows[i % count])
            taken.append(clock() - begin)
        self._next += calls
        taken.sort()
        return {"p50_us": quantile(taken, 0.5) / 1e3, "p99_us": quantile(taken, 0.99) / 1e3}

    def _timed(self, transform: Any, table: Any) -> dict[str, float]:
        cpu, begin = time.process_time(), time.perf_counter()
        result = transform(table)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        return {"seconds": seconds, "cpu_seconds": cpu, "width": result.shape[1]}


class Ours(_Contender):
    """The worker with tidegate's features.

    Args:
        rows: Most rows of the table.
    """

    def __init__(self, rows: int | None = None) -> None:
        from tidegate.demo import task
        from tidegate.features import FeatureSet, Schema, col

        super().__init__(rows)
        numbers = [col(name).fill_null("median").standardize() for name in task.NUMERIC]
        names = [
            col(name).one_hot(min_count=rare(name, self._table.height)) for name in task.CATEGORICAL
        ]
        self._features = FeatureSet(
            schema=Schema.infer(self._table), features=[*numbers, *names]
        ).fit(self._table)
        scaled = [col(name).standardize() for name in task.NUMERIC]
        self._scaled = FeatureSet(schema=Schema.infer(self._table), features=scaled)
        self._scaled.fit(self._table)

    def _row(self, row: dict[str, Any]) -> object:
        return self._features.transform_row(row)

    def table(self) -> dict[str, float]:
        """The whole table to a float32 matrix: seconds."""
        return self._timed(self._features.transform, self._table)

    def fit(self) -> dict[str, float]:
        """Learns all anew from the whole table: seconds."""
        cpu, begin = time.process_time(), time.perf_counter()
        FeatureSet = type(self._features)
        FeatureSet(self._features.schema, self._features.features).fit(self._table)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        return {"seconds": seconds, "cpu_seconds": cpu}

    def scale(self) -> dict[str, float]:
        """Ten columns with missing values standardised, and the memory's floor: seconds of both."""
        from tidegate.bench.plain_kernel import floor_seconds
        from tidegate.demo import task

        numbers = self._table.select(task.NUMERIC)
        columns = [numbers[name].to_numpy() for name in task.NUMERIC]
        floor = floor_seconds(columns)
        taken = self._timed(self._scaled.transform, self._table)
        return {"seconds": taken["seconds"], "floor_seconds": floor}

    def ceiling(self) -> float:
        """How many times as fast two threads are as one at a plain kernel on this machine."""
        from tidegate.bench.plain_kernel import ceiling
        from tidegate.demo import task

        numbers = self._table.select(task.NUMERIC)
        columns = [numbers[name].fill_null(0.0).to_numpy() for name in task.NUMERIC]
        return ceiling(columns, len(self._features.get_feature_names_out()))

    def peak_mb(self) -> float:
        """Peak memory above input and output during one transform, in 10⁶ bytes."""
        from pathlib import Path

        self.table()
        gc.collect()
        # Since here the kernel counts its peak anew.
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmHWM")
        features = self._features.transform(self._table)
        return (_status("VmHWM") - before) / 1e6 - features.nbytes / 1e6

    def json_row(self, rows: int) -> dict[str, float]:
        """One row at a time from the bytes of its JSON, in Rust alone: microseconds."""
        import orjson

        from tidegate import _core

        wanted = (self._rows[at % len(self._rows)] for at in range(rows))
        bodies = [orjson.dumps({"instances": [row]}) for row in wanted]
        taken = sorted(_core.time_json(self._features.to_json(), bodies))
        return {"p50_us": quantile(taken, 0.5) / 1e3}

    def rust_row(self, rows: int) -> dict[str, float]:
        """One row at a time, in Rust alone: microseconds."""
        from tidegate import _core

        start = self._next % max(1, self._table.height - rows)
        self._next += rows
        taken = sorted(_core.time_rows(self._features.to_json(), self._table.slice(start, rows)))
        return {"p50_us": quantile(taken, 0.5) / 1e3, "p99_us": quantile(taken, 0.99) / 1e3}

    def sample(self, path: str) -> list[str]:
        """Writes the features of some rows to a NumPy file, and returns their names."""
        np.save(path, self._features.transform(self._table.head(CHECKED)))
        return [str(name) for name in self._features.get_feature_names_out()]


class ScikitLearn(_Contender):
    """The worker with scikit-learn's pipeline, fed with the table that it likes best.

    Args:
        rows: Most rows of the table.
    """

    def __init__(self, rows: int | None = None) -> None:
        super().__init__(rows)
        self._pipeline = pipeline(self._table.height)
        self._frame = self._table.to_pandas() if _has_pandas() else self._table
        self._pipeline.fit(self._frame)

    def _row(self, row: dict[str, Any]) -> object:
        return self._pipeline.transform(type(self._frame)([row]))

    def table(self) -> dict[str, float]:
        """The whole table to a matrix: seconds."""
        return self._timed(self._pipeline.transform, self._frame)

    def fit(self) -> dict[str, float]:
        """Learns all anew from the whole table: seconds."""
        cpu, begin = time.process_time(), time.perf_counter()
        pipeline(self._table.height).fit(self._frame)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        return {"seconds": seconds, "cpu_seconds": cpu}

    def differences(self, path: str, names: list[str]) -> dict[str, object]:
        """Compares the other's features of the same rows with its own, column by column.

        Args:
            path: What `Ours.sample` wrote.
            names: The names of its columns.

        Returns:
            How many columns were compared, and the names of those that differ.
        """
        theirs: FloatMatrix = np.load(path)
        mine = np.asarray(self._pipeline.transform(self._frame[:CHECKED]), dtype=np.float64)
        index = {str(name): at for at, name in enumerate(self._pipeline.get_feature_names_out())}
        wrong, compared = [], 0
        for at, name in enumerate(names):
            column, _, value = name.partition("=")
            if value == "(unknown)":
                value = "infrequent_sklearn"
            other = index.get(f"{column}_{value}" if value else column)
            if other is None:
                continue
            compared += 1
            if not np.allclose(theirs[:, at], mine[:, other], rtol=AGREEMENT, atol=AGREEMENT):
                wrong.append(name)
        return {"compared": compared, "wrong": wrong, "of": len(index)}


def _has_pandas() -> bool:
    import importlib.util

    return all(importlib.util.find_spec(name) is not None for name in ("pandas", "pyarrow"))
