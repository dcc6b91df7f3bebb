"""The prediction log: what was asked and answered, as Parquet files in a folder or object store."""

from tidegate.monitoring.log.query import fetched, query
from tidegate.monitoring.log.settings import Log
from tidegate.monitoring.log.writer import LogWriter

__all__ = ["Log", "LogWriter", "fetched", "query"]
