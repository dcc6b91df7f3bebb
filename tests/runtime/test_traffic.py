"""Several versions behind one name, inside of this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import polars as pl
import pytest

from tidegate.demo.tiny import tiny_bundle, tiny_table
from tidegate.errors import InputError, NotFoundError
from tidegate.registry import Bundle
from tidegate.routing.plan import Arm, Key, Routing, Rule
from tidegate.runtime import Runtime

ROW = {"x": 1.25, "colour": "red"}
VERSIONS = ["1.0.0", "1.1.0"]
KEYS = [str(number) for number in range(50)]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    return [tiny_bundle(folder / version, version=version) for version in VERSIONS]


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Runtime() as runtime:
        yield runtime


def put(runtime: Runtime, bundles: list[Bundle], routing: Routing, revision: int = 3) -> None:
    models = [runtime.core.load(str(bundle.path), bundle.digest) for bundle in bundles]
    runtime.core.route("tiny", revision, json.dumps(routing.to_document()), models)


def half(**changes: object) -> Routing:
    arms = (Arm("1.0.0", 5_000), Arm("1.1.0", 5_000, "candidate"))
    return Routing(arms, **changes)  # type: ignore[arg-type]


def test_a_key_sticks_however_it_is_asked(runtime: Runtime, bundles: list[Bundle]) -> None:
    put(runtime, bundles, half())
    versions = [runtime.predict("tiny", ROW, key=key).version for key in KEYS]
    assert set(versions) == set(VERSIONS)
    table = tiny_table(20).drop("label")
    for key, version in zip(KEYS, versions, strict=True):
        assert runtime.predict("tiny", ROW, key=key).version == version
        for rows in ([ROW] * 3, table):
            many = runtime.predict_many("tiny", rows, key=key)
            assert (many.version, many.revision, many.experiment) == (version, 3, None)

    async def together() -> list[str]:
        asked = (runtime.apredict("tiny", ROW, key=key) for key in KEYS)
        return [prediction.version for prediction in await asyncio.gather(*asked)]

    assert asyncio.run(together()) == versions
    without = {runtime.predict("tiny", ROW).version for _ in range(100)}
    assert without == set(VERSIONS)
    for version in VERSIONS:
        assert runtime.predict("tiny", ROW, version=version, key="1").version == version


def test_a_plan_may_change_between_a_call_and_the_end_of_its_turn(
    runtime: Runtime, bundles: list[Bundle]
) -> None:
    models = [runtime.core.load(str(bundle.path), bundle.digest) for bundle in bundles]

    def only(place: int, revision: int) -> None:
        # The models are held here, as by whoever keeps them warm.
        document = Routing((Arm(VERSIONS[place], 10_000),)).to_document()
        runtime.core.route("tiny", revision, json.dumps(document), [models[place]])

    async def ask() -> tuple[str, int]:
        only(0, 1)
        call = asyncio.ensure_future(runtime.apredict("tiny", ROW))
        await asyncio.sleep(0)
        # It is submitted, and the turn has not ended.
        only(1, 2)
        prediction = await asyncio.wait_for(call, 60)
        return prediction.version, prediction.revision

    assert asyncio.run(ask()) == ("1.0.0", 1)


def test_the_first_row_of_a_table_chooses(runtime: Runtime, bundles: list[Bundle]) -> None:
    rules = (Rule("column", "colour", ("blue",), "1.1.0"),)
    put(
        runtime, bundles, Routing((Arm("1.0.0", 10_000), Arm("1.1.0", 0, "candidate")), rules=rules)
    )
    table = pl.DataFrame({"x": [1.0, 2.0], "colour": ["blue", "red"]})
    for rows in (table, table.to_arrow(), table.to_dicts()):
        assert runtime.predict_many("tiny", rows).version == "1.1.0"
    assert runtime.predict_many("tiny", table.reverse()).version == "1.0.0"


def test_the_live_routing_is_told_and_deploying_ends_it(
    runtime: Runtime, bundles: list[Bundle]
) -> None:
    routing = half(key=Key("header", "x-user"))
    put(runtime, bundles, routing)
    live = json.loads(runtime.core.routing("tiny"))
    assert live["revision"] == 3
    assert Routing.from_document(live["routing"]) == Routing.from_document(routing.to_document())
    assert [(arm.version, arm.role, arm.weight, arm.revision) for arm in runtime.arms("tiny")] == [
        ("1.0.0", "stable", 5_000, 3),
        ("1.1.0", "candidate", 5_000, 3),
    ]
    assert [deployment.version for deployment in runtime.deployments()] == ["1.0.0"]
    runtime.close_window("tiny", version="1.1.0")
    deployment = runtime.deploy(bundles[1])
    assert (deployment.version, deployment.revision) == ("1.1.0", 4)
    assert [(arm.version, arm.weight) for arm in runtime.arms()] == [("1.1.0", 10_000)]
    with pytest.raises(NotFoundError, match=r"deployed is 1\.1\.0"):
        runtime.predict("tiny", ROW, version="1.0.0")


def test_a_routing_that_cannot_be_changes_nothing(runtime: Runtime, bundles: list[Bundle]) -> None:
    put(runtime, bundles, half())
    with pytest.raises(InputError, match="names version"):
        put(runtime, bundles[::-1], half(), 4)
    with pytest.raises(InputError, match="cannot be read"):
        runtime.core.route("tiny", 4, "{}", [])
    with pytest.raises(InputError, match="which the model does not have"):
        put(runtime, bundles, half(key=Key("column", "size")), 4)
    with pytest.raises(NotFoundError):
        runtime.core.routing("other")
    assert {arm.revision for arm in runtime.arms()} == {3}
