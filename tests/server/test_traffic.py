"""Several versions behind one name, asked over HTTP and gRPC, with the interpreter's as the reference."""

from __future__ import annotations

import gzip
import json
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import polars as pl
import pytest
import tritonclient.grpc as triton
from tests.server.test_tokens import issuer
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tidegate._core import Model
from tidegate.demo.tiny import tiny_bundle
from tidegate.monitoring.log import Log
from tidegate.registry import Bundle
from tidegate.routing.plan import Arm, Experiment, Key, Observe, Routing, Rule
from tidegate.runtime import Runtime
from tidegate.server import Gate, Server, Settings

__all__ = ["issuer"]

PREDICT = "/v1/models/tiny:predict"
INFER = "/v2/models/tiny/infer"
STABLE, CANDIDATE = "1.0.0", "1.1.0"
USERS = [f"user-{number}" for number in range(60)]

Route = Callable[..., int]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    return [tiny_bundle(folder / version, version=version) for version in (STABLE, CANDIDATE)]


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime(log=Log(location=str(tmp_path / "log"))) as runtime:
        yield runtime


@pytest.fixture
def route(runtime: Runtime, bundles: list[Bundle]) -> Route:
    """Serves the two versions with a weight of the candidate; gives the revision."""
    models = load(runtime, bundles)
    revisions = iter(range(1, 1_000))

    def routed(weight: int, key: Key | None = None, **changes: Any) -> int:
        revision = next(revisions)
        put(runtime, models, revision, weight, key or Key("header", "x-user"), **changes)
        return revision

    return routed


@pytest.fixture
def server(runtime: Runtime) -> Iterator[Server]:
    with Server(runtime, Settings(port=0, grpc_port=0)) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def load(runtime: Runtime, bundles: list[Bundle]) -> list[Model]:
    return [runtime.core.load(str(bundle.path), bundle.digest) for bundle in bundles]


def put(
    runtime: Runtime, models: list[Model], revision: int, weight: int, key: Key, **changes: Any
) -> None:
    arms = (Arm(STABLE, 10_000 - weight), Arm(CANDIDATE, weight, "candidate"))
    routing = Routing(arms, key=key, **changes)
    runtime.core.route("tiny", revision, json.dumps(routing.to_document()), models)


def instances(colour: str = "red", count: int = 1) -> dict[str, object]:
    return {"instances": [{"x": 0.5, "colour": colour}] * count}


def tensors(colour: str = "red") -> dict[str, object]:
    def tensor(name: str, datatype: str, value: object) -> dict[str, object]:
        return {"name": name, "datatype": datatype, "shape": [1, 1], "data": [value]}

    return {"inputs": [tensor("x", "FP64", 0.5), tensor("colour", "BYTES", colour)]}


def chosen(runtime: Runtime, key: str) -> str:
    return runtime.predict("tiny", {"x": 0.5, "colour": "red"}, key=key).version


def test_a_key_gets_its_version_over_every_protocol(
    runtime: Runtime, route: Route, client: httpx.Client, server: Server
) -> None:
    revision = route(5_000)
    assert server.grpc_address is not None
    grpc = triton.InferenceServerClient(server.grpc_address)
    inputs = [triton.InferInput("x", [1, 1], "FP64"), triton.InferInput("colour", [1, 1], "BYTES")]
    inputs[0].set_data_from_numpy(np.array([[0.5]]))
    inputs[1].set_data_from_numpy(np.array([[b"red"]], dtype=object))
    for user in USERS:
        due = chosen(runtime, user)
        headers = {"x-user": user}
        reply = client.post(PREDICT, json=instances(), headers=headers)
        answer = reply.json()
        assert (answer["model_version"], answer["revision"]) == (due, revision)
        assert "experiment" not in answer
        assert reply.headers["x-tidegate-version"] == due
        assert reply.headers["x-tidegate-revision"] == str(revision)
        answer = client.post(INFER, json=tensors(), headers=headers).json()
        assert (answer["model_version"], answer["parameters"]["revision"]) == (due, revision)
        answered = grpc.infer("tiny", inputs, headers=headers).get_response()
        assert answered.model_version == due
        assert answered.parameters["revision"].int64_param == revision
    versions = Counter(chosen(runtime, user) for user in USERS)
    assert min(versions.values()) > 10
    assert len(versions) == 2


