"""What is counted of versions that share traffic, as the gates read it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import httpx
import polars as pl
import pytest
from tests.server.test_traffic import STABLE, bundles, load

from tidegate.errors import InputError, NotFoundError
from tidegate.registry import Bundle
from tidegate.routing.plan import Arm, Metric, Observe, Routing, Shadow
from tidegate.routing.samples import Samples, ShadowSamples
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

__all__ = ["bundles"]

ROW = {"x": 1.25, "colour": "red"}
CANDIDATE = "1.1.0"


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Runtime() as runtime:
        yield runtime


def route(runtime: Runtime, bundles: list[Bundle], routing: Routing, revision: int = 1) -> None:
    document = json.dumps(routing.to_document())
    runtime.core.route("tiny", revision, document, load(runtime, bundles))


def canary(observe: Observe) -> Routing:
    return Routing((Arm(STABLE, 5_000), Arm(CANDIDATE, 5_000, "candidate")), observe=observe)


def read(runtime: Runtime, revision: int | None = None) -> Samples:
    return Samples.from_json(runtime.samples("tiny", revision))


def test_every_way_of_asking_counts_once(runtime: Runtime, bundles: list[Bundle]) -> None:
    route(runtime, bundles, canary(Observe(segment="colour")))
    rows = pl.DataFrame({"x": [0.5, 1.5], "colour": ["red", "blue"]})
    runtime.predict("tiny", ROW, version=STABLE)
    for many in (rows, rows.to_arrow(), rows.to_dicts()):
        runtime.predict_many("tiny", many, version=STABLE)
    asyncio.run(runtime.apredict("tiny", ROW, version=STABLE))
    with (
        Server(runtime, Settings(port=0, grpc_port=0)) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        path = f"/v1/models/tiny/versions/{STABLE}:predict"
        answer = client.post(path, json={"instances": rows.to_dicts()})
        assert answer.status_code == 200, answer.text
        wrong = client.post(path, json={"instances": [{"x": "a"}]})
        assert wrong.status_code == 400
    sample = read(runtime).arms[STABLE]
    assert (sample.requests, sample.errors) == (6, 0)
    assert sample.prediction is not None
    assert sum(sample.prediction.cells) == 10
    assert sum(sample.features["x"]) == 10
    # A request of two colours counts in that of its first row, its rows in their own.
    of = {name: part.requests for name, part in sample.segments.items()}
    assert of["red"] == 6
    blue = sample.segments["blue"].prediction
    assert blue is not None
    assert sum(blue.cells) == 4
    assert sample.latency["0.99"].rows == 6
    assert read(runtime).arms[CANDIDATE].requests == 0


def test_labels_count_in_the_revision_that_answered(
    runtime: Runtime, bundles: list[Bundle]
) -> None:
    observe = Observe(metrics=(Metric("revenue", 0, 10),))
    route(runtime, bundles, canary(observe), 4)
    before = runtime.predict("tiny", ROW, version=CANDIDATE)
    route(runtime, bundles, canary(observe), 5)
    after = runtime.predict("tiny", ROW, version=CANDIDATE)
    given = [
        {"prediction_id": found.id, "label": 1, "metrics": {"revenue": 4.0}}
        for found in (before, after)
    ]
    runtime.feedback("tiny", given)
    for revision in (4, 5):
        sample = read(runtime, revision).arms[CANDIDATE]
        assert sample.requests == 1
        assert sample.quality["error"].rows == 1
        assert sample.metrics["revenue"].estimate == 4.0


def test_a_shadow_is_compared_and_nobody_hears_it(runtime: Runtime, bundles: list[Bundle]) -> None:
    shadow = Shadow(CANDIDATE, share=5_000)
    route(runtime, bundles, Routing((Arm(STABLE, 10_000),), shadow=shadow))
    for _ in range(40):
        assert runtime.predict("tiny", ROW).version == STABLE
    found = shadowed(runtime, 20)
    assert (found.version, found.pairs.pairs, found.pairs.shadow_errors) == (CANDIDATE, 20, 0)
    assert found.pairs.disagree.estimate == 0
    assert found.pairs.difference is not None
    assert found.live.requests == found.shadow.requests == 20
    line = f'tidegate_shadow_copies_total{{model="tiny",version="{CANDIDATE}",outcome="compared"}}'
    assert f"{line} 20" in runtime.metrics()
    report = runtime.quality("tiny")
    assert {one.version: one.total.predictions for one in report.versions}.get(CANDIDATE, 0) == 0


def shadowed(runtime: Runtime, due: int) -> ShadowSamples:
    """What has come of copies, once there are so many."""
    deadline = time.monotonic() + 60
    while True:
        found = read(runtime).shadow
        assert found is not None
        if found.pairs.pairs + found.pairs.dropped >= due:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


def test_what_is_not_compared_is_said(runtime: Runtime, bundles: list[Bundle]) -> None:
    runtime.deploy(bundles[0])
    with pytest.raises(NotFoundError, match="one version and no shadow"):
        runtime.samples("tiny")
    with pytest.raises(NotFoundError, match="unknown model"):
        runtime.samples("other")
    route(runtime, bundles, canary(Observe()), 7)
    with pytest.raises(NotFoundError, match="of revision 3 of deployment"):
        runtime.samples("tiny", 3)
    wrong = Observe(segment="price")
    with pytest.raises(InputError, match="price"):
        route(runtime, bundles, canary(wrong), 8)
    assert read(runtime).revision == 7
