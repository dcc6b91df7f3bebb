"""The control plane: a Starlette app that answers what the data plane does not."""

from __future__ import annotations

import html
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tidegate.errors import InputError, NotFoundError
from tidegate.monitoring.alerts.watch import Watch
from tidegate.monitoring.snapshots import SnapshotWriter
from tidegate.routing.orders import Orders
from tidegate.runtime import Runtime
from tidegate.server import alerting, openapi, replicas, rollouts
from tidegate.server.bodies import object_of
from tidegate.server.faults import HANDLERS

__all__ = ["control_app"]

CHAMPION: Final = "champion"
"""The alias that `load` deploys."""

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:46rem;padding:0 1rem;"
    "color:#1f2933}code{font-family:ui-monospace,monospace}td{padding:.2rem 1rem .2rem 0}"
)


def control_app(
    runtime: Runtime,
    watch: Watch | None = None,
    snapshots: SnapshotWriter | None = None,
    orders: Orders | None = None,
) -> Starlette:
    """The control plane of a runtime, as an ASGI application.

    Args:
        runtime: What is served; its registry is what `load` resolves models in.
        watch: What looks at the rules of alerts; `None` where there are none.
        snapshots: What writes down what is watched; `None` where replicas share nothing.
        orders: What carries out the commands of rollouts; `None` where no revisions are kept.

    Returns:
        An application that answers pages, documents and the model repository; every error is
        `{"error": "one sentence"}`.

    Example:
        >>> from tidegate.runtime import Runtime
        >>> with Runtime() as runtime:
        ...     [route.path for route in control_app(runtime).routes][:2]
        ['/', '/docs']
    """
    control = _Control(runtime)
    return Starlette(
        routes=[
            Route("/", control.index),
            Route("/docs", control.docs),
            Route("/openapi.json", control.openapi),
            Route("/ui", control.drift),
            Route("/v1/deployments", control.deployments),
            Route("/v1/registry", control.registry),
            Route("/v2/repository/models/{model:path}/load", control.load, methods=["POST"]),
            Route("/v2/repository/models/{model:path}/unload", control.unload, methods=["POST"]),
            *alerting.routes(watch),
            *replicas.routes(runtime, snapshots),
            *rollouts.routes(orders),
        ],
        exception_handlers=dict(HANDLERS),
    )


class _Control:
    """The handlers; whatever may wait for storage or the model runs in a thread of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def index(self, request: Request) -> Response:
        del request
        rows = "".join(
            f"<tr><td><code>{html.escape(d.name)}</code></td><td>{html.escape(d.version)}</td>"
            f"<td><a href='ui?model={quote(d.name)}'>drift</a></td></tr>"
            for d in self._runtime.deployments()
        )
        models = f"<table>{rows}</table>" if rows else "<p>No model is served.</p>"
        return HTMLResponse(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>tidegate</title>'
            f"<style>{_STYLE}</style></head><body><h1>tidegate</h1>{models}"
            "<p><a href='docs'>routes</a> · <a href='metrics'>metrics</a></p></body></html>"
        )

    async def docs(self, request: Request) -> Response:
        del request
        return HTMLResponse(openapi.page())

    async def openapi(self, request: Request) -> Response:
        del request
        return JSONResponse(openapi.document())

    async def drift(self, request: Request) -> Response:
        asked = request.query_params
        page = await run_in_threadpool(self._drift, asked.get("model"), asked.get("segment"))
        return HTMLResponse(page)

    def _drift(self, model: str | None, segment: str | None) -> str:
        from tidegate.monitoring.page import render_html

        if model is None:
            names = [deployment.name for deployment in self._runtime.deployments()]
            if not names:
                raise NotFoundError("no model is served: deploy one, then look again")
            model = names[0]
        return render_html(self._runtime.drift(model, segment=segment), title=model)

    async def deployments(self, request: Request) -> Response:
        del request
        following = {state.deployment: asdict(state) for state in self._runtime.following}
        arms = self._runtime.arms()
        return JSONResponse(
            {
                "deployments": [
                    {
                        "name": deployment.name,
                        "model": deployment.model,
                        "version": deployment.version,
                        "digest": deployment.digest,
                        "revision": deployment.revision,
                        "following": following.get(deployment.name),
                        "arms": [
                            {"version": arm.version, "role": arm.role, "weight": arm.weight}
                            for arm in arms
                            if arm.name == deployment.name
                        ],
                    }
                    for deployment in self._runtime.deployments()
                ]
            }
        )

    async def registry(self, request: Request) -> Response:
        del request
        return JSONResponse(await run_in_threadpool(self._registry))

    def _registry(self) -> dict[str, Any]:
        registry = self._runtime.registry
        if registry is None:
            raise NotFoundError("this server has no registry: start it with --registry")
        return {
            "location": registry.location,
            "models": [
                {
                    "name": listing.name,
                    "versions": [
                        {
                            "version": record.version,
                            "digest": record.digest,
                            "created": record.created,
                        }
                        for record in listing.versions
                    ],
                    "aliases": {alias.alias: alias.version for alias in listing.aliases},
                }
                for listing in registry.list()
            ],
        }

    async def load(self, request: Request) -> Response:
        name = request.path_params["model"]
        body = await object_of(request)
        parameters = body.get("parameters") or {}
        if parameters:
            raise InputError(
                f"load takes no parameters and was sent {', '.join(map(repr, parameters))}: "
                "what a bundle holds never changes, so publish another version and load that"
            )
        await run_in_threadpool(self._load, name)
        return JSONResponse({"name": name, "load": True})

    def _load(self, name: str) -> None:
        if self._runtime.registry is None:
            raise NotFoundError(
                f"model {name!r} cannot be loaded, as this server has no registry: "
                "start it with --registry"
            )
        self._runtime.deploy(f"{name}@{CHAMPION}", name=name)

    async def unload(self, request: Request) -> Response:
        name = request.path_params["model"]
        await object_of(request)
        await run_in_threadpool(self._runtime.unload, name)
        return JSONResponse({"name": name, "unload": True})
