"""Ingestion: read, validate, quarantine, write Parquet with a fingerprint and lineage; once.

Each part of a source (a file, an object, a query) is read in one pass, its good rows and its bad
ones are staged as Parquet files, and only then are they written: files first, a record of them
last, each by one create-if-absent put. What has a record is never read again. What was written
before a kill is written again byte for byte, so that a rerun ends in the same files, and two that
run at once do too.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from tidegate import __version__, _core
from tidegate.errors import DataError, InputError, MissingDependencyError, StateError
from tidegate.storage import open_store
from tidegate.validation.attribution import WHOLE, attributable, attributed
from tidegate.validation.report import ValidationReport
from tidegate.validation.rules import Rules
from tidegate.validation.seen import KeyFiles, unique_columns
from tidegate.validation.source import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tidegate.storage import Store
    from tidegate.types import ArrowTable, Json
    from tidegate.validation.part import Part
    from tidegate.validation.stream import Validation

__all__ = ["ROWS_PER_FILE", "Ingested", "Progress", "Whole", "fingerprint", "ingest", "ingested"]

VERSION: Final = 2
"""Version of the records: since 2 the keys of a part may lie in several files."""
ROWS_PER_FILE: Final = 1_000_000
"""Most rows of one Parquet file."""
RECORDS: Final = "_ingest"
Whole = Literal["refuse", "pass"]
"""What becomes of a part that breaks a rule about the whole table."""
_PLAIN: Final = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class Progress:
    """How far an ingestion is.

    Attributes:
        part: the part that is read.
        number: its number, from 1.
        parts: how many there are.
        rows: rows of it that were read.
    """

    part: str
    number: int
    parts: int
    rows: int


@dataclass(frozen=True)
class Ingested:
    """One part that has been written.

    Attributes:
        part: its name within the source.
        record: the key of its record.
        files: keys and rows of the files with good rows.
        quarantined: keys and rows of the files with bad rows.
        fingerprint: of the good rows; see `fingerprint`.
        report: what the rules said of all its rows; `None` without rules.
        new: whether this run has written it.
    """

    part: str
    record: str
    files: Mapping[str, int]
    quarantined: Mapping[str, int]
    fingerprint: str
    report: ValidationReport | None
    new: bool

    @property
    def rows(self) -> int:
        """Good rows."""
        return sum(self.files.values())

    @property
    def bad_rows(self) -> int:
        """Bad rows."""
        return sum(self.quarantined.values())


class _Sum:
    """The fingerprint of rows that come in pieces."""

    def __init__(self) -> None:
        self.rows, self._sums, self._columns = 0, [0, 0], ""

    def update(self, table: Any) -> None:
        rows, first, second = _core.row_sum(table)
        self.rows += rows
        self._sums = [(self._sums[0] + first) % 2**64, (self._sums[1] + second) % 2**64]
        self._columns = "\n".join(table.schema.names)

    def __str__(self) -> str:
        columns = hashlib.sha256(self._columns.encode()).hexdigest()[:16]
        return f"rows1:{columns}:{self.rows}:{self._sums[0]:016x}{self._sums[1]:016x}"


def fingerprint(table: ArrowTable) -> str:
    """A fingerprint of a table's content: of its columns' names and its rows, in any order.

    Two tables of one fingerprint have the same rows but for a chance of 2**-128; it is not made
    against somebody who constructs such tables. Files have their sha256 beside it.

    >>> import pyarrow as pa
    >>> fingerprint(pa.table({"x": [1, 2]})) == fingerprint(pa.table({"x": [2.0, 1.0]}))
    True
    """
    import pyarrow as pa

    total = _Sum()
    total.update(pa.table(table))
    return str(total)


def ingest(
    source: str,
    destination: str,
    *,
    rules: Rules | None = None,
    references: Mapping[str, ArrowTable] | None = None,
    refuse: bool = False,
    whole: Whole = "refuse",
    rows_per_file: int = ROWS_PER_FILE,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[Ingested]:
    r"""Brings tables into a folder or an object store, part by part; each part once.

    Args:
        source: what `open_source` takes: a file, a folder, object storage, a query.
        destination: a folder, or an address of object storage.
        rules: what the rows are held against. Rows that break a rule about rows go to
            `quarantine/`, with the names of the rules, and so do those that are to blame for a
            broken rule about the whole table: outliers, and values beyond the bound of a least or
            greatest value. A row that repeats one of an earlier part repeats. A part that has other
            columns than the schema is refused.
        references: the other tables of foreign keys, by name.
        refuse: refuse a part that has any bad row, instead of writing those apart.
        whole: what becomes of a part that breaks a rule about the whole table which no rows are to
            blame for: `"refuse"`, or `"pass"`, which leaves it to the report.
        rows_per_file: most rows of one Parquet file.
        progress: called as rows are read.

    Yields:
        Every part of the source, in order, as it is written or is found to be so.

    Raises:
        DataError: a part is refused; nothing of it is written, and `report` says why.
        InputError: a part was ingested before with other content, or cannot be read.
        StorageError: the source or the destination is out of reach.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from tidegate.validation import in_range
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.csv").write_text("x\n1\n-1\n")
    ...     rules = Rules(in_range("x", 0))
    ...     for _ in range(2):
    ...         for part in ingest(f"{folder}/a.csv", f"{folder}/lake", rules=rules):
    ...             print(part.part, part.rows, part.bad_rows, part.new)
    a.csv 1 1 True
    a.csv 1 1 False
    """
    if rows_per_file < 1:
        raise InputError(f"rows_per_file is {rows_per_file}: use 1 or more")
    try:
        import pyarrow  # noqa: F401 - asked for before the first part is read
    except ImportError as error:
        raise MissingDependencyError(
            "ingestion takes pyarrow: pip install 'tidegate[training]'"
        ) from error
    found = open_source(source)
    if whole not in ("refuse", "pass"):
        raise InputError(f"whole={whole!r}: use 'refuse' or 'pass'")
    store = open_store(destination)
    columns = unique_columns(rules)
    records = _records(store) if columns else {}
    for number, part in enumerate(found.parts, 1):
        record = f"{RECORDS}/{_stem(part.name)}.json"
        digest = part.digest()
        before = _read(store, record)
        if before is not None:
            if before["lineage"]["sha256"] != digest:
                raise InputError(
                    f"{part.name} was ingested into {destination} before with other content: give "
                    "the new content a new name"
                )
            yield _ingested(record, before, new=False)
            continue
        keys = KeyFiles(store, columns, records) if columns else None
        job = _Job(part, digest, rules, rows_per_file, references or {}, keys)

        def read(rows: int, name: str = part.name, number: int = number) -> None:
            if progress is not None:
                progress(Progress(name, number, len(found.parts), rows))

        with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
            written = job.stage(Path(folder), read, refuse=refuse, whole=whole)
            for key, path in written:
                store.create(key, path.read_bytes())
        document = job.document()
        store.create(record, json.dumps(document, sort_keys=True).encode())
        records[record] = document
        yield _ingested(record, document, new=True)


def ingested(destination: str) -> list[Ingested]:
    """What has been ingested into a destination, in the order of the parts' names."""
    store = open_store(destination, read_only=True)
    records = _records(store).items()
    return [_ingested(key, document, new=False) for key, document in records]


