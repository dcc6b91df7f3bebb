"""Labels over HTTP: as JSON and as Arrow, of streamed answers, in bulk, and after a kill."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest
from tests.server.conftest import ROW

from tidegate.registry import Bundle
from tidegate.server import Server

ARROW = "application/vnd.apache.arrow.stream"


def stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def test_labels_as_json_and_as_arrow(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        reply = client.post("/v1/models/tiny:predict", json={"instances": [ROW, ROW, ROW]})
        name = reply.json()["prediction_id"]
        labels = [row["label"] for row in reply.json()["predictions"]]
        body = {"feedback": [{"prediction_id": f"{name}/0", "label": labels[0]}]}
        taken = client.post("/v1/models/tiny:feedback", json=body)
        assert taken.status_code == 200, taken.text
        assert taken.json()["labels"]["joined"] == 1
        table = pa.table(
            {
                "prediction_id": [f"{name}/1", f"{name}/2", f"{name}/3"],
                "label": [labels[1], 1 - labels[2], 1],
                "revenue": [1.0, 2.0, None],
            }
        )
        headers = {"content-type": ARROW}
        taken = client.post("/v1/models/tiny:feedback", content=stream(table), headers=headers)
        assert taken.json()["labels"]["joined"] == 2
        assert taken.json()["labels"]["unknown"] == 1
        assert taken.json()["metrics"]["joined"] == 2
        quality = client.get("/v1/models/tiny/quality").json()
        total = quality["versions"][0]["total"]
        assert (total["predictions"], total["labelled"]) == (3, 3)
        assert total["measures"]["accuracy"]["value"] == pytest.approx(2 / 3)
        assert total["metrics"]["revenue"]["mean"] == 1.5
        page = client.get("/metrics").text
        assert 'tidegate_quality{model="tiny",version="1.0.0",measure="accuracy"}' in page
        for wrong in (b"{", b"[]"):
            assert client.post("/v1/models/tiny:feedback", content=wrong).status_code == 400
        assert client.post("/v1/models/nobody:feedback", json={"feedback": []}).status_code == 404
        assert client.get("/v1/models/tiny:feedback").status_code == 405


def test_rows_of_a_streamed_answer_are_labelled_by_its_one_id(server: Server) -> None:
    # Above a mebibyte a body is predicted in pieces.
    rows = 20_000
    body = json.dumps({"instances": [ROW] * rows}).encode()
    assert len(body) > 1 << 20
    with httpx.Client(base_url=server.url, timeout=60) as client:
        reply = client.post("/v1/models/tiny:predict", content=body).json()
        assert len(reply["predictions"]) == rows
        name = reply["prediction_id"]
        labels = [row["label"] for row in reply["predictions"]]
        table = pa.table(
            {"prediction_id": [f"{name}/{row}" for row in range(rows + 1)], "label": [*labels, 1]}
        )
        headers = {"content-type": ARROW}
        taken = client.post("/v1/models/tiny:feedback", content=stream(table), headers=headers)
        assert taken.json()["labels"]["joined"] == rows
        assert taken.json()["labels"]["unknown"] == 1


def test_a_hundred_thousand_labels_do_not_stall_predictions(server: Server) -> None:
    rows = 100_000
    with httpx.Client(base_url=server.url, timeout=60) as client:
        headers = {"content-type": ARROW}
        table = pa.table({"x": np.full(rows, 1.25), "colour": ["red"] * rows, "at": [None] * rows})
        table = table.set_column(2, "at", table["at"].cast(pa.timestamp("us", "UTC")))
        answer = client.post(
            "/v1/models/tiny:predict",
            content=stream(table),
            headers={**headers, "accept": "application/json"},
        )
        assert answer.status_code == 200, answer.text[:200]
        name = answer.json()["prediction_id"]
        ids = [f"{name}/{row}" for row in range(rows)]
        body = json.dumps(
            {"feedback": [{"prediction_id": one, "label": n % 2} for n, one in enumerate(ids)]}
        ).encode()
        waits: list[float] = []
        done = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=server.url, timeout=60) as other:
                while not done.is_set():
                    begun = time.perf_counter()
                    reply = other.post("/v1/models/tiny:predict", json={"instances": [ROW]})
                    waits.append(time.perf_counter() - begun)
                    assert reply.status_code == 200

        thread = threading.Thread(target=ask)
        thread.start()
        taken = client.post("/v1/models/tiny:feedback", content=body)
        done.set()
        thread.join()
        assert taken.json()["labels"]["joined"] == rows
        # While the labels were taken in, predictions went on being answered.
        assert len(waits) > 3
        assert max(waits) < 10


def test_predictions_and_labels_survive_a_kill(bundle: Bundle, tmp_path: Path) -> None:
    """After `kill -9` everything is there that was a flush before."""
    folder = tmp_path / "awaiting"

    def start(number: int) -> tuple[subprocess.Popen[bytes], str]:
        address = tmp_path / f"address-{number}"
        process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "tidegate.cli", "serve", str(bundle.path), "--port", "0", "--no-grpc"),
                *("--address-file", str(address)),
                *("--set", f"runtime.feedback_folder={folder}"),
            ]
        )
        until = time.monotonic() + 60
        while not address.exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        return process, address.read_text().strip()

    first, url = start(1)
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            names = []
            for _ in range(50):
                reply = client.post("/v1/models/tiny:predict", json={"instances": [ROW, ROW]})
                names.append(reply.json()["prediction_id"])
            body = {"feedback": [{"prediction_id": f"{name}/0", "label": 1} for name in names]}
            taken = client.post("/v1/models/tiny:feedback", json=body).json()
            assert taken["labels"]["joined"] == 50
        os.kill(first.pid, signal.SIGKILL)
    finally:
        first.kill()
        first.wait()
    second, url = start(2)
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            total = client.get("/v1/models/tiny/quality").json()["versions"][0]["total"]
            assert (total["predictions"], total["labelled"]) == (100, 50)
            body = {
                "feedback": [
                    {"prediction_id": f"{name}/{row}", "label": 1}
                    for name in names
                    for row in (0, 1)
                ]
            }
            taken = client.post("/v1/models/tiny:feedback", json=body).json()
            assert taken["labels"]["duplicate"] == 50
            assert taken["labels"]["joined"] == 50
    finally:
        second.terminate()
        second.wait()
