"""Work that takes long: on any number of cores, with progress, interrupted, over streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest

from tidegate.errors import InputError
from tidegate.features import Expr, FeatureSet, Field, Schema, col

ROWS = 150_000


def flights(rows: int = ROWS) -> pa.Table:
    """Numbers of which some are missing, and texts short and long."""
    rng = np.random.default_rng(7)
    values = rng.normal(size=rows)
    names = np.array(["EWR", "JFK", "LGA", "a name of more than twelve bytes", "Zürich"])
    return pa.table(
        {
            "x": pa.array(values, mask=rng.random(rows) < 0.1),
            "y": pa.array(rng.normal(size=rows) * 1e6),
            "name": pa.array(names[rng.integers(0, len(names), rows)]),
        }
    )


FEATURES: list[Expr] = [
    col("x").fill_null("median").standardize(),
    (col("y").round(2) * 3 - 1).clip(-1e5, 1e5),
    col("x").fill_null("median").bucketize(7),
    col("name").one_hot(),
    col("name").count_encode(),
]


@contextmanager
def cores(count: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def test_the_same_on_any_number_of_cores() -> None:
    table = flights()
    schema = Schema.infer(table)
    small = pa.concat_tables([table.slice(at, 7_001) for at in range(0, ROWS, 7_001)])
    found = []
    for count in (1, 64):
        with cores(count):
            features = FeatureSet(schema, FEATURES).fit(table)
            whole = features.transform(table)
            for other in (small, table):
                np.testing.assert_array_equal(features.transform(other), whole)
                sparse = features.transform(other, output="sparse")
                np.testing.assert_array_equal(sparse.toarray(), whole)
                arrow = pa.table(features.transform(other, output="arrow"))
                columns = [arrow.column(at).to_numpy() for at in range(arrow.num_columns)]
                np.testing.assert_array_equal(np.stack(columns, axis=1), whole)
            found.append((features.fingerprint, whole.tobytes()))
    assert found[0] == found[1]


def test_an_error_in_a_small_chunk_names_it() -> None:
    table = flights(50_000)
    features = FeatureSet(Schema.infer(table), [col("x").round()]).fit(table)
    bad = pa.table({"x": [1.0, float("inf")]})
    chunks = [table.select(["x"]).slice(at, 5_000) for at in range(0, 50_000, 5_000)]
    chunks.insert(7, bad)
    broken = pa.concat_tables(chunks)
    for output in ("matrix", "sparse", "arrow"):
        with pytest.raises(InputError, match=r"in chunk 7, which begins at row 35000: .* row 1"):
            features.transform(broken, output=output)


def test_progress_is_told_to_the_end() -> None:
    table = flights()
    told: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        told.append((done, total))

    features = FeatureSet(Schema.infer(table), FEATURES)
    features.fit(table, progress=progress)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told.pop() == (2 * ROWS, 2 * ROWS)
    told.clear()
    features.transform(table, progress=progress)
    assert told.pop() == (ROWS, ROWS)
    told.clear()
    halves = [table.slice(0, ROWS // 2), table.slice(ROWS // 2)]
    features.fit(halves, progress=progress)
    assert told.pop() == (2 * ROWS, None)


def test_what_the_callback_raises_is_raised() -> None:
    table = flights()

    def progress(done: int, total: int | None) -> None:
        raise LookupError(f"{done} of {total}")

    features = FeatureSet(Schema.infer(table), FEATURES)
    with pytest.raises(LookupError):
        features.fit(table, progress=progress)
    features.fit(table)
    with pytest.raises(LookupError):
        features.transform(table, progress=progress)


def test_ctrl_c_ends_a_fit_within_a_moment() -> None:
    # One chunk a thousand times: half a minute of work that takes no memory.
    chunk = pa.array(np.random.default_rng(1).random(50_000))
    table = pa.table({"x": pa.chunked_array([chunk] * 4_000)})
    value = col("x").exp().log1p().expm1().log()
    features = FeatureSet(Schema.infer(table.slice(0, 10)), [value.standardize()])
    told: list[int] = []
    begun = threading.Event()

    def press() -> None:
        begun.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def progress(done: int, _total: int | None) -> None:
        told.append(done)
        begun.set()

    # Whoever starts the tests in the background may have told them to ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    presser = threading.Thread(target=press)
    presser.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            features.fit(table, progress=progress)
    finally:
        begun.set()
        presser.join()
        signal.signal(signal.SIGINT, before)
    assert told[-1] < table.num_rows // 2


def test_a_stream_larger_than_the_memory_is_learned_from() -> None:
    program = textwrap.dedent(
        """
        import resource
        import numpy as np
        import pyarrow as pa
        from tidegate.features import FeatureSet, Field, Schema, col

        ROWS, BATCHES = 200_000, 200
        SCHEMA = pa.schema([("x", pa.float64()), ("y", pa.float64())])
        features = FeatureSet(
            Schema([Field("x", "float64", nullable=False), Field("y", "float64", nullable=False)]),
            [col("x").standardize(), col("y").robust_scale()],
        )

        def batches():
            values = np.arange(ROWS, dtype=np.float64)
            for at in range(BATCHES):
                yield pa.record_batch([values + at, values * 2.0 + at], schema=SCHEMA)

        features.fit(pa.RecordBatchReader.from_batches(SCHEMA, list(batches())[:1]))
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        data = ROWS * BATCHES * 16
        room = data // 4
        resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
        for source in (pa.RecordBatchReader.from_batches(SCHEMA, batches()), batches):
            features.fit(source)
            row = features.transform_row({"x": 0.0, "y": 0.0})
            assert np.isfinite(row).all()
        try:
            bytearray(data)
        except MemoryError:
            print("capped")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "capped"


def test_explain_says_what_is_folded_and_what_shares_a_step() -> None:
    features = FeatureSet(
        Schema([Field("x", "float64", nullable=False)]),
        [((col("x") + 1) * 2).clip(0, 9).alias("a"), (col("x") ** 2).alias("b")],
    )
    before = features.explain()
    assert "constant" not in before
    after = features.fit(pa.table({"x": [1.0]})).explain()
    assert "#1 1 is a number, a constant" in after
    assert ", in step 1 with #" in after
    assert after.splitlines()[-1].startswith("2 steps over ")