def test_refusals_and_failures_name_their_version_too(
    runtime: Runtime, route: Route, client: httpx.Client
) -> None:
    def named(headers: Any) -> tuple[str | None, str | None]:
        return headers.get("x-tidegate-version"), headers.get("x-tidegate-revision")

    def late(colour: str = "red") -> dict[str, object]:
        return {**tensors(colour), "parameters": {"timeout": 1}}

    wrong = {"instances": [{"x": "a", "colour": "red"}]}
    # Read in pieces: what is wrong with the first has a status.
    pieces = json.dumps({"instances": [{"x": "a", "colour": "red"}] * 40_000}).encode()
    revision = route(5_000)
    seen = set()
    for user in USERS[:12]:
        headers, due = {"x-user": user}, (chosen(runtime, user), str(revision))
        seen.add(due)
        cases: list[tuple[str, dict[str, Any], int]] = [
            (PREDICT, {"json": instances()}, 200),
            (PREDICT, {"json": instances(count=40_000)}, 200),
            (PREDICT, {"json": wrong}, 400),
            (PREDICT, {"content": pieces}, 400),
            (PREDICT, {"content": b"\x1f\x8b no gzip", "coding": "gzip"}, 400),
            (INFER, {"json": {"inputs": []}}, 400),
            (INFER, {"json": late()}, 504),
            (INFER, {"content": b"binary", "header": "3"}, 400),
        ]
        for path, more, status in cases:
            sent, own = dict(more), dict(headers)
            if "coding" in sent:
                own["content-encoding"] = sent.pop("coding")
            if "header" in sent:
                own["inference-header-content-length"] = sent.pop("header")
            answer = client.post(path, headers=own, **sent)
            assert answer.status_code == status, answer.text[:300]
            assert named(answer.headers) == due, (path, more)
    assert len(seen) == 2
    for path in (f"{INFER[:-6]}/versions/9/infer", "/v2/models/other/infer", "/v1/nothing"):
        assert named(client.post(path, json=tensors()).headers) == (None, None)
    # A column decides: until it is read the revision is all that is known.
    revision = route(0, rules=(Rule("column", "colour", ("blue",), CANDIDATE),))
    assert named(client.post(PREDICT, json=wrong).headers) == (None, str(revision))
    for colour, version in (("blue", CANDIDATE), ("red", STABLE)):
        answer = client.post(INFER, json=late(colour))
        assert (answer.status_code, *named(answer.headers)) == (504, version, str(revision))


def test_metadata_of_grpc_names_the_version(runtime: Runtime, route: Route, server: Server) -> None:
    revision = route(5_000)
    assert server.grpc_address is not None
    with grpc.insecure_channel(server.grpc_address) as connection:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(connection)
        request = service_pb2.ModelInferRequest(model_name="tiny")
        for name, datatype in (("x", "FP64"), ("colour", "BYTES")):
            tensor = request.inputs.add(name=name, datatype=datatype, shape=[1, 1])
            if name == "x":
                tensor.contents.fp64_contents.append(0.5)
            else:
                tensor.contents.bytes_contents.append(b"red")
        bad = service_pb2.ModelInferRequest(model_name="tiny")
        late = service_pb2.ModelInferRequest()
        late.CopyFrom(request)
        late.parameters["timeout"].int64_param = 1
        for user in USERS[:12]:
            due = {
                "x-tidegate-version": chosen(runtime, user),
                "x-tidegate-revision": str(revision),
            }
            metadata = (("x-user", user),)
            _, call = stub.ModelInfer.with_call(request, metadata=metadata)
            assert due.items() <= dict(call.initial_metadata()).items()
            for wrong, code in ((bad, "INVALID_ARGUMENT"), (late, "DEADLINE_EXCEEDED")):
                with pytest.raises(grpc.RpcError) as raised:
                    stub.ModelInfer(wrong, metadata=metadata)
                assert raised.value.code().name == code
                assert due.items() <= dict(raised.value.trailing_metadata()).items()
            # In a stream each reply names its own, one that failed too.
            replies = stub.ModelStreamInfer(iter([request, late]), metadata=metadata)
            good, failed = replies
            assert (good.error_message, bool(failed.error_message)) == ("", True)
            for reply in (good, failed):
                assert reply.infer_response.model_version == due["x-tidegate-version"]
                found = reply.infer_response.parameters["revision"].int64_param
                assert found == revision


