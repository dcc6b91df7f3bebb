"""`tidegate registry list|show|verify|sign`: what is published, whether it is intact, who vouches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.output import (
    CONSOLE,
    DIAGNOSTICS,
    JsonOption,
    RegistryOption,
    emit,
    fail,
    table,
)
from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.registry import Listing

__all__ = ["registry"]

registry = typer.Typer(no_args_is_help=True, help="List, show, verify and sign published bundles.")

DIGEST_SHOWN = 19
"""Characters of a digest in a table: `sha256:` and twelve digits."""

ReferenceArgument = typer.Argument(
    help="NAME, NAME@1.4.2, NAME@champion or NAME@sha256:…", metavar="REFERENCE"
)


@registry.command("list")
def list_(
    location: Annotated[str, RegistryOption] = "./registry",
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """List models, their versions and the aliases that point at them."""
    from tidegate.registry import Registry

    listings = Registry(location, read_only=True).list()
    if as_json:
        emit({"models": [_listing(listing) for listing in listings]})
        return
    if not listings:
        CONSOLE.print(f"{location} holds no models: tidegate publish DIR", markup=False)
        return
    rows: list[tuple[str, ...]] = []
    for listing in listings:
        for record in listing.versions:
            aliases = ", ".join(a.alias for a in listing.aliases if a.version == record.version)
            digest = record.digest[:DIGEST_SHOWN]
            rows.append((listing.name, record.version, aliases, digest, record.created))
    table(("model", "version", "aliases", "digest", "published"), rows)


@registry.command()
def show(
    reference: Annotated[str, ReferenceArgument],
    location: Annotated[str, RegistryOption] = "./registry",
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Show what one bundle is: its files, metrics, lineage and aliases."""
    import orjson

    from tidegate.check.report import CheckReport
    from tidegate.registry import Registry
    from tidegate.registry.card import flatten

    source = Registry(location, read_only=True)
    record, manifest = source.show(reference)
    aliases = [a.alias for a in source.aliases(record.name) if a.version == record.version]
    signers = sorted({signature.key for signature in source.signatures(record.digest)})
    reports = [
        {
            "number": number,
            "outcome": report.outcome,
            "time": report.time,
            "verdict": report.verdict,
        }
        for number, report in enumerate(CheckReport.stored(source, record.digest), 1)
    ]
    if as_json:
        document = orjson.loads(manifest.to_json())
        emit(
            {
                "aliases": aliases,
                "digest": record.digest,
                "manifest": document,
                "published": record.created,
                "reports": reports,
                "signed_by": signers,
            }
        )
        return
    facts: list[tuple[str, object]] = [
        ("model", record),
        ("digest", record.digest),
        ("published", record.created),
        ("built", manifest.created),
        ("aliases", ", ".join(aliases) or "none"),
        ("kind", manifest.kind),
        ("signed by", ", ".join(signers) or "nobody"),
    ]
    facts += [
        (f"check {report['number']}", f"{report['verdict']} ({report['time']})")
        for report in reports[-1:]
    ]
    if manifest.classes is not None:
        facts.append(("classes", ", ".join(str(label) for label in manifest.classes)))
    facts.append(("schema", manifest.schema_fingerprint or "none: takes the model's own tensors"))
    golden = manifest.golden
    facts.append(
        (
            "golden rows",
            "none"
            if golden is None
            else f"{golden.rows} (rtol {golden.rtol:g}, atol {golden.atol:g}, "
            f"ONNX Runtime {golden.onnxruntime})",
        )
    )
    facts += [(f"metric {key}", value) for key, value in flatten(manifest.metrics)]
    facts += [(f"lineage {key}", value) for key, value in flatten(manifest.lineage)]
    width = max(len(what) for what, _ in facts)
    for what, value in facts:
        # Not a table: nobody wants half a digest.
        CONSOLE.print(f"{what:<{width}}  {value}", markup=False)
    CONSOLE.print()
    table(
        ("file", "bytes", "sha256"),
        [(name, entry.size, entry.sha256[:12]) for name, entry in sorted(manifest.files.items())],
        right=("bytes",),
    )


@registry.command()
def verify(
    reference: Annotated[str | None, ReferenceArgument] = None,
    location: Annotated[str, RegistryOption] = "./registry",
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Read every byte of one bundle, or of all, and hold it against its digest.

    REFERENCE may be the folder of a bundle too; then nothing vouches for its manifest.
    """
    from tidegate.registry import Bundle, Registry

    if reference is not None and "@" not in reference and Path(reference).is_dir():
        found = Bundle.open(reference).verify()
        _report([(reference, found.summary, None)], as_json=as_json)
        return
    source = Registry(location, read_only=True)
    if reference is None:
        references = [str(record) for entry in source.list() for record in entry.versions]
    else:
        references = [reference]
    outcomes: list[tuple[str, str, TidegateError | None]] = []
    for wanted in references:
        try:
            outcomes.append((wanted, source.verify(wanted).summary, None))
        except TidegateError as error:
            outcomes.append((wanted, "", error))
    if reference is not None and outcomes[0][2] is not None:
        raise outcomes[0][2]
    _report(outcomes, as_json=as_json)
    if any(error is not None for _, _, error in outcomes):
        raise typer.Exit(1)


@registry.command()
def sign(
    reference: Annotated[str, ReferenceArgument],
    key: Annotated[Path, typer.Option(help="The file of an Ed25519 private key in PEM.")],
    location: Annotated[str, RegistryOption] = "./registry",
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Vouch for a published bundle with a private key; tidegate check --key asks for it."""
    from tidegate.registry import Registry

    target = Registry(location)
    record = target.resolve(reference)
    # By its digest, so that an alias that moves meanwhile changes nothing.
    signature = target.sign(f"{record.name}@{record.digest}", key)
    if as_json:
        emit({"bundle": str(record), "digest": record.digest, "key": signature.key})
    else:
        CONSOLE.print(f"{record} is signed by key {signature.key}", markup=False)


def _report(outcomes: list[tuple[str, str, TidegateError | None]], *, as_json: bool) -> None:
    if as_json:
        emit(
            {
                "bundles": [
                    {
                        "bundle": name,
                        "error": None if error is None else str(error),
                        "intact": error is None,
                        "summary": summary,
                    }
                    for name, summary, error in outcomes
                ]
            }
        )
        return
    for name, summary, error in outcomes:
        if error is None:
            CONSOLE.print(f"{name}: {summary}", markup=False)
        else:
            fail(error)
    if not outcomes:
        DIAGNOSTICS.print("there are no bundles to verify", markup=False)


def _listing(listing: Listing) -> dict[str, object]:
    return {
        "aliases": {alias.alias: alias.version for alias in listing.aliases},
        "name": listing.name,
        "versions": [
            {"digest": record.digest, "published": record.created, "version": record.version}
            for record in listing.versions
        ],
    }
