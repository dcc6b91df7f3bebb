"""Every kind of store, empty."""

from tests.storage.conftest import s3_endpoint, store

__all__ = ["s3_endpoint", "store"]
