"""A latency objective: how it is written, and what it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tidegate.errors import InputError
from tidegate.registry import Bundle
from tidegate.runtime import Options, Runtime
from tidegate.runtime.duration import seconds


@pytest.mark.parametrize(
    ("text", "time"),
    [("20ms", 0.02), ("1.5s", 1.5), ("250us", 0.00025), ("3 ms", 0.003), (2, 2.0), (0.5, 0.5)],
)
def test_times_are_read(text: str | float, time: float) -> None:
    assert seconds(text) == pytest.approx(time)


@pytest.mark.parametrize("text", ["", "20", "ms", "-1s", "1h", "1e3ms", "20ms later"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"500us, 20ms or 1\.5s"):
        seconds(text)
    with pytest.raises(InputError, match=r"500us, 20ms or 1\.5s"):
        Runtime(options=Options(objective=text))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(objective=-1.0), "objective is -1 seconds"),
        (Options(objective=0.0), "objective is 0ns"),
        (Options(max_delay="90000s"), "max_delay is 90000s"),
        (Options(max_queue_bytes=0), "max_queue_bytes is 0"),
        (Options(instances=65), "1 to 64"),
        (Options(instances=0), "1 to 64"),
    ],
)
def test_what_is_no_limit_is_refused(options: Options, message: str, linear: Path) -> None:
    with pytest.raises(InputError, match=message), Runtime(options=options) as runtime:
        runtime.deploy(linear)


def test_an_objective_that_can_be_kept_changes_nothing(bundle: Bundle) -> None:
    row = {"x": 1.0, "colour": "red"}
    with Runtime() as plain, Runtime(options=Options(instances=2, max_delay="50s")) as kept:
        plain.deploy(bundle)
        kept.deploy(bundle, objective="60s")
        expected = plain.predict("tiny", row)
        for _ in range(50):
            prediction = kept.predict("tiny", row)
            for name, values in expected.outputs.items():
                np.testing.assert_array_equal(prediction.outputs[name], values)
        metrics = kept.metrics()
    assert 'tidegate_model_instances{model="tiny",version="1.0.0"} 2' in metrics
    assert 'tidegate_batch_cost_seconds{model="tiny",version="1.0.0",rows="1"}' in metrics
    assert 'version="1.0.0",reason="deadline"} 0' in metrics
