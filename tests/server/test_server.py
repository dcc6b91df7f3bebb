"""A live server on loopback: rows, tensors, metadata, and the control plane behind one port."""

from __future__ import annotations

import concurrent.futures
import io
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from starlette.types import Receive, Scope, Send

from tidegate.errors import ConfigurationError, InputError
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings, control_app

ROW = {"x": 1.25, "colour": "red", "at": "2024-03-01T10:00:00Z"}
TENSORS = {
    "inputs": [
        {"name": "x", "datatype": "FP64", "shape": [2, 1], "data": [1.25, 0.5]},
        {"name": "colour", "datatype": "BYTES", "shape": [2, 1], "data": ["red", "blue"]},
    ]
}


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=10) as client:
        yield client


def test_rows_are_predicted_as_embedded(runtime: Runtime, client: httpx.Client) -> None:
    reply = client.post("/v1/models/tiny:predict", json={"instances": [ROW, {"colour": "blue"}]})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    answer = reply.json()
    assert answer["model_name"] == "tiny"
    assert answer["model_version"] == "1.0.0"
    assert answer["revision"] == 1
    expected = runtime.predict_many("tiny", [ROW, {"colour": "blue"}])
    for row, prediction in enumerate(answer["predictions"]):
        assert prediction["probabilities"] == pytest.approx(
            expected.outputs["probabilities"][row].tolist(), abs=1e-6
        )


def test_tensors_are_predicted_alike(client: httpx.Client) -> None:
    rows = [{"x": 1.25, "colour": "red"}, {"x": 0.5, "colour": "blue"}]
    by_row = client.post("/v1/models/tiny:predict", json={"instances": rows}).json()
    reply = client.post("/v2/models/tiny/infer", json={"id": "7", **TENSORS})
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert answer["id"] == "7"
    outputs = {output["name"]: output for output in answer["outputs"]}
    width = outputs["probabilities"]["shape"][1]
    flat = outputs["probabilities"]["data"]
    for row, prediction in enumerate(by_row["predictions"]):
        assert flat[row * width : (row + 1) * width] == prediction["probabilities"]


def test_unknown_keys_are_refused_or_ignored(client: httpx.Client) -> None:
    instances = {"instances": [{**ROW, "color": "red"}]}
    reply = client.post("/v1/models/tiny:predict", json=instances)
    assert reply.status_code == 400
    assert 'did you mean "colour"?' in reply.json()["error"]
    reply = client.post("/v1/models/tiny:predict?extra=ignore", json=instances)
    assert reply.status_code == 200


def test_metadata(client: httpx.Client) -> None:
    model = client.get("/v2/models/tiny").json()
    assert {i["name"]: i["shape"] for i in model["inputs"]} == {
        "x": [-1, 1],
        "colour": [-1, 1],
        "at": [-1, 1],
    }
    assert client.get("/v2/models/tiny/ready").json() == {"name": "tiny", "ready": True}
    assert client.get("/v2/models/tiny/versions/champion/ready").status_code in (200, 404)
    assert client.get("/v2/models/tiny/versions/1.0/ready").status_code == 404
    columns = client.get("/v1/models/tiny").json()["columns"]
    assert [c["name"] for c in columns] == ["x", "colour", "at"]


def test_many_clients_at_once(client: httpx.Client, server: Server) -> None:
    def ask(n: int) -> tuple[float, list[float]]:
        with httpx.Client(base_url=server.url, timeout=30) as own:
            answers = []
            for step in range(20):
                row = {"x": float(n * 20 + step) / 100, "colour": "red"}
                body = own.post("/v1/models/tiny:predict", json={"instances": [row]}).json()
                answers.append(body["predictions"][0]["probabilities"][1])
        return n, answers

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        got = dict(pool.map(ask, range(16)))
    rows = [{"x": float(i) / 100, "colour": "red"} for i in range(320)]
    whole = client.post("/v1/models/tiny:predict", json={"instances": rows}).json()
    expected = [row["probabilities"][1] for row in whole["predictions"]]
    flat = [value for n in range(16) for value in got[n]]
    assert flat == pytest.approx(expected, abs=1e-6)