def test_messages_of_a_stream_are_requests_of_their_own(route: Route, server: Server) -> None:
    revision = route(5_000, Key())
    assert server.grpc_address is not None
    inputs = [triton.InferInput("x", [1, 1], "FP64"), triton.InferInput("colour", [1, 1], "BYTES")]
    inputs[0].set_data_from_numpy(np.array([[0.5]]))
    inputs[1].set_data_from_numpy(np.array([[b"red"]], dtype=object))

    def versions(identity: str) -> list[str]:
        replies: queue.Queue[Any] = queue.Queue()
        with triton.InferenceServerClient(server.grpc_address) as client:
            client.start_stream(
                lambda result, error: replies.put((result, error)),
                headers={"x-request-id": identity},
            )
            for _ in range(40):
                client.async_stream_infer("tiny", inputs)
            found = [replies.get(timeout=60) for _ in range(40)]
            client.stop_stream()
        assert all(error is None for _, error in found)
        answers = [result.get_response() for result, _ in found]
        assert {answer.parameters["revision"].int64_param for answer in answers} == {revision}
        return [answer.model_version for answer in answers]

    first = versions("one")
    assert set(first) == {STABLE, CANDIDATE}
    assert versions("one") == first
    assert versions("other") != first


def test_from_one_percent_to_all_nobody_goes_back(route: Route, client: httpx.Client) -> None:
    before: set[str] = set()
    for weight in (100, 2_500, 5_000, 9_000, 10_000):
        revision = route(weight)
        tries = set()
        for user in USERS:
            answer = client.post(PREDICT, json=instances(), headers={"x-user": user}).json()
            assert answer["revision"] == revision
            if answer["model_version"] == CANDIDATE:
                tries.add(user)
        assert before <= tries
        before = tries
    assert before == set(USERS)


def test_rules_and_keys_by_column_wait_for_the_rows(route: Route, client: httpx.Client) -> None:
    rules = (
        Rule("column", "colour", ("blue",), CANDIDATE),
        Rule("header", "x-tenant", ("a",), STABLE),
        Rule("column", "colour", ("green",), CANDIDATE),
    )
    revision = route(0, rules=rules)
    tenant = {"x-tenant": "a"}
    for colour, headers, due in [
        ("red", {}, STABLE),
        ("blue", {}, CANDIDATE),
        ("blue", tenant, CANDIDATE),
        ("green", {}, CANDIDATE),
        ("green", tenant, STABLE),
    ]:
        # Small ones, large ones on a thread of their own, and those that are read in pieces.
        for count in (1, 9_000, 40_000):
            body = json.dumps(instances(colour, count)).encode()
            answer = client.post(PREDICT, content=body, headers=headers)
            assert answer.headers["x-tidegate-version"] == due, (colour, headers, count)
            said = answer.json()
            assert (said["model_version"], said["revision"]) == (due, revision)
            assert len(said["predictions"]) == count
        answer = client.post(INFER, json=tensors(colour), headers=headers)
        assert answer.json()["model_version"] == due
    route(5_000, Key("column", "colour"))
    versions: dict[str, str] = {}
    for colour in [f"colour-{number}" for number in range(40)]:
        for _ in range(2):
            answer = client.post(PREDICT, json=instances(colour)).json()
            assert versions.setdefault(colour, answer["model_version"]) == answer["model_version"]
    assert set(versions.values()) == {STABLE, CANDIDATE}
    # What is wrong with the rows is said before any version is chosen.
    assert (
        client.post(PREDICT, json={"instances": [{"x": "a", "colour": "red"}]}).status_code == 400
    )


