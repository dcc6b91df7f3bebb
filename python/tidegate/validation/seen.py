"""What rows a destination holds already, for rules about uniqueness: keys beside the data.

The keys of a part's good rows are written beside its record, 16 bytes each and in order. Of all
earlier keys only those matter that the next part has as well, so that memory is bounded by the keys
of one part, however much has been ingested.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate import _core
from tidegate.validation.checks import unique
from tidegate.validation.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidegate.storage import Store
    from tidegate.validation.stream import Validation

__all__ = ["KEY_BYTES", "KeyFiles", "unique_columns"]

KEY_BYTES: Final = 1 << 30
"""Memory that the keys of a part may take for one rule: 33 million rows."""
FOLDER: Final = "_keys"


def unique_columns(rules: Rules | None) -> dict[str, list[str]]:
    """The columns of each rule about uniqueness that is more than a warning, by its name."""
    found: dict[str, Any] = {
        rule.name: rule.check["columns"]
        for rule in rules or ()
        if rule.check["kind"] == "unique" and rule.severity == "error"
    }
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

    def collector(self) -> Validation:
        """Collects the keys of rows, as `Validation.keys` gives them."""
        rules = (unique(*columns, name=name) for name, columns in self._columns.items())
        return Rules(*rules).start(distinct_bytes=KEY_BYTES)

    def known(self, own: Mapping[str, bytes]) -> dict[str, bytes]:
        """Which of a part's keys stand in the destination already."""
        known = dict.fromkeys(own, b"")
        for record in self._records.values():
            earlier = self._of(record)
            for name, keys in own.items():
                known[name] += _core.common_keys(keys, earlier.get(name, b""))
        return known

    def _of(self, record: dict[str, Any]) -> dict[str, bytes]:
        """The keys of one part, which its record may not have for these columns."""
        files = {json.dumps(entry["columns"]): entry["key"] for entry in record.get("keys", [])}
        named = {name: json.dumps(columns) for name, columns in self._columns.items()}
        if files.keys() >= set(named.values()):
            return {name: self._store.get(files[columns]) for name, columns in named.items()}
        collector = self.collector()
        with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
            for file in record["files"]:
                path = Path(folder) / "part.parquet"
                self._store.fetch(file["key"], path)
                for piece in _pieces(path):
                    collector.update(piece)
        return collector.keys()

    def files(self, prefix: str, keys: Mapping[str, bytes]) -> list[tuple[list[str], str, bytes]]:
        """Columns, key in the store and content of the files with a part's keys."""
        found = []
        for name, columns in self._columns.items():
            digest = hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:16]
            found.append((columns, f"{FOLDER}/{prefix}-{digest}.keys", keys[name]))
        return found


def _pieces(path: Path) -> Iterable[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    yield file.schema_arrow.empty_table()
    for batch in file.iter_batches():
        yield pa.Table.from_batches([batch])
