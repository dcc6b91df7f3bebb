"""Subjects of the micro-benchmarks: built once, small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tidegate import FeatureSet, Runtime
from tidegate.bench.subjects import Subject, build_flights
from tidegate.demo import data, task


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return build_flights(tmp_path_factory.mktemp("subject"))


@pytest.fixture(scope="session")
def table() -> pl.DataFrame:
    return task.raw(data.join(data.read()).table.gather_every(10))


@pytest.fixture(scope="session")
def features(table: pl.DataFrame) -> FeatureSet:
    return task.feature_set(table).fit(table)


@pytest.fixture(scope="session")
def runtime(subject: Subject) -> Iterator[Runtime]:
    with Runtime(subject.registry) as runtime:
        runtime.deploy(subject.reference)
        yield runtime


@pytest.fixture(scope="session")
def folder(subject: Subject) -> Path:
    return subject.registry
