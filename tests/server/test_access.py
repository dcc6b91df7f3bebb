"""Who is let in: keys, roles, the control plane, rates, addresses, the mounted application."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from tidegate.errors import AlreadyExistsError, InputError, NotFoundError, StateError
from tidegate.runtime import Runtime
from tidegate.server import Access, Gate, Rates, Server, Settings, Tls, mount
from tidegate.server.keyring import Keyring

INSTANCES = {"instances": [{"x": 0.5, "colour": "red"}]}
PREDICT = "/v1/models/tiny:predict"


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys.json")


@contextmanager
def guarded(
    runtime: Runtime, keyring: Keyring, rates: Rates | None = None
) -> Iterator[tuple[Server, Gate]]:
    with (
        Gate(Access(keys=str(keyring.file)), rates) as gate,
        Server(runtime, Settings(port=0), gate=gate) as server,
    ):
        yield server, gate


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_each_role_reaches_what_it_may(runtime: Runtime, keyring: Keyring) -> None:
    keys = {
        role: keyring.new(role, [f"{role}:*"])
        for role in ("viewer", "predictor", "operator", "admin")
    }
    routes = [
        ("GET", "/v2/models/tiny", "viewer"),
        ("GET", "/v2/models", "viewer"),
        ("GET", "/metrics", "viewer"),
        ("GET", "/v1/registry", "viewer"),
        ("GET", "/", "viewer"),
        ("GET", "/v2", "viewer"),
        ("GET", "/docs", "viewer"),
        ("POST", PREDICT, "predictor"),
        ("POST", "/v1/models/tiny/drift:close", "operator"),
        ("GET", "/v1/models/tiny/quality", "viewer"),
        ("POST", "/v1/models/tiny:feedback", "predictor"),
        ("POST", "/v2/repository/models/tiny/load", "operator"),
        ("POST", "/v2/repository/models/other", "admin"),
        ("GET", "/v2/logging", "viewer"),
        ("POST", "/v2/logging", "admin"),
        ("DELETE", "/v1/registry", "admin"),
    ]
    order = list(keys)
    with guarded(runtime, keyring) as (server, _), httpx.Client(base_url=server.url) as client:
        for path in ("/v2/health/live", "/v2/health/ready"):
            assert client.get(path).status_code == 200
        for method, path, least in routes:
            body = INSTANCES if path == PREDICT else None
            nobody = client.request(method, path, json=body)
            assert nobody.status_code == 401, path
            assert nobody.headers["www-authenticate"].startswith("Bearer")
            assert "Authorization: Bearer" in nobody.json()["error"]
            for role, key in keys.items():
                reply = client.request(method, path, json=body, headers=bearer(key))
                if order.index(role) < order.index(least):
                    assert reply.status_code == 403, (role, path)
                    assert f"key:{role} may not" in reply.json()["error"]
                else:
                    assert reply.status_code not in (401, 403, 500), (role, path, reply.text)


def test_the_access_log_names_callers(runtime: Runtime, keyring: Keyring, tmp_path: Path) -> None:
    key = keyring.new("ci", ["viewer"])
    log = tmp_path / "access.log"
    with (
        Gate(Access(keys=str(keyring.file))) as gate,
        Server(runtime, Settings(port=0, access_log=str(log)), gate=gate) as server,
    ):
        for path, headers, status in [
            ("/v2", bearer(key), 200),
            ("/v1/registry", bearer(key), 200),
            ("/v2", {}, 401),
        ]:
            reply = httpx.get(f"{server.url}{path}", headers=headers)
            assert (reply.status_code, "x-request-id" in reply.headers) == (status, True), path
    text = log.read_text()
    assert key not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["status"], line.get("caller")) for line in lines] == [
        (200, "key:ci"),
        (200, "key:ci"),
        (401, None),
    ]


def test_grants_are_bound_to_models(runtime: Runtime, keyring: Keyring) -> None:
    here = keyring.new("here", ["predictor:tin*"])
    there = keyring.new("there", ["admin:other-*"])
    with guarded(runtime, keyring) as (server, _), httpx.Client(base_url=server.url) as client:
        assert client.post(PREDICT, json=INSTANCES, headers=bearer(here)).status_code == 200
        assert client.post(PREDICT, json=INSTANCES, headers={"x-api-key": here}).status_code == 200
        assert client.get("/v2", headers=bearer(here)).status_code == 200
        # A list would tell of models that are none of this caller's business.
        assert client.get("/v2/models", headers=bearer(here)).status_code == 403
        for path in (PREDICT, "/v2/repository/models/tiny/unload"):
            assert client.post(path, json=INSTANCES, headers=bearer(there)).status_code == 403
        unload = "/v2/repository/models/%74iny/unload"
        assert client.post(unload, headers=bearer(there)).status_code == 403
        wrong = client.get("/v2/models/tiny", headers={"authorization": "Basic eDp5"})
        assert wrong.status_code == 401


def test_a_large_body_of_nobodys_is_answered(runtime: Runtime, keyring: Keyring) -> None:
    keyring.new("ci", ["admin"])
    with guarded(runtime, keyring) as (server, _), httpx.Client(base_url=server.url) as client:
        for _ in range(3):
            assert client.post(PREDICT, content=b"x" * 3_000_000).status_code == 401


def test_the_control_plane_is_told_who_asks(runtime: Runtime, keyring: Keyring) -> None:
    key = keyring.new("ci", ["viewer:tiny", "viewer"])
    told: list[dict[str, str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        told.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with (
        Gate(Access(keys=str(keyring.file)), Rates(caller="9/h")) as gate,
        Server(runtime, Settings(port=0), gate=gate, app=app) as server,
    ):
        claims = {"x-tidegate-caller": "root", "x-tidegate-roles": "admin:*", **bearer(key)}
        reply = httpx.get(f"{server.url}/anything", headers=claims)
        assert reply.status_code == 200
        assert reply.headers["ratelimit-remaining"] == "8"
    (headers,) = told
    assert headers["x-tidegate-caller"] == "key:ci"
    assert headers["x-tidegate-roles"] == "viewer:tiny,viewer:*"
    assert "authorization" not in headers


def test_a_revoked_key_ends_while_the_server_runs(runtime: Runtime, keyring: Keyring) -> None:
    key = keyring.new("ci", ["viewer"])
    with guarded(runtime, keyring) as (server, _):
        url = f"{server.url}/v2/models"
        assert httpx.get(url, headers=bearer(key)).status_code == 200
        keyring.revoke("ci")
        other = keyring.new("other", ["viewer"])
        until = time.monotonic() + 60
        while httpx.get(url, headers=bearer(key)).status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert httpx.get(url, headers=bearer(key)).status_code == 401
        assert httpx.get(url, headers=bearer(other)).status_code == 200


def test_rates_are_told_and_kept(runtime: Runtime, keyring: Keyring) -> None:
    keys = [keyring.new(name, ["predictor"]) for name in ("a", "b")]
    rates = Rates(caller="5/h", caller_and_model="2/h")
    with guarded(runtime, keyring, rates) as (server, gate):

        def ask(key: str) -> httpx.Response:
            return httpx.post(f"{server.url}{PREDICT}", json=INSTANCES, headers=bearer(key))

        first, second, third = (ask(keys[0]) for _ in range(3))
        assert [r.status_code for r in (first, second, third)] == [200, 200, 429]
        assert first.headers["ratelimit-limit"] == "2"
        assert first.headers["ratelimit-remaining"] == "1"
        assert 0 < int(first.headers["ratelimit-reset"]) <= 1800
        assert 0 < int(third.headers["retry-after"]) <= 1800
        assert third.headers["ratelimit-remaining"] == "0"
        assert "rate limit caller_and_model" in third.json()["error"]
        assert ask(keys[1]).status_code == 200
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200
        access = Access(keys=str(keyring.file))
        gate.reload(access, Rates(), Tls())
        assert ask(keys[0]).status_code == 200
        with pytest.raises(InputError, match="is no rate"):
            gate.reload(access, Rates(caller="many"), Tls())
        assert ask(keys[0]).status_code == 200


def test_other_addresses_need_keys_or_a_plain_word(runtime: Runtime, keyring: Keyring) -> None:
    everywhere = Settings(host="0.0.0.0", port=0)
    with pytest.raises(InputError, match="--allow-anonymous"):
        Server(runtime, everywhere)
    with Gate() as gate, pytest.raises(InputError, match=r"access\.keys"):
        Server(runtime, everywhere, gate=gate)
    with (
        Gate(Access(allow_anonymous=True)) as gate,
        Server(runtime, everywhere, gate=gate) as server,
    ):
        assert httpx.get(f"http://127.0.0.1:{server.port}/v2").status_code == 200
    keyring.new("ci", ["admin"])
    with (
        Gate(Access(keys=str(keyring.file))) as gate,
        Server(runtime, everywhere, gate=gate) as server,
    ):
        assert httpx.get(f"http://127.0.0.1:{server.port}/v2").status_code == 401


async def asked(app: Starlette, method: str, path: str, key: str | None) -> int:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://service"
    ) as client:
        headers = {} if key is None else bearer(key)
        return (await client.request(method, path, headers=headers)).status_code


def test_the_mounted_application_checks_where_it_is_told_to(
    runtime: Runtime, keyring: Keyring
) -> None:
    import asyncio

    key = keyring.new("ci", ["viewer"])
    with Gate(Access(keys=str(keyring.file))) as gate:
        checked, unchecked = mount(runtime, gate=gate), mount(runtime)
        try:
            app = Starlette(routes=[Mount("/ml", app=checked), Mount("/open", app=unchecked)])
            for path in ("/v2/models", "/v1/registry"):
                assert asyncio.run(asked(app, "GET", f"/open{path}", None)) == 200
                assert asyncio.run(asked(app, "GET", f"/ml{path}", None)) == 401
                assert asyncio.run(asked(app, "GET", f"/ml{path}", key)) == 200
            load = "/ml/v2/repository/models/tiny/load"
            assert asyncio.run(asked(app, "POST", load, key)) == 403
        finally:
            checked.close()
            unchecked.close()


def test_a_keyring_keeps_digests_only(keyring: Keyring) -> None:
    key = keyring.new("ci", ["predictor:a", "viewer"], days=1)
    text = keyring.file.read_text()
    assert key not in text
    assert key.split("_", 2)[2] not in text
    assert keyring.file.stat().st_mode & 0o777 == 0o600
    (record,) = Keyring(keyring.file).records
    assert record == keyring.records[0]
    assert not record.expired
    with pytest.raises(AlreadyExistsError):
        keyring.new("ci", ["viewer"])
    for name, grants in (("a b", ["viewer"]), ("x", []), ("x", ["emperor"])):
        with pytest.raises(InputError):
            keyring.new(name, grants)
    with pytest.raises(InputError):
        keyring.new("x", ["viewer"], days=0)
    with pytest.raises(NotFoundError):
        keyring.revoke("nobody")
    keyring.revoke("ci")
    assert json.loads(keyring.file.read_text()) == {"format": 1, "keys": []}
    keyring.file.write_text("{}")
    with pytest.raises(StateError):
        Keyring(keyring.file)
