"""`tidegate rollout start|status|watch|pause|resume|promote|abort|undo|history|verify`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from tidegate.cli.desk import Desk, StoreOption, desk
from tidegate.cli.output import CONSOLE, JsonOption, emit, table
from tidegate.cli.progress import closed, rendered, revision_rows, said
from tidegate.cli.remote import UrlOption
from tidegate.errors import DeadlineError, InputError, NotReadyError, StorageError

__all__ = ["rollout"]

rollout = typer.Typer(no_args_is_help=True, help="Move a deployment's traffic to another version.")

NameArgument: Final = typer.Argument(help="The deployment.", metavar="NAME")
ReasonOption: Final = typer.Option("--reason", "-m", help="Why; it goes into the record.")
Url = Annotated[str, UrlOption]
Store = Annotated[str | None, StoreOption]
AsJson = Annotated[bool, JsonOption]
Name = Annotated[str, NameArgument]
Reason = Annotated[str, ReasonOption]

PATIENCE_SECONDS: Final = 60.0
"""How long `watch` waits for a server or store that does not answer any more."""

LOCAL: Final = "http://127.0.0.1:8080"


@rollout.command()
def start(
    name: Annotated[
        str | None, typer.Argument(help="The deployment; the file's by default.", metavar="[NAME]")
    ] = None,
    candidate: Annotated[
        str | None, typer.Argument(help="Its new version, alias or digest.", metavar="[VERSION]")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A plan in TOML, in place of all others.")
    ] = None,
    steps: Annotated[
        str | None, typer.Option(metavar="PERCENTS", help="Of a canary, such as 1,5,25,50.")
    ] = None,
    blue_green: Annotated[
        bool, typer.Option("--blue-green", help="All at once, the version before kept warm.")
    ] = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Copies of the traffic first, then the steps.")
    ] = False,
    min_requests: Annotated[
        int | None, typer.Option(min=0, help="Requests that each step needs; 500 by default.")
    ] = None,
    min_time: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The least that a step lasts; 60s by default."),
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it pauses without evidence; never by default."),
    ] = None,
    reason: Reason = "",
    skip_check: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Why the candidate is not tested first."),
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option(help="With --store: where the bundles are; the store itself by default."),
    ] = None,
    url: Url = LOCAL,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Test a candidate and start its rollout; the gates decide how it goes on."""
    if file is not None:
        shorthand = (candidate, steps, min_requests, min_time, max_time)
        if any(each is not None for each in shorthand) or blue_green or shadow:
            raise InputError(f"the plan is in {file}: leave out version, steps and times")
        plan = _plan(file)
        name = _agreed(name, plan, file)
    else:
        if name is None or candidate is None:
            raise InputError("say the deployment and its new version, or name a plan with --file")
        step = {"min_requests": min_requests, "min_seconds": min_time, "max_seconds": max_time}
        limits = {key: value for key, value in step.items() if value is not None}
        strategy = _strategy(steps, limits, blue_green=blue_green, shadow=shadow)
        plan = {"deployment": name, "candidate": candidate, "strategy": strategy}
    body: dict[str, Any] = {"plan": plan, "reason": reason}
    if skip_check is not None:
        if not skip_check.strip():
            raise InputError("--skip-check needs a reason: say why the candidate is not tested")
        body["skip_check"] = skip_check
    _told(desk(url, store, registry).order(name, "start", body), as_json=as_json)


@rollout.command()
def status(name: Name, url: Url = LOCAL, store: Store = None, as_json: AsJson = False) -> None:
    """Show who gets what and what the gates say, once."""
    found = desk(url, store).status(name)
    if as_json:
        emit(found)
    else:
        CONSOLE.print(rendered(found))


@rollout.command()
def watch(
    name: Name,
    every: Annotated[str, typer.Option(metavar="TIME", help="Time between two looks.")] = "1s",
    for_: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Give up watching after this long.")
    ] = None,
    url: Url = LOCAL,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Follow a rollout live until it ends. The status is 1 when it was aborted.

    With --json each change is one line.
    """
    from tidegate.configuration.duration import seconds

    pause, patience = seconds(every), seconds(for_)
    if not 0.05 <= pause <= 3_600:
        raise InputError(f"--every {every}: use 50ms to 1h")
    until = None if patience is None else time.monotonic() + patience
    where = desk(url, store)
    last = _lines(where, name, pause, until) if as_json else _live(where, name, pause, until)
    if not closed(last):
        raise DeadlineError(
            f"the rollout of {name} is {last['rollout']['phase']} after {for_}: it goes on unwatched"
        )
    if last["rollout"] is not None and last["rollout"]["phase"] == "aborted":
        raise typer.Exit(1)


@rollout.command()
def pause(
    name: Name, reason: Reason = "", url: Url = LOCAL, store: Store = None, as_json: AsJson = False
) -> None:
    """Stop a rollout where it is; traffic stays as it is."""
    _told(desk(url, store).order(name, "pause", {"reason": reason}), as_json=as_json)


@rollout.command()
def resume(
    name: Name, reason: Reason = "", url: Url = LOCAL, store: Store = None, as_json: AsJson = False
) -> None:
    """Go on with a rollout that is paused."""
    _told(desk(url, store).order(name, "resume", {"reason": reason}), as_json=as_json)


@rollout.command()
def promote(
    name: Name,
    version: Annotated[
        str | None, typer.Option(help="Which one, where an experiment has several.")
    ] = None,
    reason: Reason = "",
    url: Url = LOCAL,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Give a candidate all traffic now, whatever the gates say."""
    body = {"reason": reason} if version is None else {"reason": reason, "version": version}
    _told(desk(url, store).order(name, "promote", body), as_json=as_json)


