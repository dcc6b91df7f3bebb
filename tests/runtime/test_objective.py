"""A latency objective: how it is written, and what it does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tidegate.configuration.duration import seconds
from tidegate.errors import InputError, OverloadedError
from tidegate.registry import Bundle
from tidegate.runtime import Options, Runtime


@pytest.mark.parametrize(
    ("text", "time"),
    [("20ms", 0.02), ("1.5s", 1.5), ("250us", 0.00025), ("3 ms", 0.003), (2, 2.0), (0.5, 0.5)],
)
def test_times_are_read(text: str | float, time: float) -> None:
    assert seconds(text) == pytest.approx(time)


@pytest.mark.parametrize("text", ["", "20", "ms", "-1s", "1y", "1e3ms", "20ms later"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"500us, 20ms or 1\.5s"):
        seconds(text)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (-1.0, "objective is -1 seconds"),
        (0.0, "objective is 0ns"),
        ("90000s", "objective is 90000"),
    ],
)
def test_what_is_no_objective_is_refused(
    objective: str | float, message: str, linear: Path
) -> None:
    with Runtime() as runtime, pytest.raises(InputError, match=message):
        runtime.deploy(linear, objective=objective)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(max_queue_bytes=0), "max_queue_bytes is 0"),
        (Options(max_batch_rows=0), "max_batch_rows is 0"),
        (Options(max_delay="0ms"), "max_delay is 0ns"),
        (Options(max_delay="late"), "time 'late'"),
        (Options(instances=65), "instances is 65: give 1 to 64"),
        (Options(instances=0), "instances is 0: give 1 to 64"),
    ],
)
def test_bounds_out_of_range_are_named(options: Options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Runtime(options=options)


def _instances(runtime: Runtime) -> int:
    """The number of instances that the runtime says it has."""
    (line,) = [
        line
        for line in runtime.metrics().splitlines()
        if line.startswith("tidegate_model_instances{")
    ]
    return int(line.rpartition(" ")[2])


def test_a_model_has_as_many_instances_as_asked_for(bundle: Bundle) -> None:
    with Runtime(options=Options(instances=3)) as runtime:
        runtime.deploy(bundle)
        assert _instances(runtime) == 3
        runtime.deploy(bundle, instances=2)
        assert _instances(runtime) == 2
        runtime.deploy(bundle, objective="60s")
        assert _instances(runtime) == 2


@pytest.mark.parametrize(("rows", "size"), [(1, None), (None, 1)], ids=["rows", "bytes"])
def test_the_bounds_of_one_model_hold(rows: int | None, size: int | None, bundle: Bundle) -> None:
    row = {"x": 1.0, "colour": "red"}
    with Runtime() as runtime:
        runtime.deploy(bundle)

        async def both() -> list[object]:
            asked = [runtime.apredict("tiny", row) for _ in range(2)]
            return list(await asyncio.gather(*asked, return_exceptions=True))

        assert not any(isinstance(one, Exception) for one in asyncio.run(both()))
        runtime.deploy(bundle, max_queue_rows=rows, max_queue_bytes=size)
        assert any(isinstance(one, OverloadedError | InputError) for one in asyncio.run(both()))


def test_an_objective_that_can_be_kept_changes_nothing(bundle: Bundle) -> None:
    row = {"x": 1.0, "colour": "red"}
    with Runtime() as plain, Runtime() as kept:
        plain.deploy(bundle)
        kept.deploy(bundle, objective="60s")
        expected = plain.predict("tiny", row)
        for _ in range(50):
            prediction = kept.predict("tiny", row)
            for name, values in expected.outputs.items():
                np.testing.assert_array_equal(prediction.outputs[name], values)
        metrics = kept.metrics()
    assert 'tidegate_model_instances{model="tiny",version="1.0.0"}' in metrics
    assert 'tidegate_batch_cost_seconds{model="tiny",version="1.0.0",rows="1"}' in metrics
    assert 'version="1.0.0",reason="deadline"} 0' in metrics


def _is_refused(runtime: Runtime) -> bool:
    """Whether the queue refuses a request: what no model can keep is refused for every one."""
    try:
        asyncio.run(runtime.apredict("tiny", {"x": 1.0, "colour": "red"}))
    except OverloadedError:
        return True
    return False


def test_an_objective_stays_with_its_name(bundle: Bundle) -> None:
    with Runtime() as runtime:
        runtime.deploy(bundle, objective="1us")
        assert _is_refused(runtime)
        runtime.deploy(bundle)
        assert _is_refused(runtime)
        runtime.deploy(bundle, objective="60s")
        assert not _is_refused(runtime)
        runtime.unload("tiny")
        runtime.deploy(bundle)
        assert not _is_refused(runtime)


def test_options_give_every_model_an_objective(bundle: Bundle) -> None:
    with Runtime(options=Options(objective="1us")) as runtime:
        runtime.deploy(bundle)
        assert _is_refused(runtime)
        runtime.deploy(bundle, objective="60s")
        assert not _is_refused(runtime)
    with pytest.raises(InputError, match="20ms"):
        Runtime(options=Options(objective="soon"))
