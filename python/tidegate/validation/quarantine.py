"""Good rows and bad rows, written apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tidegate.errors import MissingDependencyError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from tidegate.types import ArrowTable

__all__ = ["Quarantine"]


class Quarantine:
    """Writes two Parquet files, piece by piece; either may be left out.

    Args:
        good: where the rows go that keep the rules.
        bad: where those go that break one, with `_broken_rules` and `_row`.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        StorageError: a file cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> from tidegate.validation import Rules, in_range
    >>> validation = Rules(in_range("x", 0, 2, name="small")).start()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bad = Path(folder) / "bad.parquet"
    ...     with Quarantine(None, bad) as quarantine:
    ...         quarantine.write(*validation.split(pa.table({"x": [1, 7]})))
    ...     pq.read_table(bad).to_pylist()
    [{'x': 7, '_broken_rules': 'small', '_row': 1}]
    """

    def __init__(self, good: Path | None, bad: Path | None) -> None:
        self._paths = (good, bad)
        self._writers: list[Any] = [None, None]

    @property
    def wanted(self) -> bool:
        """Whether anything is to be written."""
        return any(path is not None for path in self._paths)

    def write(self, good: ArrowTable, bad: ArrowTable) -> None:
        """Takes the next piece, as `Validation.split` gives it."""
        for position, (path, table) in enumerate(zip(self._paths, (good, bad), strict=True)):
            if path is not None:
                self._append(position, path, table)

    def _append(self, position: int, path: Path, table: ArrowTable) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingDependencyError(
                "writing Parquet takes pyarrow: pip install 'tidegate[training]'"
            ) from error
        rows = pa.table(table)
        try:
            if self._writers[position] is None:
                self._writers[position] = pq.ParquetWriter(path, rows.schema)
            self._writers[position].write_table(rows)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for path, writer in zip(self._paths, self._writers, strict=True):
            if writer is None or path is None:
                continue
            writer.close()
            # Half a table would be taken for one.
            if kind is not None:
                path.unlink(missing_ok=True)
