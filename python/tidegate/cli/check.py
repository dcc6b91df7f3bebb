"""`tidegate check`: the test that a bundle has to pass before traffic reaches it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.output import CONSOLE, DIAGNOSTICS, JsonOption, RegistryOption, emit
from tidegate.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from tidegate.registry import Bundle, Registry, Signature

__all__ = ["check"]

CHAMPION = "champion"
"""The alias that is compared with unless another is named."""


def check(
    bundle: Annotated[
        str, typer.Argument(help="A reference such as NAME@1.1.0, or the folder of a bundle.")
    ],
    against: Annotated[
        str | None,
        typer.Option(
            help="The version that it would replace: an alias, a version, a reference or a folder; "
            "by default the alias champion where there is one."
        ),
    ] = None,
    holdout: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Rows that neither was trained on: a file or address."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The holdout's column of labels.")
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Its column of groups; may be repeated."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="CLASS", help="The class whose shares are compared.")
    ] = None,
    latency: Annotated[
        str | None, typer.Option(metavar="TIME", help="Budget of 99 of 100 predictions: 20ms.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Budget of the loaded model: 500MB.")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="Another limit, such as psi=0.5."),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(metavar="MEASURE=NUMBER", help="Another margin, such as auc=0.01."),
    ] = None,
    log: Annotated[
        str | None, typer.Option(metavar="LOCATION", help="Prediction log: what clients send.")
    ] = None,
    original: Annotated[
        Path | None,
        typer.Option(help="The trained model (.txt of LightGBM, .joblib, .pkl), to prove again."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="The public key that must have signed the bundle.")
    ] = None,
    registry: Annotated[str, RegistryOption] = "./registry",
    html: Annotated[Path | None, typer.Option(help="Write the report as one page.")] = None,
    store: Annotated[
        bool, typer.Option("--store/--no-store", help="Keep the report beside the bundle.")
    ] = True,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Test a bundle before it goes live. The status is 1 when a check fails."""
    from tidegate.check import Request, run_checks
    from tidegate.check.parity import read_original
    from tidegate.registry import Registry, Requirements

    source = Registry(registry, read_only=True)
    candidate, signatures = _bundle(source, bundle)
    request = Request(
        candidate,
        champion=_champion(source, candidate, against),
        holdout=holdout,
        requirements=Requirements(
            label=label,
            groups=tuple(groups or ()),
            positive=_class(candidate, positive),
            latency=latency,
            memory=memory,
            limits=_numbers("--limit", limit),
            margins=_numbers("--margin", margin),
        ),
        key=key,
        signatures=signatures,
        original=None if original is None else read_original(original),
        log=log,
    )
    if as_json:
        report = run_checks(request)
    else:
        with DIAGNOSTICS.status(f"checking {candidate}") as status:
            report = run_checks(
                request, progress=lambda name: status.update(f"checking {candidate}: {name}")
            )
    number = None
    if store and _published(source, candidate):
        number = report.store(Registry(registry))
    if html is not None:
        report.write_html(html)
    if as_json:
        emit({**report.to_dict(), "number": number})
    else:
        CONSOLE.print(report)
        if number is not None:
            CONSOLE.print(f"report {number} of {candidate} in {registry}", markup=False)
    if not report:
        raise typer.Exit(1)


def _bundle(registry: Registry, text: str) -> tuple[Bundle, tuple[Signature, ...]]:
    from tidegate.registry import Bundle

    if "@" not in text and Path(text).is_dir():
        found = Bundle.open(text)
        return found, registry.signatures(found.digest)
    record = registry.resolve(text)
    return registry.open(text), registry.signatures(record.digest)


def _champion(registry: Registry, candidate: Bundle, against: str | None) -> Bundle | None:
    if against is None:
        try:
            found = registry.open(f"{candidate.name}@{CHAMPION}")
        except NotFoundError:
            return None
        return None if found.digest == candidate.digest else found
    if "@" not in against and not Path(against).is_dir():
        against = f"{candidate.name}@{against}"
    return _bundle(registry, against)[0]


def _published(registry: Registry, bundle: Bundle) -> bool:
    try:
        registry.resolve(f"{bundle.name}@{bundle.digest}")
    except NotFoundError:
        return False
    return True


def _class(bundle: Bundle, text: str | None) -> int | str | None:
    """The class that is meant: classes of whole numbers are written as texts here."""
    for label in bundle.manifest.classes or ():
        if str(label) == text:
            return label
    return text


def _numbers(option: str, texts: list[str] | None) -> dict[str, float]:
    found = {}
    for text in texts or ():
        name, _, number = text.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise InputError(f"{option} {text}: give it as NAME=NUMBER") from None
    return found
