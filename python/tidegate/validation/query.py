"""Queries as sources of tables: DuckDB, and any database that has an ADBC driver."""

from __future__ import annotations

import hashlib
import importlib
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.errors import BackendError, InputError, MissingDependencyError
from tidegate.validation.part import BATCH_ROWS, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.types import ArrowTable

__all__ = ["Query"]


class Query(Part):
    """The rows of one query.

    Args:
        kind: `"duckdb"` or `"adbc"`.
        where: the file of a DuckDB database, or nothing for one in memory; `DRIVER,URI` of ADBC, as in
            `sqlite,flights.db`.
        query: in the database's language. Say `ORDER BY`: only rows in one order are the same rows
            again.
    """

    def __init__(self, kind: str, where: str, query: str) -> None:
        self.name = f"query-{hashlib.sha256(f'{kind}:{where}?{query}'.encode()).hexdigest()[:12]}"
        self._kind, self._where, self._query = kind, where, query

    def digest(self) -> str:
        """The sha256 of the query and of its rows, which are read for it."""
        from tidegate import _core

        digest = hashlib.sha256(f"{self._kind}:{self._where}?{self._query}".encode())
        for batch in self.batches():
            digest.update(repr(_core.row_sum(batch)).encode())
        return digest.hexdigest()

    def batches(self) -> Iterator[ArrowTable]:
        """The rows, piece by piece."""
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingDependencyError(
                "reading tables takes pyarrow: pip install 'tidegate[training]'"
            ) from error
        with ExitStack() as stack:
            connection = self._connect()
            stack.callback(connection.close)
            reader = self._read(connection, stack)
            empty = True
            for batch in reader:
                empty = False
                yield pa.Table.from_batches([batch])
            if empty:
                yield reader.schema.empty_table()

    def _connect(self) -> Any:
        if self._kind == "duckdb":
            try:
                import duckdb
            except ImportError as error:
                raise MissingDependencyError(
                    "a query of DuckDB takes its package: pip install 'tidegate[database]'"
                ) from error
            if self._where and not Path(self._where).is_file():
                raise InputError(f"there is no database at {self._where}")
            return duckdb.connect(self._where or ":memory:", read_only=bool(self._where))
        driver, comma, uri = self._where.partition(",")
        if not comma:
            raise InputError(f"adbc:{self._where}: name the driver and the address, as DRIVER,URI")
        if not driver.isidentifier():
            raise InputError(f"adbc:{driver}: that is no driver: use sqlite, postgresql, …")
        try:
            dbapi = importlib.import_module(f"adbc_driver_{driver}.dbapi")
        except ImportError as error:
            raise MissingDependencyError(
                f"a query over ADBC takes the database's driver: pip install adbc-driver-{driver}"
            ) from error
        return dbapi.connect(uri)

    def _read(self, connection: Any, stack: ExitStack) -> Any:
        try:
            if self._kind == "duckdb":
                return connection.sql(self._query).to_arrow_reader(BATCH_ROWS)
            # What it has found ends with the cursor.
            cursor = connection.cursor()
            stack.callback(cursor.close)
            cursor.execute(self._query)
            return cursor.fetch_record_batch()
        except Exception as error:  # The databases' errors have no class in common.
            reason = str(error).splitlines()[0]
            raise BackendError(f"the query failed: {reason}") from error
