"""`tidegate alerts list|silence|unsilence|test|rules|dashboard`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from tidegate.cli.config import ConfigOption, SetOption
from tidegate.cli.output import CONSOLE, DIAGNOSTICS, JsonOption, emit, table
from tidegate.cli.remote import UrlOption, call
from tidegate.errors import InputError, StorageError

if TYPE_CHECKING:
    from tidegate.monitoring.alerts import Alerts

__all__ = ["alerts"]

alerts = typer.Typer(no_args_is_help=True, help="Rules, alerts, silences and channels.")

OutOption: Final = typer.Option("--out", "-o", help="A file to write; standard output by default.")


@alerts.command("list")
def list_(
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Show what fires and what pends, and how channels are doing."""
    from tidegate.monitoring.incidents.review import when

    found: dict[str, Any] = call(f"{url.rstrip('/')}/v1/alerts")
    if as_json:
        emit(found)
        return
    rows = [
        (
            each["rule"],
            "silenced" if each["silenced"] else "firing",
            each["severity"],
            _labels(each["labels"]),
            each["started"],
            each["text"],
        )
        for each in found["alerts"]
    ]
    rows += [
        (each["rule"], "pending", "", _labels(each["labels"]), when(each["since"]), each["text"])
        for each in found["pending"]
    ]
    if rows:
        table(("rule", "state", "severity", "about", "since (UTC)", "what"), rows)
    else:
        typer.echo(f"nothing fires; {len(found['rules'])} rules are looked at")
    for silence in found["silences"]:
        CONSOLE.print(
            f"silence {silence['id']} of {_labels(silence['matchers'])} until "
            f"{when(silence['end'])} UTC by {silence['author']}: {silence['comment']}",
            markup=False,
        )
    for channel in found["channels"]:
        if channel["problem"]:
            CONSOLE.print(f"channel {channel['name']}: {channel['problem']}", markup=False)
    if found["problem"]:
        DIAGNOSTICS.print(f"problem: {found['problem']}", markup=False)


@alerts.command()
def silence(
    matchers: Annotated[
        list[str],
        typer.Argument(
            help="What is silenced, such as rule=slow or model=flight-*.", metavar="NAME=PATTERN..."
        ),
    ],
    for_: Annotated[str, typer.Option("--for", help="How long, at most 30 days.", metavar="2h")],
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Tell nobody of some alerts for some time."""
    from tidegate.configuration.duration import seconds

    wanted = {}
    for text in matchers:
        name, equals, pattern = text.partition("=")
        if not equals:
            raise InputError(f"{text!r} is no matcher: give it as NAME=PATTERN")
        wanted[name] = pattern
    body = {"matchers": wanted, "seconds": seconds(for_), "comment": comment}
    found = call(f"{url.rstrip('/')}/v1/alerts/silences", method="POST", body=body)
    if as_json:
        emit(found)
    else:
        typer.echo(f"silence {found['id']}")


@alerts.command()
def unsilence(
    name: Annotated[str, typer.Argument(help="The silence's name.", metavar="SILENCE")],
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
) -> None:
    """End a silence."""
    call(f"{url.rstrip('/')}/v1/alerts/silences/{name}", method="DELETE")
    typer.echo(f"silence {name} is over")


@alerts.command("test")
def probe(
    channel: Annotated[str, typer.Argument(help="Its name in the settings.")],
    url: Annotated[str, UrlOption] = "http://127.0.0.1:8080",
) -> None:
    """Send a notification that says it is a test, and say whether it was taken."""
    call(f"{url.rstrip('/')}/v1/alerts/channels/{channel}/test", method="POST")
    typer.echo(f"channel {channel} has taken a test")


@alerts.command()
def rules(
    config: Annotated[Path | None, ConfigOption] = None,
    set_: Annotated[list[str] | None, SetOption] = None,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="As a rule file of Prometheus.")
    ] = False,
    out: Annotated[Path | None, OutOption] = None,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Show the rules of the settings, for people or for Prometheus."""
    from tidegate.monitoring.alerts.prometheus import rule_file

    section = _section(config, set_)
    found = section.built()
    if prometheus:
        _write(rule_file(found, every=section.every), out)
        return
    if as_json:
        emit(
            [
                {
                    "name": rule.name,
                    "kind": rule.kind,
                    "severity": rule.severity,
                    "for": rule.hold,
                    "expr": rule.condition.query(),
                    "channels": [list(step.channels) for step in rule.policy.steps],
                }
                for rule in found
            ]
        )
        return
    if not found:
        typer.echo("there are no rules: add [[alerts.rules]] to tidegate.toml")
        return
    rows = [
        (
            rule.name,
            rule.kind,
            rule.severity,
            f"{rule.hold:g} s",
            "; ".join(
                f"{', '.join(step.channels)} after {step.after:g} s" for step in rule.policy.steps
            )
            or "–",
        )
        for rule in found
    ]
    table(("rule", "kind", "severity", "for", "tells"), rows)


@alerts.command()
def dashboard(
    config: Annotated[Path | None, ConfigOption] = None,
    set_: Annotated[list[str] | None, SetOption] = None,
    out: Annotated[Path | None, OutOption] = None,
) -> None:
    """Write a dashboard for Grafana, as JSON to be imported."""
    from tidegate.monitoring.alerts.dashboard import dashboard as drawn

    found = drawn(_section(config, set_).built())
    _write(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n", out)


def _section(config: Path | None, set_: list[str] | None) -> Alerts:
    from tidegate.cli.settings import pairs
    from tidegate.monitoring.alerts import Alerts
    from tidegate.server.configuration import configured

    found = configured(config, environment=os.environ, flags=pairs(set_ or [], "--set"))
    return found.section(Alerts)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from None


def _labels(labels: dict[str, str]) -> str:
    return " ".join(f"{name}={text}" for name, text in sorted(labels.items())) or "everything"
