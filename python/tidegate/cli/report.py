"""`tidegate report`: everything that a server watches, as one page that opens offline."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import orjson
import typer

from tidegate.cli.output import CONSOLE, JsonOption, emit
from tidegate.cli.remote import UrlOption, call, text_of
from tidegate.errors import InputError, NotFoundError, StorageError, UnsupportedError

if TYPE_CHECKING:
    from tidegate.monitoring.exposition import Sample
    from tidegate.monitoring.overview import ModelOverview

__all__ = ["report"]

MOST_INCIDENTS: Final = 50
MOST_TIMELINES: Final = 5


def report(
    models: Annotated[
        list[str] | None, typer.Argument(help="Served names; all by default.", metavar="MODEL...")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path(
        "report.html"
    ),
    title: Annotated[str, typer.Option(help="The heading.")] = "What is served",
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Write one page: drift, quality, calibration, latency by stage and incidents of a server."""
    from tidegate.monitoring.exposition import parse
    from tidegate.monitoring.overview import Overview, render

    base = url.rstrip("/")
    served = {
        found["name"]: found["version"] for found in call(f"{base}/v1/deployments")["deployments"]
    }
    for name in models or []:
        if name not in served:
            names = ", ".join(served) or "none"
            raise NotFoundError(f"model {name!r} is not served: the models are {names}")
    samples = list(parse(text_of(f"{base}/metrics")))
    found = Overview(
        at=time.time(),
        source=base,
        models=[_model(base, name, served[name], samples) for name in models or sorted(served)],
        incidents=_incidents(base),
    )
    try:
        out.write_text(render(found, title=title), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from None
    if as_json:
        emit({"file": str(out.resolve()), "models": [model.name for model in found.models]})
    else:
        CONSOLE.print(f"The report: {out.resolve()}", markup=False)


def _model(base: str, name: str, version: str, samples: list[Sample]) -> ModelOverview:
    from tidegate.monitoring import DriftReport
    from tidegate.monitoring.overview import ModelOverview
    from tidegate.monitoring.overview.latency import stages_of

    absent: dict[str, str] = {}

    def ask(what: str) -> Any:
        try:
            return call(f"{base}/v1/models/{quote(name, safe='')}/{what}")
        except (InputError, NotFoundError, UnsupportedError) as error:
            absent[what] = str(error)
            return None

    drift, quality = ask("drift"), ask("quality")
    return ModelOverview(
        name=name,
        version=version,
        drift=None if drift is None else DriftReport.from_json(orjson.dumps(drift)),
        quality=quality,
        stages=stages_of(samples, name),
        absent=absent,
    )


def _incidents(base: str) -> list[Mapping[str, Any]] | None:
    """The newest incidents; nothing where the server looks at no rules."""
    if not call(f"{base}/v1/alerts")["rules"]:
        return None
    found: list[Mapping[str, Any]] = call(f"{base}/v1/incidents")["incidents"][:MOST_INCIDENTS]
    told = [call(f"{base}/v1/incidents/{quote(i['id'], safe='')}") for i in found[:MOST_TIMELINES]]
    return [*told, *found[MOST_TIMELINES:]]
