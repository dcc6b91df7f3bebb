"""What rows a destination holds already, for rules about uniqueness: keys beside the data.

The keys of a part's good rows are written beside its record, 16 bytes each and in order. Of all
earlier keys only those matter that the next part has as well, and both are read side by side, so
that memory is bounded however large the part is and however much has been ingested.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate import _core
from tidegate.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tidegate.storage import Store
    from tidegate.validation.rules import Rules

__all__ = ["KEYS_PER_FILE", "KeyFiles", "KeyLogs", "unique_columns"]

KEY_BYTES: Final = 256 << 20
"""Memory that keys of a part may take for one rule; what is more waits on disk."""
KEYS_PER_FILE: Final = 4_000_000
"""Most keys of one file: 64 MB, which are in memory when they are put into a store."""
FOLDER: Final = "_keys"


def unique_columns(rules: Rules | None) -> dict[str, list[str]]:
    """The columns of each rule about uniqueness that is more than a warning, by its name."""
    found: dict[str, Any] = {
        rule.name: rule.check["columns"]
        for rule in rules or ()
        if rule.check["kind"] == "unique" and rule.severity == "error"
    }
    return found


class KeyLogs:
    """The keys of rows that come in pieces, for each rule about uniqueness.

    Args:
        columns: the columns of each rule, by its name.
    """

    def __init__(self, columns: Mapping[str, list[str]]) -> None:
        self._names = {name: tuple(own) for name, own in columns.items()}
        self._logs = {own: _core.KeyLog(list(own), KEY_BYTES) for own in self._names.values()}

    def update(self, table: Any) -> None:
        """Takes in the rows of the next piece."""
        for log in self._logs.values():
            log.update(table)

    def repeats(self, held: KeyFiles) -> dict[str, _core.RowSet]:
        """Which of the rows repeat an earlier one, or one that a destination holds, by the rule."""
        for files in held.fetched():
            for columns, paths in files.items():
                for path in paths:
                    self._logs[columns].know(path)
        return {name: self._logs[columns].repeats() for name, columns in self._names.items()}

    def write(self, folder: Path, prefix: str) -> dict[tuple[str, ...], list[str]]:
        """Writes the different keys into files in a folder; for the columns the names of theirs."""
        found = {}
        for columns, log in self._logs.items():
            digest = hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:16]
            target = folder / FOLDER / f"{prefix}-{digest}"
            target.parent.mkdir(parents=True, exist_ok=True)
            files = range(log.write(target, KEYS_PER_FILE))
            found[columns] = [f"{FOLDER}/{target.name}-{number:05}.keys" for number in files]
        return found


class KeyFiles:
    """The keys of what a destination holds.

    Args:
        store: the destination.
        columns: the columns of each rule about uniqueness, by its name.
        records: the records of what has been ingested, by their keys.
    """

    def __init__(
        self, store: Store, columns: Mapping[str, list[str]], records: Mapping[str, dict[str, Any]]
    ) -> None:
        self._store, self._columns = store, columns
        self._records = dict(sorted(records.items()))

    def __str__(self) -> str:
        """A digest of what has been ingested: other rows before make other good rows."""
        said = [[key, record["fingerprint"]] for key, record in self._records.items()]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def logs(self) -> KeyLogs:
        """Takes the keys of a part's rows."""
        return KeyLogs(self._columns)

    def fetched(self) -> Iterator[dict[tuple[str, ...], list[Path]]]:
        """For one ingested part after the other the files with its keys, by the columns.

        The files are there until the next part is asked for.
        """
        for record in self._records.values():
            with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
                yield self._fetch(record, Path(folder))

    def _fetch(self, record: dict[str, Any], folder: Path) -> dict[tuple[str, ...], list[Path]]:
        """The files with the keys of one part; made anew where it has none for these columns."""
        found: dict[tuple[str, ...], list[Path]] = {}
        missing: dict[str, list[str]] = {}
        for name, columns in self._columns.items():
            keys = [e["key"] for e in record.get("keys", []) if e["columns"] == columns]
            try:
                found[tuple(columns)] = [self._local(key, folder) for key in keys]
            except NotFoundError:
                keys = []
            if not keys:
                missing[name] = columns
        if missing:
            logs = KeyLogs(missing)
            for file in record["files"]:
                path = self._local(file["key"], folder)
                for piece in _pieces(path):
                    logs.update(piece)
                path.unlink()
            for own, names in logs.write(folder, "made").items():
                found[own] = [folder / name for name in names]
        return found

    def _local(self, key: str, folder: Path) -> Path:
        path = folder / Path(key).name
        # Two rules about the same columns have the same keys.
        if not path.exists():
            self._store.fetch(key, path)
        return path


def _pieces(path: Path) -> Iterable[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield file.schema_arrow.empty_table()
        for batch in file.iter_batches():
            yield pa.Table.from_batches([batch])