def test_a_large_body_and_one_above_the_limit(runtime: Runtime) -> None:
    with Server(runtime, Settings(port=0, limits={"body_bytes": 3_000_000})) as server:
        rows = [{"x": i / 7, "colour": "green"} for i in range(50_000)]
        reply = httpx.post(
            f"{server.url}/v1/models/tiny:predict", json={"instances": rows}, timeout=60
        )
        assert reply.status_code == 200
        assert len(reply.json()["predictions"]) == 50_000
        reply = httpx.post(f"{server.url}/v2/models/tiny/infer", content=b" " * 3_000_001)
        assert reply.status_code == 413
        assert "body_bytes" in reply.json()["error"]
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200


def test_drift_is_watched_labelled_and_shown(client: httpx.Client) -> None:
    rows = [{"x": 9.0, "colour": "red"}] * 50
    assert client.post("/v1/models/tiny:predict", json={"instances": rows}).status_code == 200
    closed = client.post("/v1/models/tiny/drift:close", params={"label": "June & July"}).json()
    assert closed == {"closed": True, "label": "June & July"}
    report = client.get("/v1/models/tiny/drift").json()
    assert report["windows"][0]["label"] == "June & July"
    assert report["windows"][0]["rows"] == 50
    page = client.get("/ui", params={"model": "tiny"})
    assert page.headers["content-type"].startswith("text/html")
    assert "June &amp; July" in page.text
    too_long = client.post("/v1/models/tiny/drift:close", params={"label": "x" * 500})
    assert too_long.status_code == 400


def test_metrics(client: httpx.Client) -> None:
    client.post("/v1/models/tiny:predict", json={"instances": [ROW]})
    client.get("/docs")
    text = client.get("/metrics").text
    assert 'tidegate_http_requests_total{route="predict",code="200"} 1' in text
    assert 'tidegate_http_requests_total{route="control",code="200"} 1' in text
    assert re.search(r'tidegate_rows_total\{model="tiny",version="1.0.0"\} 1\b', text)
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))


def test_pages_and_documents(client: httpx.Client) -> None:
    assert "tiny" in client.get("/").text
    assert "/v2/models/{model}/infer" in client.get("/docs").text
    document = client.get("/openapi.json").json()
    assert "post" in document["paths"]["/v1/models/{model}:predict"]
    assert "post" in document["paths"]["/v2/models/{model}/versions/{version}/infer"]
    names = [o["operationId"] for ops in document["paths"].values() for o in ops.values()]
    assert len(names) == len(set(names))


def test_every_documented_route_is_served(client: httpx.Client) -> None:
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method in operations:
            url = path.replace("{model}", "tiny").replace("{version}", "1.0.0")
            url = url.replace("{deployment}", "tiny")
            if url.endswith("unload"):
                continue
            reply = client.request(method, url)
            if url.startswith(("/v1/alerts/", "/v1/incidents/")):
                # These are there where the settings have rules.
                assert "this server has no rules" in reply.text or reply.status_code == 400
                continue
            if url.startswith("/v1/deployments/"):
                # Nothing was ever rolled out here.
                assert reply.status_code in (400, 404, 409), f"{method} {url}: {reply.text}"
                assert re.search("tiny|needs a reason|plan is missing", reply.text)
                continue
            assert reply.status_code in (200, 400), f"{method} {url}: {reply.text}"


def test_the_repository(client: httpx.Client) -> None:
    assert client.get("/v1/registry").json()["models"][0]["aliases"] == {"champion": "1.0.0"}
    assert client.get("/v1/deployments").json()["deployments"][0]["name"] == "tiny"
    index = client.post("/v2/repository/index").json()
    assert [(entry["name"], entry["state"]) for entry in index] == [("tiny", "READY")]
    reply = client.post("/v2/repository/models/tiny/unload")
    assert reply.json() == {"name": "tiny", "unload": True}
    assert client.get("/v2/models/tiny").status_code == 404
    assert client.post("/v2/repository/models/tiny/unload").status_code == 404
    assert client.post("/v2/repository/models/tiny/load", content=b"").status_code == 200
    assert client.get("/v2/models/tiny/ready").status_code == 200
    assert client.post("/v2/repository/models/none/load").status_code == 404
    for name in ("config", "file:1/model.onnx"):
        reply = client.post("/v2/repository/models/tiny/load", json={"parameters": {name: "{}"}})
        assert reply.status_code == 400
        assert name in reply.json()["error"]
    unload = {"parameters": {"unload_dependents": False}}
    assert client.post("/v2/repository/models/tiny/unload", json=unload).status_code == 200


