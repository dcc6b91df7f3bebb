"""Threads, forks, event loops, and the end of a runtime."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tidegate.demo.tiny import tiny_table
from tidegate.errors import ClosedError, InputError, NotFoundError
from tidegate.registry import Bundle
from tidegate.runtime import Runtime

ROWS = tiny_table(64, seed=3).select("x", "colour", "at").to_dicts()


def test_threads_get_their_own_answers(runtime: Runtime) -> None:
    expected = [runtime.predict("tiny", row).value for row in ROWS]

    def work(seed: int) -> None:
        for step in range(200):
            place = (seed * 31 + step) % len(ROWS)
            value = runtime.predict("tiny", ROWS[place]).value
            assert value == pytest.approx(expected[place], abs=1e-6)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work, seed) for seed in range(8)]:
            future.result(timeout=60)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_tasks_of_one_turn_share_batches(runtime: Runtime, new_loop: Any) -> None:
    expected = [runtime.predict("tiny", row).value for row in ROWS]

    async def main() -> None:
        for _ in range(5):
            answers = await asyncio.gather(*(runtime.apredict("tiny", row) for row in ROWS))
            assert [a.value for a in answers] == pytest.approx(expected, abs=1e-6)
        with pytest.raises(InputError):
            await runtime.apredict("tiny", {"x": "a"})
        with pytest.raises(NotFoundError):
            await runtime.apredict("other", ROWS[0])

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    lines = dict(
        line.rsplit(" ", 1) for line in runtime.metrics().splitlines() if not line.startswith("#")
    )
    rows = float(lines['tidegate_batch_rows_sum{model="tiny",version="1.0.0"}'])
    batches = float(lines['tidegate_batch_rows_count{model="tiny",version="1.0.0"}'])
    # 64 single calls, then 5 × 64 rows from tasks of one turn each.
    assert (rows - 64) / (batches - 64) > 4


def test_cancelled_tasks_drop_their_work(runtime: Runtime) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(runtime.apredict("tiny", row)) for row in ROWS]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        kept = results[1::2]
        assert len(kept) == 32
        assert not [result for result in kept if isinstance(result, BaseException)]

    asyncio.run(main())
    assert runtime.predict("tiny", ROWS[0]).label in (0, 1)


def test_many_loops_come_and_go(runtime: Runtime) -> None:
    async def one() -> float:
        return (await runtime.apredict("tiny", ROWS[0])).value

    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        asyncio.run(one())
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


def test_closing_twice_does_no_harm(bundle: Bundle) -> None:
    runtime = Runtime()
    runtime.deploy(bundle)
    runtime.close()
    runtime.close()
    with pytest.raises(ClosedError):
        runtime.predict("tiny", ROWS[0])
    with pytest.raises(ClosedError):
        runtime.deploy(bundle)


def test_unload_and_replace(runtime: Runtime, bundle: Bundle) -> None:
    assert runtime.deploy(bundle).revision == 2
    assert runtime.predict("tiny", ROWS[0]).revision == 2
    other = runtime.deploy(bundle, name="copy")
    assert (other.name, other.model) == ("copy", "tiny")
    assert [d.name for d in runtime.deployments()] == ["copy", "tiny"]
    runtime.unload("copy")
    with pytest.raises(NotFoundError):
        runtime.unload("copy")
    with pytest.raises(InputError, match="letters"):
        runtime.deploy(bundle, name="no/slash")
    with pytest.raises(InputError, match="registry"):
        runtime.deploy("tiny@champion")


def test_answers_while_versions_change(runtime: Runtime, bundle: Bundle) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                runtime.predict("tiny", ROWS[0])
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        runtime.deploy(bundle)
    stop.set()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures


def _in_child(bundle: str, inherited: Runtime, results: Any) -> None:
    try:
        inherited.predict("tiny", ROWS[0])
    except ClosedError as error:
        results.put(str(error))
    with Runtime() as own:
        own.deploy(bundle)
        results.put(own.predict("tiny", ROWS[0]).value)
    del inherited
    gc.collect()
    results.put("end")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_its_own(runtime: Runtime, bundle: Bundle) -> None:
    """Prefork servers load the application, then fork their workers."""
    expected = runtime.predict("tiny", ROWS[0]).value
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    children = [
        context.Process(target=_in_child, args=(os.fspath(bundle.path), runtime, results))
        for _ in range(2)
    ]
    for child in children:
        child.start()
    answers = [results.get(timeout=60) for _ in range(6)]
    for child in children:
        child.join(timeout=60)
        assert child.exitcode == 0
    assert sum("fork" in str(answer) for answer in answers) == 2
    assert answers.count(expected) == 2
    assert runtime.predict("tiny", ROWS[0]).value == expected


def _script(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own, with a home of its own."""
    names = {"PATH", "LD_LIBRARY_PATH"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={
            **{k: v for k, v in os.environ.items() if k in names},
            "HOME": str(tmp_path),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_no_second_copy_and_no_telemetry(bundle: Bundle, tmp_path: Path) -> None:
    done = _script(
        "import sys\n"
        "from tidegate.runtime import Runtime\n"
        "with Runtime() as runtime:\n"
        f"    runtime.deploy({os.fspath(bundle.path)!r})\n"
        f"    print(runtime.predict('tiny', {{'colour': 'red'}}).version)\n"
        "assert 'onnxruntime' not in sys.modules\n",
        tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "1.0.0\n"), done.stderr
    # ONNX Runtime's telemetry would have left a database and a device id in the user's folders.
    assert [str(path) for path in tmp_path.rglob("*") if path.is_file()] == []


def test_both_copies_live_in_one_process(bundle: Bundle, tmp_path: Path) -> None:
    done = _script(
        "import onnxruntime\n"
        "from tidegate.runtime import Runtime\n"
        "with Runtime() as runtime:\n"
        f"    runtime.deploy({os.fspath(bundle.path)!r})\n"
        f"    session = onnxruntime.InferenceSession({os.fspath(bundle.path / 'model.onnx')!r})\n"
        f"    print(runtime.predict('tiny', {{'colour': 'red'}}).version)\n",
        tmp_path,
        ORT_DISABLE_TELEMETRY="1",
    )
    assert (done.returncode, done.stdout) == (0, "1.0.0\n"), done.stderr


def test_an_interpreter_that_ends_without_close(bundle: Bundle, tmp_path: Path) -> None:
    done = _script(
        "from tidegate.runtime import Runtime\n"
        "runtime = Runtime()\n"
        f"runtime.deploy({os.fspath(bundle.path)!r})\n"
        "print(runtime.predict('tiny', {'colour': 'red'}).version)\n",
        tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "1.0.0\n"), done.stderr


def test_without_onnxruntime_the_command_is_named(tmp_path: Path) -> None:
    done = _script(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'onnxruntime' else find(name, *a)\n"
        "from tidegate.runtime import Runtime\n"
        "Runtime()\n",
        tmp_path,
    )
    assert done.returncode == 1
    assert 'pip install "tidegate[cpu]"' in done.stderr
