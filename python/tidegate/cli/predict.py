"""`tidegate predict`: rows in, predictions out, from a registry here or a server there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from tidegate.cli.output import JsonOption, RegistryOption, emit, table
from tidegate.cli.remote import call
from tidegate.errors import InputError, StorageError

__all__ = ["predict", "read_rows"]

STANDARD_INPUT = "-"
SHOWN_ROWS = 50
"""A table in a terminal is for reading; `--json` prints every row."""


def predict(
    model: Annotated[
        str, typer.Argument(help="Name, name@version, name@alias, or the folder of a bundle.")
    ],
    source: Annotated[
        str,
        typer.Argument(metavar="[FILE]", help="JSON or JSON lines, one object a row; - is stdin."),
    ] = STANDARD_INPUT,
    row: Annotated[
        str | None, typer.Option(help="One row as a JSON object, without a file.")
    ] = None,
    registry: Annotated[str, RegistryOption] = "./registry",
    url: Annotated[
        str | None, typer.Option(help="Ask this server instead of loading the bundle here.")
    ] = None,
    ignore_extra: Annotated[
        bool, typer.Option("--ignore-extra", help="Ignore keys that no column has.")
    ] = False,
    as_json: Annotated[bool, JsonOption] = False,
) -> None:
    """Predict rows with a published model.

    Example: tidegate predict flight-delay@champion --row '{"carrier": "UA", "origin": "EWR"}'
    """
    rows = read_rows(row, source)
    answer = (
        _ask_server(url, model, rows) if url else _ask_here(model, rows, registry, ignore_extra)
    )
    if as_json:
        emit(answer)
        return
    predictions = answer["predictions"]
    names = list(predictions[0])
    title = f"{answer['model_name']} {answer['model_version']}"
    cells = [[_cell(prediction[name]) for name in names] for prediction in predictions[:SHOWN_ROWS]]
    table(names, cells, title=title)
    if len(predictions) > SHOWN_ROWS:
        typer.echo(f"… {len(predictions) - SHOWN_ROWS:,} more rows: type --json for all of them")


def read_rows(row: str | None, source: str) -> list[dict[str, Any]]:
    """Reads rows from an option, a file or standard input.

    Args:
        row: One row as JSON, or None to read `source`.
        source: A path, or `-` for standard input: a JSON array, an object with `instances`, one
            object, or one object a line.

    Returns:
        The rows, at least one.

    Raises:
        InputError: It is no JSON, holds something else than objects, or no row at all.
        StorageError: The file cannot be read.
    """
    if row is not None:
        place, content = "--row", row.encode()
    elif source == STANDARD_INPUT:
        place, content = "standard input", sys.stdin.buffer.read()
    else:
        place = source
        try:
            content = Path(source).read_bytes()
        except OSError as error:
            raise StorageError(f"cannot read {source}: {error.strerror}") from None
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as whole:
        found = []
        for number, line in enumerate(content.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                found.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                reason = whole if number == 1 else error
                raise InputError(f"{place} is neither JSON nor JSON lines: {reason}") from None
    if isinstance(found, dict):
        found = found["instances"] if set(found) == {"instances"} else [found]
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InputError(f"{place} holds something else than objects: write one object a row")
    if not found:
        raise InputError(f"{place} holds no row: write at least one object")
    return found


def _ask_server(url: str, model: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    address = f"{url.rstrip('/')}/v1/models/{model}:predict"
    answer: dict[str, Any] = call(address, method="POST", body={"instances": rows})
    return answer


def _ask_here(
    model: str, rows: list[dict[str, Any]], registry: str, ignore_extra: bool
) -> dict[str, Any]:
    from tidegate.registry import Registry
    from tidegate.runtime import Runtime

    folder = Path(model)
    with Runtime() if folder.is_dir() else Runtime(Registry(registry)) as runtime:
        served = runtime.deploy(folder if folder.is_dir() else model)
        answer = runtime.predict_many(
            served.name, rows, extra="ignore" if ignore_extra else "error"
        )
        outputs = {name: values.tolist() for name, values in answer.outputs.items()}
        return {
            "model_name": answer.model,
            "model_version": answer.version,
            "revision": answer.revision,
            "prediction_id": answer.id,
            "predictions": [
                dict(zip(outputs, values, strict=True))
                for values in zip(*outputs.values(), strict=True)
            ],
        }


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return "[" + ", ".join(_cell(each) for each in value) + "]"
    return str(value)