def test_rows_as_arrow(client: httpx.Client) -> None:
    arrow = "application/vnd.apache.arrow.stream"
    table = pa.table(
        {
            "x": pa.array([1.25, None, 3.0], pa.float32()),
            "colour": pa.array(["red", "blue", "red"]).dictionary_encode(),
            "at": pa.array([0, 1, None], pa.timestamp("s", tz="UTC")),
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    url = "/v1/models/tiny:predict"
    headers = {"content-type": arrow, "accept": arrow}
    reply = client.post(url, content=sink.getvalue(), headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == arrow
    answer = pa.ipc.open_stream(reply.content).read_all()
    assert answer.num_rows == 3
    assert answer.schema.metadata[b"model_version"] == b"1.0.0"
    rows = table.to_pylist()
    for row in rows:
        row["at"] = row["at"] and row["at"].isoformat()
    predictions = client.post(url, json={"instances": rows}).json()["predictions"]
    assert answer["probabilities[1]"].to_pylist() == pytest.approx(
        [prediction["probabilities"][1] for prediction in predictions], abs=1e-6
    )
    reply = client.post(url, content=sink.getvalue(), headers={"content-type": arrow})
    assert reply.json()["predictions"] == predictions
    reply = client.post(url, content=sink.getvalue()[:200], headers=headers)
    assert (reply.status_code, list(reply.json())) == (400, ["error"])


def test_the_access_log_names_what_python_answered(runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with Server(runtime, Settings(port=0, access_log=str(path))) as server:
        reply = httpx.get(f"{server.url}/docs", headers={"x-request-id": "mine"})
        assert reply.headers["x-request-id"] == "mine"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["id"], line["route"], line["status"]) for line in lines] == [
        ("mine", "control", 200)
    ]
    with pytest.raises(InputError, match="cannot be opened"):
        Server(runtime, Settings(port=0, access_log=str(tmp_path / "none" / "log")))


def test_errors_of_both_planes_have_one_shape(client: httpx.Client) -> None:
    for method, path, status in [
        ("GET", "/v2/models/none", 404),
        ("GET", "/v2/models/tiny/infer", 405),
        ("GET", "/nowhere", 404),
        ("DELETE", "/docs", 405),
        ("POST", "/v2/repository/models/none/load", 404),
    ]:
        reply = client.request(method, path)
        assert reply.status_code == status, path
        assert reply.headers["content-type"] == "application/json"
        assert isinstance(reply.json()["error"], str)


def test_claims_of_clients_do_not_reach_python(runtime: Runtime) -> None:
    seen: list[dict[str, str]] = []
    plane = control_app(runtime)

    async def spy(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        seen[-1]["client"] = scope["client"][0]
        await plane(scope, receive, send)

    with Server(runtime, Settings(port=0), app=spy) as server:
        httpx.get(
            f"{server.url}/docs",
            headers={
                "x-forwarded-for": "10.0.0.1",
                "x-tidegate-user": "root",
                "x-real-ip": "10.0.0.1",
                "forwarded": "for=10.0.0.1",
                "x-kept": "yes",
            },
        )
    (headers,) = seen
    assert headers["client"] == "127.0.0.1"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-kept"] == "yes"
    assert not {"x-tidegate-user", "x-real-ip", "forwarded"} & set(headers)


def test_a_port_in_use_is_one_sentence(runtime: Runtime) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port} is in use by another process"):
            Server(runtime, Settings(port=port))


def test_settings_are_checked() -> None:
    for wrong in (
        {"port": -1},
        {"port": 65535},
        {"port": 8080, "grpc_port": 8080},
        {"grpc_port": 65536},
        {"workers": 0},
        {"grace": -1.0},
        {"grace": float("nan")},
        {"limits": {"speed": 1.0}},
    ):
        with pytest.raises(ConfigurationError):
            Settings(**wrong)
    assert Settings(host="::1", port=1).address == "[::1]:1"
    assert Settings(host="::1", port=1).grpc_address == "[::1]:2"
    assert Settings(port=0).grpc_address == "127.0.0.1:0"
    assert Settings(port=65535, grpc_port=9000).grpc_address == "127.0.0.1:9000"
    assert Settings(port=65535, grpc=False).grpc_address is None


def test_the_same_answer_again_and_again(client: httpx.Client) -> None:
    body = json.dumps({"instances": [ROW]})
    first = client.post("/v1/models/tiny:predict", content=body).json()
    second = client.post("/v1/models/tiny:predict", content=body).json()
    assert first.pop("prediction_id") != second.pop("prediction_id")
    assert first == second