def test_claims_of_tokens_are_keys(runtime: Runtime, bundles: list[Bundle], issuer: Any) -> None:
    put(runtime, load(runtime, bundles), 1, 5_000, Key())
    with (
        Gate(issuer.access()) as gate,
        Server(runtime, Settings(port=0), gate=gate) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        tokens = {user: issuer.token("first", tenant=user, plan=7) for user in USERS}

        def versions() -> dict[str, str]:
            found = {}
            for user, headers in tokens.items():
                replies = [
                    client.post(PREDICT, json=instances(), headers=headers) for _ in range(3)
                ]
                (found[user],) = {reply.json()["model_version"] for reply in replies}
            return found

        # These tokens are remembered without the claim, which nobody asks for yet.
        for headers in tokens.values():
            assert client.post(PREDICT, json=instances(), headers=headers).status_code == 200
        put(runtime, load(runtime, bundles), 2, 5_000, Key("claim", "tenant"))
        assert versions() == {user: chosen(runtime, user) for user in USERS}
        rules = (Rule("claim", "plan", ("7",), CANDIDATE),)
        put(runtime, load(runtime, bundles), 3, 0, Key("claim", "tenant"), rules=rules)
        assert set(versions().values()) == {CANDIDATE}
        assert 'tidegate_routing_keys_missing_total{model="tiny"} 0' in runtime.metrics()


def test_an_experiment_is_named_in_answers_and_in_the_log(
    runtime: Runtime, route: Route, client: httpx.Client, tmp_path: Path
) -> None:
    route(5_000, experiment=Experiment("button", "checkout", 0, 5_000))
    takes = {}
    for user in USERS:
        headers = {"x-user": user}
        answer = client.post(PREDICT, json=instances(), headers=headers).json()
        told = client.post(INFER, json=tensors(), headers=headers).json()["parameters"]
        takes[answer["prediction_id"]] = "experiment" in answer
        assert ("experiment" in told) == takes[answer["prediction_id"]]
        if "experiment" in answer:
            assert answer["experiment"] == told["experiment"] == "button"
            assert answer["arm"] == told["arm"] == answer["model_version"]
        else:
            assert answer["model_version"] == STABLE
    assert 10 < sum(takes.values()) < 50
    # Who is not known cannot stick to an arm.
    assert "experiment" not in client.post(PREDICT, json=instances()).json()
    direct = [runtime.predict("tiny", {"x": 0.5, "colour": "red"}, key=user) for user in USERS]
    assert [one.experiment is not None for one in direct] == list(takes.values())
    runtime.close()
    files = sorted((tmp_path / "log" / "predictions").rglob("*.parquet"))
    found = pl.concat([pl.read_parquet(file) for file in files], how="diagonal")
    exposed = dict(found.select("prediction_id", "experiment").iter_rows())
    for prediction, taking in takes.items():
        assert exposed[prediction] == ("button" if taking else None)
    roles = set(found.select("version", "role").unique().iter_rows())
    assert roles == {(STABLE, "stable"), (CANDIDATE, "candidate")}


def test_everything_that_tells_of_a_model_knows_its_versions(
    runtime: Runtime, route: Route, client: httpx.Client, server: Server
) -> None:
    route(2_500, observe=Observe(segment="colour"))
    for version in (STABLE, CANDIDATE):
        reply = client.post(f"/v1/models/tiny/versions/{version}:predict", json=instances())
        assert reply.json()["model_version"] == version
        drift = client.get(f"/v1/models/tiny/versions/{version}/drift")
        assert drift.status_code == 200, drift.text
        assert client.get(f"/v2/models/tiny/versions/{version}/ready").json()["ready"]
        one = client.get(f"/v2/models/tiny/versions/{version}/stats").json()["model_stats"]
        assert [(stats["version"], stats["inference_count"]) for stats in one] == [(version, 1)]
    assert client.get("/v2/models/tiny").json()["versions"] == [STABLE, CANDIDATE]
    assert client.get("/v2/models").json() == {"models": ["tiny"]}
    index = client.post("/v2/repository/index").json()
    assert [(entry["name"], entry["version"]) for entry in index] == [
        ("tiny", STABLE),
        ("tiny", CANDIDATE),
    ]
    for path in ("/v2/models/stats", "/v2/models/tiny/stats"):
        stats = client.get(path).json()["model_stats"]
        assert [entry["version"] for entry in stats] == [STABLE, CANDIDATE]
    missing = client.get("/v2/models/tiny/versions/9.9.9")
    assert missing.status_code == 404
    assert "deployed are 1.0.0, 1.1.0" in missing.json()["error"]
    (deployment,) = client.get("/v1/deployments").json()["deployments"]
    assert deployment["version"] == STABLE
    assert deployment["arms"] == [
        {"version": STABLE, "role": "stable", "weight": 7_500},
        {"version": CANDIDATE, "role": "candidate", "weight": 2_500},
    ]
    assert server.grpc_address is not None
    with triton.InferenceServerClient(server.grpc_address) as grpc:
        assert list(grpc.get_model_metadata("tiny").versions) == [STABLE, CANDIDATE]
        stats = grpc.get_inference_statistics("tiny").model_stats
        assert [entry.version for entry in stats] == [STABLE, CANDIDATE]
        assert len(grpc.get_model_repository_index().models) == 2
    assert [(version) for _, version, _ in runtime.watched()] == [STABLE, CANDIDATE]
    page = client.get("/metrics").text
    for version, share in ((STABLE, 0.75), (CANDIDATE, 0.25)):
        assert f'tidegate_requests_total{{model="tiny",version="{version}",outcome="ok"}} 1' in page
        assert f'tidegate_routed_total{{model="tiny",version="{version}",by="version"}} 1' in page
        assert f'model="tiny",version="{version}",role=' in page
        assert f"}} {share}" in page


def test_plans_change_under_load_without_a_failure(
    route: Route, client: httpx.Client, server: Server
) -> None:
    """Every answer is of a revision and a version that stood together; pieces stay together."""
    weights = {route(0): 0}
    stop = threading.Event()
    found: queue.Queue[tuple[int, int, str]] = queue.Queue()

    def ask(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as own:
            while not stop.is_set():
                reply = own.post(PREDICT, json=instances(), headers={"x-user": f"user-{number}"})
                said = reply.json()
                found.put((reply.status_code, said["revision"], said["model_version"]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    body = gzip.compress(json.dumps(instances("red", 60_000)).encode())
    headers = {"content-encoding": "gzip"}
    try:
        for weight in (100, 10_000, 0, 5_000, 9_900, 0, 10_000, 2_500) * 3:
            weights[route(weight)] = weight
            due = found.qsize() + 16
            while found.qsize() < due:
                assert all(thread.is_alive() for thread in threads)
        with client.stream("POST", PREDICT, content=body, headers=headers) as reply:
            weights[route(0)] = 0
            text = b"".join(reply.iter_bytes())
        said = json.loads(text)
        assert reply.headers["x-tidegate-version"] == said["model_version"]
        assert len(said["predictions"]) == 60_000
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    answers = [found.get() for _ in range(found.qsize())]
    for status, revision, version in answers:
        assert status == 200
        assert weights[revision] != (0 if version == CANDIDATE else 10_000)
    assert len({revision for _, revision, _ in answers}) > 20