@rollout.command()
def abort(
    name: Name, reason: Reason = "", url: Url = LOCAL, store: Store = None, as_json: AsJson = False
) -> None:
    """Give a rollout up: the stable version gets all traffic."""
    _told(desk(url, store).order(name, "abort", {"reason": reason}), as_json=as_json)


@rollout.command()
def undo(
    name: Name,
    to: Annotated[
        int | None, typer.Option(min=1, help="The revision whose plan is wanted.")
    ] = None,
    reason: Reason = "",
    url: Url = LOCAL,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Append the plan before, or one by number, as a new revision."""
    body = {"reason": reason} if to is None else {"reason": reason, "to": to}
    _told(desk(url, store).order(name, "undo", body), as_json=as_json)


@rollout.command()
def history(
    name: Name,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many; 20.")] = None,
    url: Url = LOCAL,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """List revisions, the newest first: when, what, who, why."""
    found = desk(url, store).history(name, limit)
    if as_json:
        emit({"deployment": name, "revisions": found})
    else:
        heads = ("revision", "time (UTC)", "event", "who", "traffic", "reason")
        table(heads, revision_rows(found))


@rollout.command()
def verify(name: Name, url: Url = LOCAL, store: Store = None, as_json: AsJson = False) -> None:
    """Prove that the revisions are one chain in which nothing was changed or left out."""
    found = desk(url, store).verify(name)
    if as_json:
        emit(found)
    else:
        void = f", of which {len(found['void'])} are void" if found["void"] else ""
        CONSOLE.print(
            f"{name}: {found['revisions']} revisions are one chain{void}; the last is {found['head']}",
            markup=False,
        )


def _told(revision: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(revision)
    else:
        CONSOLE.print(said(revision), markup=False)


def _plan(file: Path) -> dict[str, Any]:
    """The plan of a file as it goes over the wire; read here too, to tell mistakes with its name."""
    import tomllib

    from tidegate.routing.toml import plan_from_toml

    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(f"plan {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"plan {file} is not UTF-8: save it as that") from error
    plan_from_toml(text, str(file))
    return tomllib.loads(text)


def _agreed(name: str | None, plan: dict[str, Any], file: Path) -> str:
    """The deployment; where it is said twice, both must be the same."""
    deployment = str(plan["deployment"])
    if name is not None and name != deployment:
        raise InputError(f"the plan in {file} is of deployment {deployment!r}, and not of {name!r}")
    return deployment


def _strategy(
    steps: str | None, limits: dict[str, Any], *, blue_green: bool, shadow: bool
) -> dict[str, Any]:
    if blue_green:
        if steps is not None or limits or shadow:
            raise InputError("--blue-green moves all at once: leave steps, times and shadow out")
        return {"kind": "blue_green"}
    if steps is None:
        percents = [1.0, 5.0, 25.0, 50.0]
    else:
        try:
            percents = [float(part) for part in steps.split(",")]
        except ValueError:
            raise InputError(f"--steps {steps}: give percents such as 1,5,25,50") from None
    canary = {"kind": "canary", "steps": [{"percent": each, **limits} for each in percents]}
    return {"kind": "shadow", **limits, "then": canary} if shadow else canary


def _live(where: Desk, name: str, pause: float, until: float | None) -> dict[str, Any]:
    from rich.live import Live

    found = where.status(name)
    with Live(rendered(found), console=CONSOLE, auto_refresh=False) as live:
        while not closed(found) and not _over(pause, until):
            time.sleep(pause)
            found = _looked(where, name, pause)
            live.update(rendered(found), refresh=True)
    return found


def _lines(where: Desk, name: str, pause: float, until: float | None) -> dict[str, Any]:
    found, before = where.status(name), b""
    while True:
        line = orjson.dumps(found)
        if line != before:
            sys.stdout.write(line.decode() + "\n")
            sys.stdout.flush()
            before = line
        if closed(found) or _over(pause, until):
            return found
        time.sleep(pause)
        found = _looked(where, name, pause)


def _looked(where: Desk, name: str, pause: float) -> dict[str, Any]:
    """The status; a server that restarts, or a store that is away for a moment, is waited for."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return where.status(name)
        except (StorageError, NotReadyError):
            if time.monotonic() > until:
                raise
            time.sleep(pause)


def _over(pause: float, until: float | None) -> bool:
    """Whether another look would come too late."""
    return until is not None and time.monotonic() + pause > until
