"""Bodies of requests to the control plane, and who sends them."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request

from tidegate.errors import InputError

__all__ = ["caller_of", "object_of"]

ANONYMOUS: Final = "anonymous"
"""Who asks where nobody has to say who they are."""


async def object_of(request: Request) -> dict[str, Any]:
    """The body as a JSON object; nothing at all is an empty one.

    Raises:
        InputError: If it is something else.
    """
    data = await request.body()
    if not data:
        return {}
    try:
        value = await request.json()
    except ValueError as error:
        raise InputError(f"the body is not JSON ({error}): send an object or nothing") from error
    if not isinstance(value, dict):
        raise InputError("the body is no JSON object: send an object or nothing")
    return value


def caller_of(request: Request) -> str:
    """Who asks, as the data plane says."""
    return request.headers.get("x-tidegate-caller") or ANONYMOUS