def _records(store: Store) -> dict[str, dict[str, Any]]:
    """The records of a destination by their keys."""
    found = ((key, _read(store, key)) for key in store.keys(RECORDS))
    return {key: document for key, document in found if document is not None}


def _stem(name: str) -> str:
    """A part's name as a key of its own: two names that look alike get different ones."""
    plain = _PLAIN.sub("-", name).strip("-")[:60] or "part"
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _read(store: Store, key: str) -> dict[str, Any] | None:
    if not store.exists(key):
        return None
    try:
        document: dict[str, Any] = json.loads(store.get(key))
        version = document["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"{key} in {store.location} is no record of an ingestion") from error
    if version > VERSION:
        raise StateError(
            f"{key} in {store.location} is of version {version}, newer than {VERSION}, the newest "
            "this tidegate reads: upgrade tidegate"
        )
    return document


def _ingested(record: str, document: dict[str, Any], *, new: bool) -> Ingested:
    report = document["report"]
    return Ingested(
        part=document["lineage"]["part"],
        record=record,
        files={file["key"]: file["rows"] for file in document["files"]},
        quarantined={file["key"]: file["rows"] for file in document["quarantined"]},
        fingerprint=document["fingerprint"],
        report=None if report is None else ValidationReport.from_json(json.dumps(report)),
        new=new,
    )


class _Job:
    """The work on one part."""

    def __init__(
        self,
        part: Part,
        digest: str,
        rules: Rules | None,
        rows_per_file: int,
        references: Mapping[str, ArrowTable],
        keys: KeyFiles | None,
    ) -> None:
        import pyarrow as pa

        self._part, self._references = part, references
        self._rules = rules
        self._rows_per_file = rows_per_file
        self._lineage: dict[str, Json] = {
            "part": part.name,
            "sha256": digest,
            "rules": None if rules is None else rules.fingerprint,
            "tidegate": __version__,
            "pyarrow": pa.__version__,
            "rows_per_file": rows_per_file,
            "references": {name: fingerprint(table) for name, table in references.items()},
        }
        if keys is not None:
            self._lineage["after"] = str(keys)
        # Other rules or another writer make other bytes, so they get other names.
        text = json.dumps(self._lineage, sort_keys=True)
        self._prefix = f"{_stem(part.name)}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self._sum = _Sum()
        self._report: ValidationReport | None = None
        self._keys = keys
        self._key_files: dict[tuple[str, ...], list[str]] = {}
        self._good: list[dict[str, Json]] = []
        self._bad: list[dict[str, Json]] = []

    def stage(
        self,
        folder: Path,
        read: Callable[[int], None],
        *,
        refuse: bool,
        whole: Whole,
    ) -> list[tuple[str, Path]]:
        """Writes the files of the part into a folder of this machine; keys and paths of them."""
        import pyarrow as pa

        good = _Files(folder, f"data/{self._prefix}", self._rows_per_file, self._lineage)
        bad = _Files(folder, f"quarantine/{self._prefix}", self._rows_per_file, self._lineage)
        validation = self._start()
        logs = None if self._keys is None else self._keys.logs()
        rows = 0
        for batch in self._part.batches():
            table = pa.table(batch)
            rows += table.num_rows
            if validation is not None:
                kept, broken = validation.split(table)
                table = pa.table(kept)
                bad.write(pa.table(broken))
            if logs is not None:
                logs.update(table)
            self._sum.update(table)
            good.write(table)
            read(rows)
        if validation is not None:
            self._report = validation.finish()
            self._check(self._report, refuse=refuse, whole=whole)
        if logs is not None:
            self._key_files = logs.write(folder, self._prefix)
        # A table without a row is a table: it has columns. A quarantine without one is not.
        self._good, self._bad = good.close(empty=True), bad.close(empty=False)
        keys = [str(file["key"]) for file in self._good + self._bad]
        keys += [key for files in self._key_files.values() for key in files]
        return [(key, folder / key) for key in keys]

    def _start(self) -> Validation | None:
        """Begins the validation that takes rows apart.

        A first look comes before it where one is due: at keys that stand in the destination, and at
        rules about the whole that rows are to blame for.
        """
        if self._rules is None:
            return None
        rules = self._rules
        logs = None if self._keys is None else self._keys.logs()
        look = rules.start(references=self._references) if attributable(rules) else None
        if logs is None and look is None:
            return rules.start(references=self._references)
        for batch in self._part.batches():
            if look is not None:
                look.update(batch)
            if logs is not None:
                logs.update(batch)
        if look is not None:
            rules = attributed(rules, look.finish())
        repeats = None
        if self._keys is not None and logs is not None:
            repeats = logs.repeats(self._keys)
        return rules.start(references=self._references, repeats=repeats)

    def _check(self, report: ValidationReport, *, refuse: bool, whole: Whole) -> None:
        """Refuses what taking rows out cannot mend."""
        failed = [rule for rule in report.rules if rule.status == "failed" and rule.kind in WHOLE]
        columns = [finding for finding in report.schema if finding.severity == "error"]
        if (failed and whole == "refuse") or columns or (refuse and not report.passed):
            raise DataError(f"{self._part.name} is refused: {report.verdict}", report)

    def document(self) -> dict[str, Any]:
        """The record of the part."""
        return {
            "keys": [
                {"columns": list(columns), "key": key}
                for columns, files in self._key_files.items()
                for key in files
            ],
            "version": VERSION,
            "lineage": self._lineage,
            "fingerprint": str(self._sum),
            "files": self._good,
            "quarantined": self._bad,
            "report": None if self._report is None else json.loads(self._report.to_json()),
        }


class _Files:
    """Parquet files of at most so many rows, in a folder of this machine."""

    def __init__(self, folder: Path, prefix: str, most: int, lineage: Mapping[str, Json]) -> None:
        self._folder, self._prefix, self._most = folder, prefix, most
        self._lineage = dict(lineage)
        self._files: list[dict[str, Json]] = []
        self._writer: Any = None
        self._sum = _Sum()
        self._schema: Any = None

    def write(self, table: Any) -> None:
        self._schema = table.schema
        while table.num_rows:
            if self._writer is None:
                self._open()
            part = table.slice(0, self._most - self._sum.rows)
            self._writer.write_table(part)
            self._sum.update(part)
            table = table.slice(part.num_rows)
            if self._sum.rows >= self._most:
                self._end()

    def _open(self) -> None:
        import pyarrow.parquet as pq

        key = f"{self._prefix}-{len(self._files):05}.parquet"
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files.append({"key": key})
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def _end(self) -> None:
        file = self._files[-1]
        said = {**self._lineage, "fingerprint": str(self._sum), "rows": self._sum.rows}
        self._writer.add_key_value_metadata({"tidegate": json.dumps(said, sort_keys=True)})
        self._writer.close()
        with (self._folder / str(file["key"])).open("rb") as written:
            file["sha256"] = hashlib.file_digest(written, "sha256").hexdigest()
        file["rows"] = self._sum.rows
        file["fingerprint"] = str(self._sum)
        self._writer, self._sum = None, _Sum()

    def close(self, *, empty: bool) -> list[dict[str, Json]]:
        if self._writer is None and empty and not self._files:
            self._open()
        if self._writer is not None:
            self._end()
        return self._files
