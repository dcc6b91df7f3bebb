"""The routes of rollouts: status, history and commands of each deployment."""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.errors import InputError, NotFoundError
from tidegate.routing.orders import VERBS, Orders
from tidegate.server.bodies import caller_of, object_of

__all__ = ["BODIES", "ROUTES", "routes"]

PREFIX: Final = "/v1/deployments/{deployment}"

_SUMMARIES: Final = {
    "start": "Tests a candidate and starts its rollout by a plan, or sets arms at once.",
    "pause": "Stops the rollout where it is; traffic stays as it is.",
    "resume": "Goes on with a rollout that is paused.",
    "promote": "Gives a candidate all traffic now, whatever the gates say.",
    "abort": "Gives the rollout up: the stable version gets all traffic.",
    "undo": "Appends the plan before, or one by number, as a new revision.",
    "rollback": "Back to what stood before: aborts an open rollout, else undoes.",
}

ROUTES: Final = (
    (
        "GET",
        f"{PREFIX}/rollout",
        "rollout",
        "How the rollout stands: weights, gates with intervals, what is still needed.",
    ),
    ("GET", f"{PREFIX}/rollout/history", "rollout_history", "The revisions, the newest first."),
    (
        "GET",
        f"{PREFIX}/rollout/verify",
        "rollout_verify",
        "Proves that the revisions are one chain in which nothing was changed.",
    ),
    *(
        (
            "POST",
            f"{PREFIX}/rollback" if verb == "rollback" else f"{PREFIX}/rollout/{verb}",
            f"rollout_{verb}",
            _SUMMARIES[verb],
        )
        for verb in VERBS
    ),
)
"""Method, path, name, summary."""

_REASON: Final = {"reason": {"type": "string", "maxLength": 1_000}}

BODIES: Final[dict[str, dict[str, Any]]] = {
    **{
        f"rollout_{verb}": {"type": "object", "properties": _REASON, "additionalProperties": False}
        for verb in ("pause", "resume", "abort")
    },
    "rollout_start": {
        "type": "object",
        "required": ["plan"],
        "additionalProperties": False,
        "properties": {
            "plan": {"type": "object"},
            "skip_check": {"type": "string", "description": "Why the candidate is not tested."},
            **_REASON,
        },
        "example": {
            "plan": {
                "candidate": "1.1.0",
                "strategy": {"kind": "canary", "steps": [{"percent": 5, "min_seconds": "10m"}]},
            },
            "reason": "better on July",
        },
    },
    "rollout_promote": {
        "type": "object",
        "properties": {"version": {"type": "string"}, **_REASON},
        "additionalProperties": False,
    },
    "rollout_undo": {
        "type": "object",
        "properties": {"to": {"type": "integer", "minimum": 1}, **_REASON},
        "additionalProperties": False,
    },
    "rollout_rollback": {
        "type": "object",
        "required": ["reason"],
        "properties": _REASON,
        "additionalProperties": False,
        "example": {"reason": "complaints from support"},
    },
}
"""The bodies of the commands, for the OpenAPI document."""


def routes(orders: Orders | None) -> list[Route]:
    """The routes of a control plane.

    Args:
        orders: What carries commands out; `None` where there is no store for revisions.
    """
    handlers = _Handlers(orders)
    found = []
    for method, path, name, _ in ROUTES:
        verb = name.removeprefix("rollout_")
        endpoint = handlers.commanded(verb) if method == "POST" else getattr(handlers, verb)
        found.append(Route(path, endpoint, methods=[method]))
    return found


class _Handlers:
    """Everything waits for storage, so everything runs in a thread of its own."""

    def __init__(self, orders: Orders | None) -> None:
        self._orders = orders

    def _there(self) -> Orders:
        if self._orders is None:
            raise NotFoundError(
                "this server keeps no revisions: start it with a registry that can be written to, "
                "or set routing.location"
            )
        return self._orders

    async def rollout(self, request: Request) -> Response:
        name = request.path_params["deployment"]
        return JSONResponse(await run_in_threadpool(self._there().status, name))

    async def history(self, request: Request) -> Response:
        name, text = request.path_params["deployment"], request.query_params.get("limit")
        if text is not None and not text.isdecimal():
            raise InputError(f"limit is {text[:40]!r}: give a whole number")
        limit = None if text is None else int(text)
        found = await run_in_threadpool(self._there().history, name, limit)
        return JSONResponse({"deployment": name, "revisions": found})

    async def verify(self, request: Request) -> Response:
        name = request.path_params["deployment"]
        return JSONResponse(await run_in_threadpool(self._there().verify, name))

    def commanded(self, verb: str) -> Any:
        """The handler of one command."""

        async def handler(request: Request) -> Response:
            orders, name = self._there(), request.path_params["deployment"]
            body = await object_of(request)

            def carry_out() -> Any:
                return orders.command(name, verb, body, actor=caller_of(request))

            return JSONResponse(await run_in_threadpool(carry_out))

        return handler
