"""Examples of failed requests, from a live server's access log into an incident."""

from __future__ import annotations

from pathlib import Path

import httpx
import orjson
import pytest

from tidegate.errors import StorageError
from tidegate.monitoring.alerts import Alerts
from tidegate.monitoring.alerts.watch import Watch
from tidegate.runtime import Runtime
from tidegate.server import Server, Settings
from tidegate.server.failing import AccessLogTail

ROW = {"x": 1.25, "colour": "red"}
BUSY = {
    "name": "busy",
    "kind": "threshold",
    "signal": "rows_per_second",
    "above": 0.0001,
    "over": "1h",
}


def test_failed_requests_are_examples_of_an_incident(runtime: Runtime, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    alerts = Alerts(storage=str(tmp_path / "alerts"), rules=(BUSY,))
    watch = Watch(alerts, runtime, failing=AccessLogTail(str(log)))
    with Server(runtime, Settings(port=0, access_log=str(log))) as server:
        watch.look()
        with httpx.Client(base_url=server.url, timeout=30) as client:
            bad = {"instances": [{**ROW, "x": "SECRET"}]}
            headers = {"x-request-id": "mine-1"}
            path = "/v1/models/tiny:predict"
            assert client.post(path, json=bad, headers=headers).status_code == 400
            assert client.post("/v1/models/tiny2:predict", json=bad).status_code == 404
            assert client.post(path, json={"instances": [ROW]}).status_code == 200
    watch.look()
    name = watch.incidents()[0]["id"]
    records = watch.incident(name)["records"]
    [example] = next(r for r in records if r["type"] == "evidence")["examples"]
    assert example["request"] == "mine-1"
    assert example["why"].startswith(f"POST {path} answered 400 after ")
    assert "(request mine-1)" in watch.review(name)
    assert "SECRET" not in str(records)
    watch.close()


def test_those_by_the_servers_fault_come_first_and_damage_is_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    own = {"method": "POST", "path": "/v2/models/m/infer", "seconds": 0.5}
    lines = [
        {**own, "time": f"2026-01-01T00:00:0{i}Z", "id": str(i), "status": status}
        for i, status in enumerate((500, 400, 200, 503, 429))
    ]
    log.write_bytes(b'ut": 3}\nnull\n' + b"\n".join(orjson.dumps(line) for line in lines))
    assert [found["request"] for found in AccessLogTail(str(log))("m", 0.0)] == ["3", "0", "4", "1"]
    assert list(AccessLogTail(str(log))("other", 0.0)) == []
    assert len(list(AccessLogTail(str(log))(None, 0.0))) == 4
    with pytest.raises(StorageError, match="cannot be read"):
        list(AccessLogTail(str(tmp_path / "none"))("m", 0.0))
