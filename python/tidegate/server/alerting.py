"""The routes of alerts and incidents."""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.errors import InputError, NotFoundError
from tidegate.monitoring.alerts.watch import Watch
from tidegate.server.bodies import caller_of, object_of

__all__ = ["ROUTES", "routes"]

ROUTES: Final = (
    ("GET", "/v1/alerts", "alerts", "Rules, alerts that fire or pend, silences, channels."),
    ("POST", "/v1/alerts/silences", "silence", "Tells nobody of some alerts for some time."),
    ("DELETE", "/v1/alerts/silences/{silence}", "unsilence", "Ends a silence."),
    (
        "POST",
        "/v1/alerts/channels/{channel}/test",
        "test_channel",
        "Sends a test to a channel and waits for its answer.",
    ),
    ("GET", "/v1/incidents", "incidents", "Incidents, the newest first."),
    (
        "GET",
        "/v1/incidents/{incident}",
        "incident",
        "One incident: its alerts, timeline and evidence.",
    ),
    (
        "GET",
        "/v1/incidents/{incident}/review",
        "review_incident",
        "One incident as a review in Markdown.",
    ),
    (
        "POST",
        "/v1/incidents/{incident}/ack",
        "acknowledge_incident",
        "Says that the caller has it in hand: nobody further is told.",
    ),
    ("POST", "/v1/incidents/{incident}/note", "note_incident", "Adds a note to the timeline."),
    (
        "POST",
        "/v1/incidents/{incident}/resolve",
        "resolve_incident",
        "Closes it, whatever its alerts do.",
    ),
)
"""Method, path, name, summary."""

EMPTY: Final[dict[str, Any]] = {
    "replica": "",
    "replicas": [],
    "problem": None,
    "rules": [],
    "alerts": [],
    "pending": [],
    "silences": [],
    "channels": [],
    "failures": [],
}
"""What a server without rules says."""


def routes(watch: Watch | None) -> list[Route]:
    """The routes of a control plane.

    Args:
        watch: What looks at the rules; `None` where there are none.
    """
    handlers = _Handlers(watch)
    return [
        Route(path, getattr(handlers, name), methods=[method]) for method, path, name, _ in ROUTES
    ]


class _Handlers:
    """Whatever may wait for storage or a channel runs in a thread of its own."""

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch

    def _there(self) -> Watch:
        if self._watch is None:
            raise NotFoundError("this server has no rules: add [[alerts.rules]] to its settings")
        return self._watch

    async def alerts(self, request: Request) -> Response:
        del request
        found = EMPTY if self._watch is None else await run_in_threadpool(self._watch.alerts)
        return JSONResponse(found)

    async def silence(self, request: Request) -> Response:
        document = await object_of(request)
        if not document:
            raise InputError("a silence needs matchers and an end: see docs/alerts.md")
        name = await run_in_threadpool(self._there().silence, document, caller_of(request))
        return JSONResponse({"id": name})

    async def unsilence(self, request: Request) -> Response:
        name = request.path_params["silence"]
        await run_in_threadpool(self._there().unsilence, name, caller_of(request))
        return JSONResponse({"id": name})

    async def test_channel(self, request: Request) -> Response:
        name = request.path_params["channel"]
        await run_in_threadpool(self._there().test, name)
        return JSONResponse({"channel": name, "taken": True})

    async def incidents(self, request: Request) -> Response:
        del request
        found = [] if self._watch is None else await run_in_threadpool(self._watch.incidents)
        return JSONResponse({"incidents": found})

    async def incident(self, request: Request) -> Response:
        name = request.path_params["incident"]
        return JSONResponse(await run_in_threadpool(self._there().incident, name))

    async def review_incident(self, request: Request) -> Response:
        name = request.path_params["incident"]
        text = await run_in_threadpool(self._there().review, name)
        return JSONResponse({"id": name, "markdown": text})

    async def acknowledge_incident(self, request: Request) -> Response:
        return await self._said(request, self._there().acknowledge)

    async def resolve_incident(self, request: Request) -> Response:
        return await self._said(request, self._there().resolve)

    async def _said(self, request: Request, say: Any) -> Response:
        name = request.path_params["incident"]
        await run_in_threadpool(say, name, caller_of(request))
        return JSONResponse({"id": name})

    async def note_incident(self, request: Request) -> Response:
        name, document = request.path_params["incident"], await object_of(request)
        text = document.get("text")
        if not isinstance(text, str):
            raise InputError('a note needs a text: send {"text": "…"}')
        await run_in_threadpool(self._there().note, name, caller_of(request), text)
        return JSONResponse({"id": name})
