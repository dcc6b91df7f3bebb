"""SQL over the prediction log."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate.errors import InputError, MissingDependencyError, NotFoundError
from tidegate.storage import Store, open_store

if TYPE_CHECKING:
    import os

__all__ = ["Selection", "fetched", "query"]

KINDS: Final = ("predictions", "feedback")
"""The tables of a log."""

_EMPTY_FEEDBACK: Final = (
    "SELECT NULL::VARCHAR AS prediction_id, NULL::BIGINT AS row, NULL::TIMESTAMP AS time, "
    "NULL::VARCHAR AS label, NULL::VARCHAR AS metric, NULL::DOUBLE AS value, "
    "NULL::VARCHAR AS outcome, NULL::VARCHAR AS model, NULL::DATE AS day WHERE false"
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files are read.

    Attributes:
        model: Of this model only.
        since: From this day on, such as `2026-11-23` (UTC).
        until: Up to this day, itself included.
    """

    model: str | None = None
    since: str | None = None
    until: str | None = None

    def holds(self, key: str) -> bool:
        """Whether a file is one of them."""
        parts = dict(part.partition("=")[::2] for part in key.split("/")[:-1] if "=" in part)
        day = parts.get("day", "")
        return (
            key.endswith(".parquet")
            and (self.model is None or parts.get("model") == self.model)
            and (self.since is None or day >= self.since)
            and (self.until is None or day <= self.until)
        )


ALL: Final = Selection()


@contextlib.contextmanager
def fetched(
    location: str | os.PathLike[str] | Store, selection: Selection = ALL
) -> Iterator[dict[str, list[Path]]]:
    """The files of a log as local ones, by table. Those of an object store are removed afterwards.

    Args:
        location: The log's folder or object store.
        selection: Which files.

    Example:
        >>> with fetched(tempfile.mkdtemp()) as files:
        ...     files
        {'predictions': [], 'feedback': []}
    """
    store = location if isinstance(location, Store) else open_store(location, read_only=True)
    with tempfile.TemporaryDirectory(prefix="tidegate-log-") as folder:
        files: dict[str, list[Path]] = {}
        for kind in KINDS:
            here = store.local("")
            files[kind] = []
            for key in filter(selection.holds, store.keys(kind)):
                if here is not None:
                    files[kind].append(here / key)
                    continue
                target = Path(folder) / key
                target.parent.mkdir(parents=True, exist_ok=True)
                store.fetch(key, target)
                files[kind].append(target)
        yield files


def query(
    sql: str, location: str | os.PathLike[str] | Store, selection: Selection = ALL
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run SQL over a log: the tables `predictions` and `feedback`.

    Args:
        sql: One statement of DuckDB's.
        location: The log's folder or object store.
        selection: Which files are read; fewer are faster.

    Returns:
        The names of the columns, and the rows.

    Raises:
        MissingDependencyError: If DuckDB is not installed.
        NotFoundError: If the log has no predictions.
        InputError: If DuckDB does not understand the statement; the message says why.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingDependencyError(
            "queries need DuckDB: pip install 'tidegate[database]'"
        ) from error
    with fetched(location, selection) as files, duckdb.connect() as connection:
        if not files["predictions"]:
            raise NotFoundError(
                f"no predictions are logged at {location} for what is asked: check the place, "
                "model and days"
            )
        for kind, paths in files.items():
            if paths:
                relation = connection.read_parquet(
                    [str(path) for path in paths], union_by_name=True, hive_partitioning=True
                )
                relation.create_view(f"{kind}_files")
                # As UTC without a zone: values with one need a further package in Python.
                connection.execute(
                    f"CREATE VIEW {kind} AS SELECT * REPLACE "
                    f"(make_timestamp(epoch_us(time)) AS time) FROM {kind}_files"
                )
            else:
                connection.execute(f"CREATE VIEW {kind} AS {_EMPTY_FEEDBACK}")
        try:
            found = connection.execute(sql)
            columns = [column[0] for column in found.description or []]
            return columns, found.fetchall()
        except duckdb.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"the query fails: {reason}") from error
