"""What is served in the benchmarks: a bare tree model, and the bundle of the demonstration."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from tidegate.bench.load import write_cases

if TYPE_CHECKING:
    import polars as pl

    from tidegate.registry import Bundle
    from tidegate.types import FloatMatrix

__all__ = [
    "FLIGHTS",
    "TREES",
    "Subject",
    "Tables",
    "build_flights",
    "build_tables",
    "build_trees",
    "session",
]

TREES: Final = "trees"
FLIGHTS: Final = "flight-delay"

BODIES: Final = 2_048
"""Different rows that are sent: the same few again and again would flatter a tree model."""

TABLES: Final = 256
TABLE_ROWS: Final = 100
"""Requests of many rows: together as many different rows as keep a tree model from learning them."""

WIDTH: Final = 20
ROWS: Final = 20_000
SEED: Final = 20
ANSWER: Final = ('"probabilities"', '"data"')
"""Where the probabilities stand in an answer: the output of that name, then its data."""

ROWS_PER_MONTH: Final = 8_000
"""Training rows of the flights, of up to 29,000 a month: the size of the trees does not depend on it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A published model, and the requests that ask for it.

    Attributes:
        name: The name of the model.
        reference: What `tidegate serve` is given.
        registry: Where it is published.
        onnx: The graph, for those who serve it otherwise.
        cases: Request bodies with the probabilities that are due.
        matrix: What the model itself takes, as a NumPy file.
        rows: For the flights: the raw rows as JSON dicts.
        features: For the flights: what the features have learned, for those who compute them
            otherwise.
    """

    name: str
    reference: str
    registry: Path
    onnx: Path
    cases: Path
    matrix: Path
    rows: Path | None = None
    features: Path | None = None

    def service(self, port: int) -> list[str]:
        """What a service of `benches/peers` is given: `MODEL PORT`, and the features if it has any.

        Args:
            port: The port that it listens at.
        """
        features = () if self.features is None else ("--features", str(self.features))
        return [str(self.onnx), str(port), *features]


@dataclass(frozen=True, slots=True)
class Tables:
    """Requests of many rows each.

    Attributes:
        rows: Rows of a request.
        as_json: The requests as JSON.
        as_binary: The same with binary tensors, answered in binary.
        head: Bytes of JSON before the tensor of a binary request.
        matrix: All rows as the model takes them, as a NumPy file.
    """

    rows: int
    as_json: Path
    as_binary: Path
    head: int
    matrix: Path


def session(onnx: Path) -> Any:
    """Python's ONNX Runtime on one thread, as a careful user would set it up.

    Args:
        onnx: The graph.

    Raises:
        MissingDependencyError: `onnxruntime` is not installed.
    """
    from tidegate.library import quiet

    quiet()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])


def build_trees(folder: Path) -> Subject:
    """LightGBM with 200 trees of 31 leaves on 20 numbers, served as the tensors that it takes.

    Args:
        folder: Where to put it.

    Returns:
        The subject; its rows are random and its requests carry four decimals a number.

    Raises:
        MissingDependencyError: The extra `training` is not installed.
    """
    import lightgbm

    from tidegate.registry import Bundle, Registry

    random = np.random.default_rng(SEED)
    X = random.normal(size=(ROWS, WIDTH)).round(4).astype(np.float32)
    signal = X[:, 0] * X[:, 1] + np.sin(3 * X[:, 2]) + X[:, 3:8].sum(axis=1) / 2
    late = signal + random.normal(size=ROWS) > 0
    model = lightgbm.LGBMClassifier(
        n_estimators=200, num_leaves=31, random_state=SEED, n_jobs=1, deterministic=True, verbose=-1
    ).fit(X, late)
    bundle = Bundle.build(TREES, "1.0.0", model=model, sample=X)
    registry = folder / "registry"
    Registry(registry).publish(bundle, alias="champion")
    onnx = _copy_onnx(bundle, folder)
    run = session(onnx)
    entry = run.get_inputs()[0].name
    fresh = random.normal(size=(BODIES, WIDTH)).round(4)
    expected = run.run(["probabilities"], {entry: fresh.astype(np.float32)})[0]
    bodies = [
        orjson.dumps(
            {"inputs": [{"name": entry, "shape": [1, WIDTH], "datatype": "FP32", "data": row}]},
            option=orjson.OPT_SERIALIZE_NUMPY,
        )
        for row in fresh
    ]
    cases = folder / "trees.json"
    write_cases(cases, bodies, expected.tolist())
    matrix = folder / "trees.npy"
    np.save(matrix, fresh.astype(np.float32))
    return Subject(TREES, f"{TREES}@champion", registry, onnx, cases, matrix)


def build_tables(subject: Subject, folder: Path) -> Tables:
    """Requests of many rows for the bare tree model, as JSON and as binary tensors.

    Args:
        subject: What `build_trees` built.
        folder: Where to put them.

    Returns:
        The requests.
    """
    random = np.random.default_rng(SEED + 1)
    rows = random.normal(size=(TABLES * TABLE_ROWS, WIDTH)).round(4)
    matrix = folder / "tables.npy"
    np.save(matrix, rows.astype(np.float32))
    run = session(subject.onnx)
    entry = run.get_inputs()[0].name
    plain = {"name": entry, "shape": [TABLE_ROWS, WIDTH], "datatype": "FP32"}
    size = {"binary_data_size": 4 * TABLE_ROWS * WIDTH}
    head = orjson.dumps(
        {
            "inputs": [{**plain, "parameters": size}],
            "parameters": {"binary_data_output": True},
        }
    )
    texts, binaries, expected = [], [], []
    for table in np.split(rows, TABLES):
        X = table.astype(np.float32)
        expected.append(run.run(["probabilities"], {entry: X})[0].ravel().tolist())
        document = {"inputs": [{**plain, "data": table.ravel()}]}
        texts.append(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY))
        binaries.append(head + X.tobytes())
    as_json, as_binary = folder / "tables.json", folder / "tables-binary.json"
    write_cases(as_json, texts, expected)
    write_cases(as_binary, binaries, expected)
    return Tables(TABLE_ROWS, as_json, as_binary, len(head), matrix)


def build_flights(folder: Path) -> Subject:
    """The bundle of `tidegate demo`: 18 raw columns, their features, 200 trees of 31 leaves.

    Args:
        folder: Where to put it.

    Returns:
        The subject; its requests are flights of the second half of the year, spread over it.

    Raises:
        MissingDependencyError: The extra `demo` is not installed.
    """
    from tidegate.demo import data, steps, task

    flights = data.join(data.read()).table
    trained = steps.train(flights, ROWS_PER_MONTH)
    bundle = steps.build(trained)
    registry = folder / "registry"
    steps.publish(bundle, registry)
    onnx = _copy_onnx(bundle, folder)
    features = folder / "flights-features.json"
    shutil.copyfile(bundle.path / "features.json", features)
    live = steps.select(flights, range(7, 13), None)
    table = task.raw(live.gather_every(max(1, live.height // (4 * BODIES))).head(4 * BODIES))
    X = trained.features.transform(table)
    matrix = folder / "flights.npy"
    np.save(matrix, X)
    rows = folder / "flights-rows.json"
    rows.write_bytes(orjson.dumps([_plain(row) for row in table.iter_rows(named=True)]))
    cases = folder / "flights.json"
    write_cases(cases, v2_bodies(table.head(BODIES)), _probabilities(onnx, X[:BODIES]))
    return Subject(
        task.MODEL,
        f"{task.MODEL}@{steps.ALIAS}",
        registry,
        onnx,
        cases,
        matrix,
        rows=rows,
        features=features,
    )


def _copy_onnx(bundle: Bundle, folder: Path) -> Path:
    """The graph beside the registry: a bundle's own folder goes with the bundle."""
    target = folder / f"{bundle.name}.onnx"
    shutil.copyfile(bundle.path / "model.onnx", target)
    return target


