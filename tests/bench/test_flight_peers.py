"""The flights as peers serve them: features by hand that agree with ours, answers that are right."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from tidegate.bench import http
from tidegate.bench.machine import cores
from tidegate.bench.process import Worker
from tidegate.bench.subjects import build_flights, v2_bodies
from tidegate.demo import data, steps, task
from tidegate.errors import UnsupportedError
from tidegate.features import FeatureSet
from tidegate.types import FloatMatrix

PEERS = Path(__file__).parents[2] / "benches" / "peers"
LIVE = 6_000


@pytest.fixture(scope="module")
def fitted() -> tuple[FeatureSet, pl.DataFrame]:
    """The features of the task, and raw flights that they have not seen."""
    flights = data.join(data.read()).table
    learned = task.raw(steps.select(flights, task.TRAINING_MONTHS, 3_000))
    live = task.raw(steps.select(flights, range(7, 13), LIVE // 6))
    features = task.feature_set(learned)
    features.fit(learned)
    return features, live


@pytest.fixture
def by_hand(fitted: tuple[FeatureSet, pl.DataFrame], tmp_path: Path) -> Any:
    """The peers' features, from a file that a bundle would have."""
    specification = importlib.util.spec_from_file_location("flights", PEERS / "flights.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    path = tmp_path / "features.json"
    path.write_text(fitted[0].to_json())
    return module.Features(str(path))


def agree(mine: FloatMatrix, theirs: FloatMatrix) -> None:
    assert theirs.dtype == np.float32
    np.testing.assert_allclose(theirs, mine, rtol=1e-6, atol=1e-6)


def test_features_by_hand_agree_with_ours(
    fitted: tuple[FeatureSet, pl.DataFrame], by_hand: Any
) -> None:
    features, live = fitted
    mine = features.transform(live)
    # All that is special occurs: missing planes and weather, names that are rare or new.
    assert min(live[name].null_count() for name in ("plane_year", "temp", "engine_type")) > 0
    names = list(features.get_feature_names_out())
    for name in ("carrier=(unknown)", "manufacturer=(unknown)"):
        assert 0 < mine[:, names.index(name)].sum() < live.height, name
    requests = [orjson.loads(body)["inputs"] for body in v2_bodies(live)]
    agree(mine, np.concatenate([by_hand.request(inputs) for inputs in requests]))
    # A batch, with texts as Triton has them.
    rows = [
        {
            one["name"]: value.encode() if isinstance(value := one["data"][0], str) else value
            for one in inputs
        }
        for inputs in requests
    ]
    agree(mine, by_hand.rows(rows))


def test_values_that_no_flight_has(fitted: tuple[FeatureSet, pl.DataFrame], by_hand: Any) -> None:
    features, live = fitted
    odd = live.head(1).with_columns(
        wind_speed=pl.lit(1_000.0), precip=pl.lit(None, pl.Float64), carrier=pl.lit("Ü")
    )
    calm = odd.with_columns(wind_speed=pl.lit(-1.0), engine_type=pl.lit(""))
    table = pl.concat([odd, calm])
    rows = [orjson.loads(body)["inputs"] for body in v2_bodies(table)]
    agree(features.transform(table), np.concatenate([by_hand.request(row) for row in rows]))


@pytest.mark.slow
def test_a_peer_answers_the_flights_rightly(tmp_path: Path) -> None:
    try:
        places = cores()
    except UnsupportedError:
        pytest.skip("a server and its client need two cores")
    flights = build_flights(tmp_path)
    target = http.starlette(flights, core=places.server, folder=tmp_path, peers=PEERS)
    with target.daemon, Worker("load", places.client) as client:
        cell = http.measure(client, target, core=places.client, connections=4, seconds=1.0)
    assert cell.errors == 0, cell.first_error
    assert cell.rate > 0
