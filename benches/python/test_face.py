"""The Python face: what a call from Python costs.

    pytest benches/python --benchmark-enable --benchmark-only

Rows are fresh from call to call, because the same row again and again flatters caches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tidegate import FeatureSet, Runtime
from tidegate.bench.subjects import Subject


@pytest.fixture
def rows(subject: Subject) -> Iterator[dict[str, Any]]:
    assert subject.rows is not None
    return cycle(orjson.loads(subject.rows.read_bytes()))


def test_transform_row(
    benchmark: BenchmarkFixture, features: FeatureSet, rows: Iterator[dict[str, Any]]
) -> None:
    benchmark(lambda: features.transform_row(next(rows)))


def test_transform_table(
    benchmark: BenchmarkFixture, features: FeatureSet, table: pl.DataFrame
) -> None:
    assert benchmark(lambda: features.transform(table)).dtype == np.float32


def test_fit(benchmark: BenchmarkFixture, features: FeatureSet, table: pl.DataFrame) -> None:
    benchmark.pedantic(lambda: features.fit(table), rounds=5)


def test_predict(
    benchmark: BenchmarkFixture, runtime: Runtime, subject: Subject, rows: Iterator[dict[str, Any]]
) -> None:
    benchmark(lambda: runtime.predict(subject.name, next(rows)))


@pytest.mark.parametrize("count", [8, 128])
def test_predict_many_dicts(
    benchmark: BenchmarkFixture,
    runtime: Runtime,
    subject: Subject,
    rows: Iterator[dict[str, Any]],
    count: int,
) -> None:
    batches = cycle([[next(rows) for _ in range(count)] for _ in range(32)])
    benchmark(lambda: runtime.predict_many(subject.name, next(batches)))


def test_predict_many_table(
    benchmark: BenchmarkFixture, runtime: Runtime, subject: Subject, table: pl.DataFrame
) -> None:
    benchmark.pedantic(lambda: runtime.predict_many(subject.name, table), rounds=5)


@pytest.mark.parametrize("callers", [1, 32])
def test_apredict(
    benchmark: BenchmarkFixture,
    runtime: Runtime,
    subject: Subject,
    rows: Iterator[dict[str, Any]],
    callers: int,
) -> None:
    async def together() -> None:
        await asyncio.gather(*(runtime.apredict(subject.name, next(rows)) for _ in range(callers)))

    with asyncio.Runner() as runner:
        benchmark(lambda: runner.run(together()))


def test_deploy(benchmark: BenchmarkFixture, folder: Path, subject: Subject) -> None:
    """Digests checked and golden rows replayed: what a new version costs before it goes live."""
    with Runtime(folder) as runtime:
        benchmark.pedantic(lambda: runtime.deploy(subject.reference), rounds=5)
