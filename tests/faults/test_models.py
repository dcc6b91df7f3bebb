"""Models that raise, hang, give NaN or another shape, or ask for more memory than there is."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.faults.models import write_times, write_troubled
from tests.faults.serving import Served, infer, request, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("models")
    models = [write_times(folder / "twice.onnx", 2.0), *write_troubled(folder)]
    with serving(folder, *models, "--grace", "1") as server:
        yield server


def test_a_model_that_raises(server: Served) -> None:
    status, reply = server.infer("raises", 99.0, flat=True)
    assert 400 <= status <= 500
    assert "failed" in reply["error"]
    # It answers whom it can, also beside those for whom it fails.
    results: dict[int, tuple[int, object]] = {}

    def ask(i: int) -> None:
        status, reply = server.infer("raises", 99.0 if i % 4 == 0 else i % 10, flat=True)
        results[i] = status, reply.get("outputs", [{}])[0].get("data")

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, (status, data) in results.items():
        assert (status >= 400) if i % 4 == 0 else (status, data) == (200, [float((i % 10) ** 2)])
    assert len(results) == 40
    assert server.is_right()


def test_a_model_that_gives_nan(server: Served) -> None:
    status, reply = server.infer("nan", 4.0, -1.0, flat=True)
    assert (status, reply["outputs"][0]["data"]) == (200, [2.0, None])
    assert server.is_right()


def test_a_model_that_gives_another_shape(server: Served) -> None:
    status, reply = server.infer("drops", 1.0, 2.0, 3.0, flat=True)
    assert (status, reply["outputs"][0]["data"]) == (200, [1.0, 2.0, 3.0])
    results: dict[int, tuple[int, object]] = {}

    def ask(i: int) -> None:
        # Merged with another's, the rows that both sent would come back once.
        status, reply = server.infer("drops", 7.0, float(100 + i), flat=True)
        results[i] = status, reply.get("outputs", [{}])[0].get("data")

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, result in results.items():
        assert result == (200, [7.0, float(100 + i)])
    assert len(results) == 32


@pytest.mark.parametrize("elements", [2**40, 2**62, -1])
def test_a_model_that_asks_for_too_much_memory(server: Served, elements: int) -> None:
    before = server.memory
    status, reply = server.infer("grows", elements, datatype="INT64", flat=True)
    assert 400 <= status <= 500
    assert reply["error"]
    assert server.memory < before + 2**28
    assert server.is_right()


@pytest.mark.parametrize("shape", [[2**40, 1], [2**31, 2**31], [2**62, 4], [2**63, 2]])
def test_a_tensor_that_asks_for_too_much_memory(server: Served, shape: list[int]) -> None:
    before = server.memory
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":%a,"data":[1.0]}]}' % shape
    status, reply = server.ask("POST", "/v2/models/twice/infer", body)
    assert status in (400, 413)
    assert reply["error"]
    assert server.memory < before + 2**26
    assert server.is_right()


def test_a_model_that_hangs(server: Served) -> None:
    """It costs its own callers their answers, and nobody else theirs; the process ends all the same."""
    with server.connect() as hung:
        body = infer([10**12], datatype="INT64", flat=True)
        hung.sendall(request("/v2/models/hangs/infer", body))
        server.until("it hangs", lambda: server.metric("tidegate_http_connections ") >= 2)
        for _ in range(10):
            assert server.is_right()
            assert server.ask("GET", "/v2/health/live")[0] == 200
            assert server.ask("GET", "/v2/models/hangs")[0] == 200
        server.process.terminate()
        assert server.process.wait(60) == 0
