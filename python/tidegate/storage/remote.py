"""S3, Google Cloud Storage, Azure and others as a store, through `obstore`.

Create-if-absent is the stores' own conditional put (`If-None-Match: *`). `obstore` repeats a
request whose answer was lost, and the repetition of a put that did arrive is refused as existing:
the base class compares bytes before it believes such a refusal.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import obstore
from obstore import exceptions

from tidegate.errors import AlreadyExistsError, ConfigurationError, NotFoundError, StorageError
from tidegate.storage.store import AmbiguousWriteError, Store, check_key

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Backend
    from obstore.store import RetryConfig

__all__ = ["ObjectStore"]


CLIENT: Final = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "default_content_type",
        "http1_only",
        "http2_keep_alive_interval",
        "http2_keep_alive_timeout",
        "http2_keep_alive_while_idle",
        "http2_only",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "proxy_ca_certificate",
        "proxy_excludes",
        "proxy_url",
        "read_timeout",
        "root_certificate",
        "timeout",
        "user_agent",
    }
)
"""Options of the connections rather than of the store."""

RETRIES: Final[RetryConfig] = {"max_retries": 5, "retry_timeout": timedelta(seconds=30)}
"""Patience with a store that does not answer; obstore's own is three minutes."""


class ObjectStore(Store):
    """Objects of a bucket, under a prefix.

    One object is one put, so that the store's limit for a single put applies (S3: 5 GB).

    Args:
        backend: a store of `obstore`, with the prefix and the credentials in it.
        location: how messages name it.

    Example:
        >>> from obstore.store import MemoryStore
        >>> store = ObjectStore(MemoryStore(), "memory")
        >>> store.create("a/b", b"1")
        >>> store.create("a/c", b"2")
        >>> store.children("a")
        ['b', 'c']
    """

    def __init__(self, backend: Backend, location: str) -> None:
        self._backend = backend
        self.location = location

    @classmethod
    def from_url(cls, url: str, **options: str) -> ObjectStore:
        """The store at a URL such as `s3://bucket/prefix`.

        Args:
            url: scheme, bucket and prefix.
            options: settings of `obstore` for that scheme, such as `endpoint`, or for its
                connections, such as `timeout="5s"`; what is not given comes from the environment
                (`AWS_ACCESS_KEY_ID`, …).

        Raises:
            ConfigurationError: the scheme or an option is unknown.
        """
        from obstore.store import from_url

        # A setting of connections among those of the store would end in a panic of obstore's.
        client: dict[str, str] = {key: options.pop(key) for key in CLIENT & options.keys()}
        if options.get("endpoint", "").startswith("http://"):
            client.setdefault("allow_http", "true")
        try:
            # An empty set would hide those of the environment, such as AWS_ALLOW_HTTP.
            backend: Backend = from_url(  # type: ignore[call-overload]
                url, client_options=client or None, retry_config=RETRIES, **options
            )
        except (exceptions.BaseError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"cannot open {url!r} as an object store: {_first_line(error)}"
            ) from error
        return cls(backend, url)

    def keys(self, prefix: str = "") -> list[str]:
        """Every key under a prefix that ends at a slash or is empty, in order."""
        try:
            batches = obstore.list(self._backend, prefix=self._stem(prefix))
            return sorted(entry["path"] for batch in batches for entry in batch)
        except FileNotFoundError:
            return []
        except exceptions.BaseError as error:
            self._explain(error, prefix, "list")

    def children(self, prefix: str = "") -> list[str]:
        """The next segment of every key under a prefix, each once, in order."""
        try:
            level = obstore.list_with_delimiter(self._backend, prefix=self._stem(prefix))
        except FileNotFoundError:
            return []
        except exceptions.BaseError as error:
            self._explain(error, prefix, "list")
        folders = [path.rstrip("/") for path in level["common_prefixes"]]
        objects = [entry["path"] for entry in level["objects"]]
        return sorted({path.rsplit("/", 1)[-1] for path in [*folders, *objects]})

    def exists(self, key: str) -> bool:
        """Is there an object under this key?"""
        try:
            obstore.head(self._backend, check_key(key))
        except FileNotFoundError:
            return False
        except exceptions.BaseError as error:
            self._explain(error, key, "read")
        return True

    def fetch(self, key: str, path: Path) -> None:
        """Writes an object into a new local file; raises `NotFoundError` if there is none."""
        try:
            answer = obstore.get(self._backend, check_key(key))
            with path.open("xb") as file:
                for chunk in answer.stream():
                    file.write(chunk)
        except FileNotFoundError:
            raise NotFoundError(f"{self.location} has no object {key!r}") from None
        except exceptions.BaseError as error:
            self._explain(error, key, "read")
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error

    def delete(self, key: str) -> None:
        """Removes an object if it is there: for leftovers only, never for what was committed."""
        try:
            obstore.delete(self._backend, check_key(key))
        except FileNotFoundError:
            return
        except exceptions.BaseError as error:
            self._explain(error, key, "delete")

    def digest(self, key: str) -> str | None:
        """The hexadecimal sha256 of an object, or None if there is none."""
        digest = hashlib.sha256()
        try:
            for chunk in obstore.get(self._backend, check_key(key)).stream():
                digest.update(chunk)
        except FileNotFoundError:
            return None
        except exceptions.BaseError as error:
            self._explain(error, key, "read")
        return digest.hexdigest()

    def _get(self, key: str, limit: int) -> bytes | None:
        data = bytearray()
        try:
            for chunk in obstore.get(self._backend, key).stream():
                data += chunk
                if len(data) > limit:
                    break
        except FileNotFoundError:
            return None
        except exceptions.BaseError as error:
            self._explain(error, key, "read")
        return bytes(data)

    def _create(self, key: str, data: bytes) -> None:
        try:
            obstore.put(self._backend, key, data, mode="create")
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError, FileExistsError):
            raise AlreadyExistsError(f"{key!r} exists already in {self.location}") from None
        except FileNotFoundError:
            raise NotFoundError(
                f"{self.location} does not exist: make the bucket first, or check its name"
            ) from None
        except exceptions.GenericError as error:
            raise AmbiguousWriteError(
                f"cannot tell whether {key!r} was written to {self.location}: "
                f"{_first_line(error)}: check the connection and try again"
            ) from error
        except exceptions.BaseError as error:
            self._explain(error, key, "write")

    def _stem(self, prefix: str) -> str | None:
        stem = prefix.removesuffix("/")
        return check_key(stem) + "/" if stem else None

    def _explain(self, error: Exception, key: str, verb: str) -> NoReturn:
        if isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
            reason = "the credentials do not allow it: check the key and the bucket's policy"
        else:
            reason = f"{_first_line(error)}: check the bucket's name, endpoint and connection"
        raise StorageError(f"cannot {verb} {key!r} in {self.location}: {reason}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
