"""The OpenAPI document of all routes, the data plane's and the control plane's."""

from __future__ import annotations

import html
import re
from typing import Any, Final

from tidegate import _core
from tidegate.server.alerting import ROUTES as ALERTING
from tidegate.server.replicas import ROUTES as REPLICAS
from tidegate.server.rollouts import BODIES as ROLLOUT_BODIES
from tidegate.server.rollouts import ROUTES as ROLLOUTS

__all__ = ["CONTROL", "document", "page"]

CONTROL: Final = (
    ("GET", "/v1/deployments", "deployments", "What is served: name, model, version, revision."),
    ("GET", "/v1/registry", "registry", "What is published: models, versions, aliases."),
    (
        "POST",
        "/v2/repository/models/{model}/load",
        "repository_load",
        "Deploys the model's version of the alias champion.",
    ),
    (
        "POST",
        "/v2/repository/models/{model}/unload",
        "repository_unload",
        "Stops serving the model; requests in flight finish.",
    ),
    ("GET", "/ui", "ui", "The drift of each served model, as a page for people."),
    ("GET", "/openapi.json", "openapi", "This document."),
    *ALERTING,
    *REPLICAS,
    *ROLLOUTS,
)
"""The routes of the control plane: method, path, name, summary."""

_BODIES: Final[dict[str, dict[str, Any]]] = {
    "infer": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["name", "shape", "datatype"],
                    "properties": {
                        "name": {"type": "string"},
                        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                        "datatype": {"type": "string"},
                        "parameters": {"type": "object"},
                        "data": {"type": "array", "items": {}},
                    },
                },
            },
            "outputs": {"type": "array", "items": {"type": "object"}},
        },
    },
    "predict": {
        "type": "object",
        "required": ["instances"],
        "properties": {
            "instances": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        },
        "example": {"instances": [{"carrier": "UA", "distance": 2454}]},
    },
    "feedback": {
        "type": "object",
        "required": ["feedback"],
        "properties": {
            "feedback": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["prediction_id"],
                    "additionalProperties": False,
                    "properties": {
                        "prediction_id": {"type": "string"},
                        "label": {},
                        "metrics": {
                            "type": "object",
                            "additionalProperties": {"type": ["number", "null"]},
                        },
                    },
                },
            },
        },
        "example": {
            "feedback": [
                {
                    "prediction_id": "8f0c3a5d2b1e4f6700000000/0",
                    "label": 1,
                    "metrics": {"revenue": 12.5},
                }
            ]
        },
    },
    "repository_index": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
    "silence": {
        "type": "object",
        "required": ["matchers"],
        "properties": {
            "matchers": {"type": "object", "additionalProperties": {"type": "string"}},
            "seconds": {"type": "number", "exclusiveMinimum": 0},
            "until": {"type": "number"},
            "comment": {"type": "string"},
        },
        "example": {"matchers": {"rule": "slow"}, "seconds": 3600, "comment": "known"},
    },
    "note_incident": {
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string"}},
    },
    **ROLLOUT_BODIES,
}

_QUERIES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "predict": (("extra", "`ignore` passes over keys that no column has."),),
    "drift": (("segment", "Only the rows with this value of the segment column."),),
    "replicas_drift": (("segment", "Only the rows with this value of the segment column."),),
    "drift_close": (("label", "What to call the window in reports."),),
    "rollout_history": (("limit", "At most so many revisions, 1 to 1,000; 20 by default."),),
}

_TEXT: Final = {"metrics": "text/plain", "ui": "text/html"}
_VERSIONED: Final = re.compile(r"^/v[12]/models/\{model\}")


def _operation(method: str, path: str, name: str, summary: str, *, plane: str) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", path)
    parameters: list[dict[str, Any]] = [
        {"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names
    ]
    parameters += [
        {"name": n, "in": "query", "description": text, "schema": {"type": "string"}}
        for n, text in _QUERIES.get(name, ())
    ]
    answer = {"description": "Done."}
    content: dict[str, dict[str, Any]] = {_TEXT.get(name, "application/json"): {}}
    operation: dict[str, Any] = {
        "operationId": name if "{version}" not in path else f"{name}_of_version",
        "summary": summary,
        "tags": [plane],
        "parameters": parameters,
        "responses": {
            "200": {**answer, "content": content},
            "default": {
                "description": "One sentence that says what is wrong and how to mend it.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if method == "POST" and name in _BODIES:
        operation["requestBody"] = {
            "required": bool(_BODIES[name].get("required")),
            "content": {"application/json": {"schema": _BODIES[name]}},
        }
    return operation


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document.

    Returns:
        The document as plain values, ready to be written as JSON.

    Example:
        >>> sorted(document()["paths"])[:2]
        ['/metrics', '/openapi.json']
    """
    paths: dict[str, dict[str, Any]] = {}
    planes = [("data plane", _core.http_routes()), ("control plane", list(CONTROL))]
    for plane, routes in planes:
        for method, path, name, summary in routes:
            spellings = [path]
            if plane == "data plane" and _VERSIONED.match(path):
                spellings.append(path.replace("{model}", "{model}/versions/{version}", 1))
            for spelling in spellings:
                operation = _operation(method, spelling, name, summary, plane=plane)
                paths.setdefault(spelling, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tidegate",
            "version": _core.__version__,
            "description": "Open Inference Protocol, rows for people, metrics, drift, registry.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}},
                }
            }
        },
    }


def page() -> str:
    """The routes as a page that needs nothing from outside."""
    rows = []
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            cells = (method.upper(), path, operation["summary"], operation["tags"][0])
            rows.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>tidegate: routes</title>'
        "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;"
        "padding:0 1rem;color:#1f2933}table{border-collapse:collapse;width:100%}"
        "td{border-top:1px solid #e4e7eb;padding:.35rem .6rem;vertical-align:top}"
        "td:nth-child(2){font-family:ui-monospace,monospace}</style></head><body>"
        "<h1>Routes</h1><p>As a document: <a href='openapi.json'>openapi.json</a>. "
        "A path of a model may go on with <code>/versions/{version}</code>.</p>"
        f"<table>{table}</table></body></html>"
    )
