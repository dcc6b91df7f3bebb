"""Where tables come from: files, folders, object storage and queries, read piece by piece."""

from __future__ import annotations

import hashlib
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate.errors import InputError, MissingDependencyError, NotFoundError, StorageError
from tidegate.validation.part import BATCH_ROWS, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from tidegate.storage import Store
    from tidegate.types import ArrowTable

__all__ = ["FORMATS", "Source", "open_source"]

FORMATS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
    ".arrows": "stream",
}
"""How the end of a name tells the format; `.gz` may stand behind those of text."""

BLOCK_BYTES: Final = 8 << 20
"""Bytes of text that become a piece."""

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_QUERY: Final = re.compile(r"(?P<kind>duckdb|adbc):(?P<where>[^?]*)\?(?P<query>.+)", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """A table in one or several parts.

    Attributes:
        address: as it was written.
        parts: in the order of their names.
    """

    address: str
    parts: tuple[Part, ...]

    def batches(self) -> Iterator[ArrowTable]:
        """The rows of all parts, piece by piece."""
        for part in self.parts:
            yield from part.batches()

    def read(self) -> ArrowTable:
        """All rows at once."""
        pa = _pyarrow()
        table: ArrowTable = pa.concat_tables([pa.table(batch) for batch in self.batches()])
        return table


def open_source(address: str) -> Source:
    r"""Finds what an address names.

    Args:
        address: a file (`.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.parquet`, `.arrow`, `.feather`,
            `.ipc`, `.arrows`; text also as `.gz`), a folder of such files, an object or prefix of an
            object store (`s3://bucket/flights/`), or a query (`duckdb:FILE?SELECT …`,
            `adbc:DRIVER,URI?SELECT …`).

    Raises:
        NotFoundError: there is nothing, or no file of a known format.
        InputError: the file is of no known format.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.csv").write_text("x,s\n1,a\n,b\n")
    ...     source = open_source(folder)
    ...     [part.name for part in source.parts], source.read().to_pylist()
    (['a.csv'], [{'x': 1, 's': 'a'}, {'x': None, 's': 'b'}])
    """
    query = _QUERY.fullmatch(address)
    if query is not None:
        from tidegate.validation.query import Query

        part = Query(query["kind"], query["where"], query["query"])
        return Source(address, (part,))
    if _URL.match(address) and not address.startswith("file://"):
        return Source(address, _remote(address))
    path = Path(address.removeprefix("file://"))
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and _format(file.name))
        if not files:
            raise NotFoundError(f"{address} holds no file that is one of {', '.join(FORMATS)}")
        return Source(address, tuple(File(file, str(file.relative_to(path))) for file in files))
    if not path.is_file():
        raise NotFoundError(f"there is no table at {address}")
    _format_of(path.name)
    return Source(address, (File(path, path.name),))


def _format(name: str) -> str | None:
    return FORMATS.get(Path(name.lower().removesuffix(".gz")).suffix)


def _format_of(name: str) -> str:
    found = _format(name)
    if found is None:
        raise InputError(f"{name} is no table by its name: it ends in one of {', '.join(FORMATS)}")
    return found


def _remote(address: str) -> tuple[Part, ...]:
    from tidegate.storage import open_store

    root, _, last = address.rstrip("/").rpartition("/")
    if _format(last) and "://" in root:
        return (Object(open_store(root, read_only=True), last),)
    store = open_store(address, read_only=True)
    keys = [key for key in store.keys("") if _format(key)]
    if not keys:
        raise NotFoundError(f"{address} holds no object that is one of {', '.join(FORMATS)}")
    return tuple(Object(store, key) for key in keys)


class File(Part):
    """A file of this machine."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._path = path

    def digest(self) -> str:
        """The sha256 of its bytes."""
        try:
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read: {error.strerror}") from error

    def batches(self) -> Iterator[ArrowTable]:
        """Its rows, piece by piece."""
        yield from read_file(self._path, _format_of(self.name))


class Object(Part):
    """An object of a store, which is fetched into a temporary file while it is read."""

    def __init__(self, store: Store, key: str) -> None:
        self.name = key
        self._store = store

    def digest(self) -> str:
        """The sha256 of its bytes."""
        found = self._store.digest(self.name)
        if found is None:
            raise NotFoundError(f"{self._store.location} has no object {self.name}")
        return found

    def batches(self) -> Iterator[ArrowTable]:
        """Its rows, piece by piece."""
        with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
            path = Path(folder) / Path(self.name).name
            self._store.fetch(self.name, path)
            yield from read_file(path, _format_of(self.name))


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependencyError(
            "reading tables takes pyarrow: pip install 'tidegate[training]'"
        ) from error
    return pyarrow


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Errors of the readers, in our terms."""
    pa = _pyarrow()
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path.name} cannot be read: {reason}: mend the file, or declare its columns"
        ) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error}") from error


def read_file(path: Path, kind: str) -> Iterator[ArrowTable]:
    """The rows of a file, piece by piece, at least one piece."""
    pa = _pyarrow()
    with _explained(path):
        reader = {"csv": _csv, "json": _json, "parquet": _parquet}.get(kind, _ipc)
        schema, batches = reader(path)
        empty = True
        for batch in batches:
            empty = False
            yield pa.Table.from_batches([batch])
        if empty:
            yield schema.empty_table()


def _csv(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    from pyarrow import csv

    name = path.name.lower().removesuffix(".gz")
    reader = csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=BLOCK_BYTES),
        parse_options=csv.ParseOptions(delimiter="\t" if name.endswith(".tsv") else ","),
        # An empty field of text is as missing as one of numbers.
        convert_options=csv.ConvertOptions(strings_can_be_null=True),
    )
    return reader.schema, iter(reader)


def _json(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    pa = _pyarrow()
    from pyarrow import json

    stream = pa.input_stream(str(path))
    reader = json.open_json(stream, read_options=json.ReadOptions(block_size=BLOCK_BYTES))
    return reader.schema, iter(reader)


def _parquet(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    return file.schema_arrow, file.iter_batches(batch_size=BATCH_ROWS)


def _ipc(path: Path) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    pa = _pyarrow()
    source = pa.memory_map(str(path))
    if source.read(6) == b"ARROW1":
        source.seek(0)
        file = pa.ipc.open_file(source)
        return file.schema, (file.get_batch(at) for at in range(file.num_record_batches))
    source.seek(0)
    stream = pa.ipc.open_stream(source)
    return stream.schema, iter(stream)
