"""What cannot be is refused in one sentence on a live server, and traffic goes on as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tidegate.demo.tiny import tiny_bundle, tiny_table
from tidegate.features import FeatureSet, Field, Schema, col
from tidegate.registry import Bundle, Registry
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings

PATH = "/v1/deployments/tiny/rollout"
STEPS = [{"percent": 10}, {"percent": 50}]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    """1.0.0, 1.1.0 which takes the same, and 2.0.0 which takes other columns."""
    folder, table = tmp_path_factory.mktemp("bundles"), tiny_table().rename({"x": "width"})
    features = FeatureSet(
        schema=Schema([Field("width", "float64", nullable=True)]),
        features=[col("width").fill_null("median").standardize()],
    )
    labels = table["label"].to_numpy().astype(np.int64)
    model = LogisticRegression().fit(features.fit_transform(table), labels)
    other = Bundle.build("tiny", "2.0.0", features=features, model=model, sample=table)
    return [*(tiny_bundle(folder / v, version=v) for v in ("1.0.0", "1.1.0")), other]


@pytest.fixture
def runtime(tmp_path: Path, bundles: list[Bundle]) -> Iterator[Runtime]:
    registry = Registry(tmp_path / "registry")
    for bundle in bundles:
        registry.publish(bundle)
    registry.alias("tiny", "champion", version="1.0.0")
    with Runtime(registry) as runtime:
        runtime.follow("tiny@champion")
        yield runtime


@pytest.fixture
def client(runtime: Runtime) -> Iterator[httpx.Client]:
    with (
        Server(runtime, Settings(port=0, grpc=False)) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


def post(client: httpx.Client, verb: str, **body: Any) -> httpx.Response:
    path = "/v1/deployments/tiny/rollback" if verb == "rollback" else f"{PATH}/{verb}"
    return client.post(path, json=body)


def plan(steps: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    strategy = {"kind": "canary", "steps": steps or STEPS}
    return {"candidate": "1.1.0", "strategy": strategy, **changes}


def nothing(client: httpx.Client) -> None:
    del client


def started(client: httpx.Client) -> None:
    answer = post(client, "start", plan=plan(), skip_check="this is about refusals")
    assert answer.status_code == 200, answer.text


def aborted(client: httpx.Client) -> None:
    started(client)
    assert post(client, "abort").status_code == 200


def edited(client: httpx.Client) -> None:
    """Somebody gives the candidate everything in the file of the plan that is live."""
    aborted(client)
    location = Path(client.headers["x-test-registry"])
    path = location / "deployments/tiny/revisions/000000000003.json"
    document = json.loads(path.read_text())
    document["body"]["routing"]["arms"][0]["version"] = "1.1.0"
    path.write_text(json.dumps(document))


def arms(*shares: tuple[str, float]) -> dict[str, Any]:
    return {"plan": {"arms": [{"version": v, "percent": share} for v, share in shares]}}


CASES: dict[str, tuple[Callable[[httpx.Client], None], str, dict[str, Any], int, str]] = {
    "weights that do not add up": (
        nothing,
        "start",
        arms(("1.0.0", 60), ("1.1.0", 30)),
        400,
        "add up to 90 % (1.0.0 60 %, 1.1.0 30 %): make it 100 %",
    ),
    "an unknown version": (
        nothing,
        "start",
        {"plan": plan(candidate="9.0.0")},
        404,
        "has no version '9.0.0': it has 2.0.0, 1.1.0, 1.0.0",
    ),
    "the same version twice": (
        nothing,
        "start",
        arms(("1.0.0", 50), ("1.0.0", 50)),
        400,
        "version 1.0.0 is there 2 times: name each once",
    ),
    "the stable version as its own candidate": (
        nothing,
        "start",
        {"plan": plan(candidate="1.0.0")},
        400,
        "is the stable one already: name another candidate",
    ),
    "a canary of another schema": (
        nothing,
        "start",
        {"plan": plan(candidate="2.0.0")},
        400,
        "takes other columns than the stable version 1.0.0",
    ),
    "a step of nothing": (
        nothing,
        "start",
        {"plan": plan([{"percent": 0}])},
        400,
        "can never gather its minimum: give it at least 0.01 %",
    ),
    "a step that is over before its least time": (
        nothing,
        "start",
        {"plan": plan([{"percent": 5, "min_seconds": "10m", "max_seconds": "5m"}])},
        400,
        "can never gather its minimum: raise max_seconds",
    ),
    "gates on labels that never came": (
        nothing,
        "start",
        {"plan": plan(gates=[{"kind": "quality"}])},
        400,
        "no label has ever come: report them by feedback",
    ),
    "two rollouts at once": (
        started,
        "start",
        {"plan": plan()},
        409,
        "is progressing: promote or abort it first",
    ),
    "the promotion of what was aborted": (
        aborted,
        "promote",
        {},
        409,
        "no rollout to promote (rollout r2 of 1.1.0 was aborted): start a new one",
    ),
    "a rollback without a predecessor": (
        aborted,
        "rollback",
        {"reason": "complaints"},
        409,
        "no plan before revision 3",
    ),
    "a rollback before any revision": (
        nothing,
        "rollback",
        {"reason": "complaints"},
        409,
        "has no revision, and nothing to undo",
    ),
    "a plan that was edited on disk": (
        edited,
        "start",
        {"plan": plan()},
        500,
        "was changed after it was written",
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_it_is_one_sentence_and_traffic_is_as_it_was(
    client: httpx.Client, runtime: Runtime, tmp_path: Path, what: str
) -> None:
    before, verb, body, status, said = CASES[what]
    client.headers["x-test-registry"] = str(tmp_path / "registry")
    before(client)

    def traffic() -> list[tuple[str, int]]:
        return [(arm.version, arm.weight) for arm in runtime.arms("tiny")]

    found = traffic()
    answer = post(client, verb, **body)
    assert answer.status_code == status, answer.text
    sentence = answer.json()["error"]
    assert said in sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    # The replica has looked again since, and serves as it did.
    runtime.replica.wake("tiny")
    assert traffic() == found
    served = client.post("/v1/models/tiny:predict", json={"instances": [{"colour": "red"}]})
    assert served.status_code == 200, served.text
    if before is nothing:
        history = client.get(f"{PATH}/history")
        assert history.status_code == 404 or len(history.json()["revisions"]) == 1