def _probabilities(onnx: Path, X: FloatMatrix) -> list[list[float]]:
    run = session(onnx)
    answer: list[list[float]] = run.run(["probabilities"], {run.get_inputs()[0].name: X})[
        0
    ].tolist()
    return answer


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its timestamps as microseconds since 1970, which JSON can hold."""
    return {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1_000_000)
    return value


def v2_bodies(table: pl.DataFrame) -> list[bytes]:
    """One V2 request a row: each raw column an input of shape `[1, 1]`, a missing one left out.

    Args:
        table: Raw columns of the types bool, integer, float, string and timestamp.
    """
    kinds = {name: _datatype(str(dtype)) for name, dtype in table.schema.items()}
    return [orjson.dumps({"inputs": _inputs(row, kinds)}) for row in table.iter_rows(named=True)]


def _inputs(row: dict[str, Any], kinds: dict[str, str]) -> Sequence[dict[str, Any]]:
    return [
        {"name": name, "shape": [1, 1], "datatype": kinds[name], "data": [_cell(value)]}
        for name, value in row.items()
        if value is not None
    ]


def _datatype(dtype: str) -> str:
    if dtype.startswith("Float"):
        return "FP64"
    if dtype.startswith(("Int", "UInt", "Datetime")):
        return "INT64"
    return {"Boolean": "BOOL"}.get(dtype, "BYTES")
