"""The whole page: a heading for each model, then what is known of it; incidents at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

from tidegate.monitoring.incidents.review import when
from tidegate.monitoring.overview import incidents, latency, quality
from tidegate.monitoring.page import definitions, framed, sections
from tidegate.monitoring.report import DriftReport

__all__ = ["ModelOverview", "Overview", "render"]

STYLE: Final = (
    "<style>h2.model{font-size:22px;margin:34px 0 12px;overflow-wrap:anywhere}"
    "table.figures{border-collapse:collapse;font-size:13.5px;margin:10px 0;min-width:60%}"
    "table.figures th,table.figures td{padding:3px 12px 3px 0;text-align:right;"
    "font-variant-numeric:tabular-nums;vertical-align:top}"
    "table.figures th{color:#616e7c;font-weight:600}"
    "table.figures td:first-child,table.figures th:first-child,table.left td,table.left th"
    "{text-align:left}"
    "table.figures tr+tr td{border-top:1px solid #eef1f4}"
    "details{margin:10px 0}summary{cursor:pointer;font-weight:600}h3.below{margin-top:16px}"
    "</style>"
)


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """What is known of one served model.

    Attributes:
        name: The served name.
        version: What answers.
        drift: The report of drift, where the bundle has a baseline.
        quality: The report of quality as it is sent, where predictions are kept.
        stages: Latency by stage.
        absent: What there is none of, and why.
    """

    name: str
    version: str
    drift: DriftReport | None = None
    quality: Mapping[str, Any] | None = None
    stages: Sequence[latency.Stage] = ()
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Overview:
    """What is known of a server.

    Attributes:
        at: When it was asked, seconds since 1970.
        source: Whom.
        models: By name.
        incidents: As they are sent, the newest first; `None` where there are no rules.
    """

    at: float
    source: str
    models: Sequence[ModelOverview]
    incidents: Sequence[Mapping[str, Any]] | None = None


def render(overview: Overview, *, title: str = "What is served") -> str:
    """One self-contained page of HTML that opens offline.

    Args:
        overview: What is known.
        title: The heading.

    Example:
        >>> page = render(Overview(0.0, "here", [ModelOverview("m", "1.0.0")]))
        >>> "m 1.0.0" in page
        True
    """
    body = [STYLE]
    for model in overview.models:
        body.append(f'<h2 class="model">{escape(model.name)} {escape(model.version)}</h2>')
        body += _model(model)
    if not overview.models:
        body.append('<section class="panel"><p>No model is served.</p></section>')
    if overview.incidents is not None:
        body.append('<h2 class="model">Incidents</h2>')
        body.append(incidents.panel(overview.incidents))
    if any(model.drift is not None for model in overview.models):
        body.append(definitions())
    lead = f"{overview.source}, as of {when(overview.at)} UTC."
    return framed(title, lead, body)


def _model(model: ModelOverview) -> list[str]:
    body: list[str] = []
    if model.drift is not None:
        body += sections(model.drift)
    if model.quality is not None:
        body += quality.panels(model.quality)
    body.append(latency.panel(list(model.stages)))
    if model.absent:
        lines = "".join(
            f"<li>{escape(what)}: {escape(why)}</li>" for what, why in model.absent.items()
        )
        body.append(f'<section class="panel"><h2>Not there</h2><ul>{lines}</ul></section>')
    return body
