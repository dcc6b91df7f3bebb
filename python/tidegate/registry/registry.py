"""The registry: where bundles are published once and resolved by version, alias or digest.

In the store, files come first and the version record last:

    bundles/<sha256 of the manifest>/<file>         the bundle's files, manifest.json after the others
    models/<name>/versions/<version>.json           the record: one create-if-absent put, the commit
    models/<name>/aliases/<alias>/<number>.json     a log: the last record is where the alias points
    signatures/<sha256>/<number>.json               a log: who vouches for the bundle
    reports/<sha256>/<kind>/<number>.json           a log: what was found out about it later

A reader starts from a record, so that it sees all of a bundle or none of it. What a killed publish
leaves is a folder of files that nothing refers to; publishing the same bundle again takes them over.
"""

from __future__ import annotations

import os
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tidegate.errors import (
    AlreadyExistsError,
    InputError,
    IntegrityError,
    NotFoundError,
    StorageError,
    TidegateError,
)
from tidegate.registry.bundle import Bundle, Verification
from tidegate.registry.manifest import FILE, MAX_BYTES, Manifest, digest_of
from tidegate.registry.records import Alias, Listing, VersionRecord
from tidegate.registry.reference import (
    DIGEST_PREFIX,
    Reference,
    check_alias,
    check_digest,
    check_name,
)
from tidegate.registry.semver import SemanticVersion
from tidegate.registry.signing import Signature, sign_digest
from tidegate.storage import Log, Record, Store, open_store
from tidegate.types import Json, JsonObject

__all__ = ["Registry"]

MAX_RECORD_BYTES: Final = 1 << 16
"""Largest version record."""


class Registry:
    """Published bundles in a folder or an object store.

    Args:
        location: a folder, a URL such as `s3://bucket/models`, or an open store.
        read_only: refuse to write, and leave out the proof that the store arbitrates writers.
        cache: folder for bundles fetched from object stores; by default the user's cache folder.
        options: settings of the object store, such as `endpoint`.

    Raises:
        StorageError: the store cannot arbitrate between two publishers.
        ConfigurationError: the location or an option is not understood.

    Example:
        >>> import tempfile
        >>> registry = Registry(tempfile.mkdtemp())
        >>> registry.list()
        ()
        >>> registry.resolve("flight-delay@champion")
        Traceback (most recent call last):
            ...
        tidegate.errors.NotFoundError: ... has no model 'flight-delay': it holds no models
    """

    def __init__(
        self,
        location: str | os.PathLike[str] | Store,
        *,
        read_only: bool = False,
        cache: str | os.PathLike[str] | None = None,
        **options: str,
    ) -> None:
        if isinstance(location, Store):
            self._store = location
        else:
            self._store = open_store(location, read_only=read_only, **options)
        self._read_only = read_only
        self._cache = Path(cache) if cache is not None else _default_cache()

    @property
    def location(self) -> str:
        """Where the registry is, as it was named."""
        return self._store.location

    @property
    def store(self) -> Store:
        """Where everything is, for what replicas share beside the bundles."""
        return self._store

    def publish(self, bundle: Bundle | str | os.PathLike[str], *, alias: str | None = None) -> str:
        """Publishes a bundle under its version; every file is verified on the way.

        Args:
            bundle: a bundle, or its folder.
            alias: an alias to point at it afterwards, in a commit of its own.

        Returns:
            The bundle's digest.

        Raises:
            AlreadyExistsError: the version is published already, be it with the same files.
            IntegrityError: the bundle differs from its manifest.
            StorageError: the store is read-only, full, or out of reach. Nothing is visible then
                and the same call can be made again.
        """
        self._writable()
        bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        if alias is not None:
            check_alias(alias)
        record = self._record_key(bundle.name, bundle.version)
        if self._store.exists(record):
            raise self._taken(bundle)
        folder = _folder(bundle.digest)
        for name in [*sorted(bundle.manifest.files), FILE]:
            try:
                self._store.create(f"{folder}/{name}", bundle.read(name))
            except AlreadyExistsError as error:
                raise IntegrityError(
                    f"{folder}/{name} in {self.location} is not the file of {bundle}, though its "
                    "place says so: remove that folder and publish again"
                ) from error
        version = VersionRecord(bundle.name, bundle.version, bundle.digest, _now())
        try:
            self._store.create(record, version.to_json(nonce=uuid.uuid4().hex))
        except AlreadyExistsError:
            raise self._taken(bundle) from None
        if alias is not None:
            self.alias(bundle.name, alias, version=bundle.version)
        return bundle.digest

    def alias(self, name: str, alias: str, *, version: str) -> Alias:
        """Points an alias at a published version.

        Every setting is a new record of the alias's log: the history stays, and of two writers
        at the same time both are recorded, one after the other.

        Args:
            name: the model's name.
            alias: letters, digits, `.`, `_`, `-`, beginning with a letter.
            version: a published version.

        Raises:
            NotFoundError: the version is not published.
            StorageError: the store is read-only, full, or out of reach.
        """
        self._writable()
        record = self._version(check_name(name), str(SemanticVersion.parse(version)))
        body: dict[str, Json] = {
            "created": _now(),
            "digest": record.digest,
            "model_version": record.version,
        }
        entry = self._aliases(name, check_alias(alias)).append(body)
        return Alias(alias, record.version, entry.number, str(body["created"]))

    def history(self, name: str, alias: str) -> tuple[Alias, ...]:
        """Every version that an alias has pointed at, oldest first."""
        log = self._aliases(check_name(name), check_alias(alias))
        return tuple(
            Alias(alias, str(entry.body["model_version"]), entry.number, str(entry.body["created"]))
            for entry in log.records()
        )

    def sign(self, reference: str, key: str | os.PathLike[str]) -> Signature:
        """Vouches for a published bundle with a private key; several keys may.

        Args:
            reference: as `resolve`.
            key: the file of an Ed25519 private key in PEM.

        Raises:
            NotFoundError: as `resolve`.
            InputError: the file is no such key.
            MissingDependencyError: `cryptography` is absent.
            StorageError: the store is read-only, full, or out of reach.
        """
        self._writable()
        record = self.resolve(reference)
        self._manifest(record)  # Nobody vouches for a record whose bundle is gone or changed.
        signature = sign_digest(record.digest, key, created=_now())
        self._signatures(record.digest).append(signature.to_body())
        return signature

    def signatures(self, digest: str) -> tuple[Signature, ...]:
        """Who vouches for the bundle of this digest, oldest first; whether they fit is not looked at.

        Raises:
            StateError: a record of a signature was changed.
        """
        place = f"signatures/{check_digest(digest)} in {self.location}"
        return tuple(
            Signature.from_body(entry.body, place=f"record {entry.number} of {place}")
            for entry in self._signatures(digest).records()
        )

    def add_report(self, digest: str, kind: str, body: JsonObject) -> int:
        """Stores what was found out about a bundle, beside it and for good.

        Args:
            digest: the bundle's.
            kind: of report, such as `check`.
            body: the report.

        Returns:
            Its number, 1 for the first of its kind.

        Raises:
            StorageError: the store is read-only, full, or out of reach.
        """
        self._writable()
        return self._reports(digest, kind).append(body).number

    def reports(self, digest: str, kind: str) -> tuple[Record, ...]:
        """The reports of one kind about a bundle, oldest first."""
        return tuple(self._reports(digest, kind).records())

    def last_report(self, digest: str, kind: str) -> Record | None:
        """The newest report of one kind about a bundle, or None if there is none."""
        return self._reports(digest, kind).last()

    def resolve(self, reference: str) -> VersionRecord:
        """The version that a reference means.

        Args:
            reference: `name@1.4.2`, `name@champion`, `name@sha256:…`; or `name` for the highest
                release, or the highest pre-release where there is no release.

        Raises:
            NotFoundError: there is no such model, version, alias or digest; the message names those
                that are there.
            InputError: the reference is malformed.
        """
        wanted = Reference.parse(reference)
        if wanted.kind == "version":
            return self._version(wanted.name, wanted.selector)
        if wanted.kind == "alias":
            last = self._aliases(wanted.name, wanted.selector).last()
            if last is None:
                raise self._unknown(wanted.name, f"alias {wanted.selector!r}", aliases=True)
            return self._version(wanted.name, str(last.body["model_version"]))
        records = self.versions(wanted.name)
        if wanted.kind == "digest":
            for record in records:
                if record.digest == wanted.selector:
                    return record
            raise self._unknown(wanted.name, f"bundle with digest {wanted.selector}")
        releases = [r for r in records if SemanticVersion.parse(r.version).is_release]
        return (releases or list(records))[0]

    def open(self, reference: str) -> Bundle:
        """The bundle that a reference means, as a local folder.

        In a folder registry that is the folder itself; from an object store the files are fetched
        into the cache, once, and verified.

        Raises:
            NotFoundError: as `resolve`.
            IntegrityError: the manifest is not the one of the version record.
        """
        record = self.resolve(reference)
        local = self._store.local(_folder(record.digest))
        if local is None:
            local = self._cached(record)
        return _checked(Bundle.open(local, digest=record.digest), record)

    def pull(self, reference: str, directory: str | os.PathLike[str]) -> Bundle:
        """Copies a bundle into a new folder and verifies it there.

        Args:
            reference: as `resolve`.
            directory: a folder that does not exist, or is empty.

        Raises:
            NotFoundError: as `resolve`.
            InputError: the folder is not empty.
            IntegrityError: what arrived differs from the manifest or the version record.
        """
        record = self.resolve(reference)
        target = Path(directory)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"{target} is there already: name a new folder")
        unfinished = target.parent / f".{target.name}-{uuid.uuid4().hex}"
        try:
            self._fetch(record, unfinished)
            unfinished.replace(target)
        except OSError as error:
            if isinstance(error, TidegateError):
                raise
            raise StorageError(f"cannot write {target}: {error.strerror}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return Bundle.open(target, digest=record.digest)

    def versions(self, name: str) -> tuple[VersionRecord, ...]:
        """The published versions of a model, highest precedence first.

        Raises:
            NotFoundError: there is no such model.
        """
        records = self._versions(check_name(name))
        if not records:
            raise self._unknown(name, "version")
        return records

    def list(self) -> tuple[Listing, ...]:
        """Every model with its versions and aliases, in the order of names."""
        found: list[Listing] = []
        for name in self._store.children("models"):
            records = self._versions(name)
            if records:  # A publish that was killed may leave an empty folder.
                found.append(Listing(name, records, self.aliases(name)))
        return tuple(found)

    def aliases(self, name: str) -> tuple[Alias, ...]:
        """The aliases of a model and where they point now."""
        found: list[Alias] = []
        for alias in self._store.children(f"models/{check_name(name)}/aliases"):
            last = self._aliases(name, alias).last()
            if last is not None:
                version, created = str(last.body["model_version"]), str(last.body["created"])
                found.append(Alias(alias, version, last.number, created))
        return tuple(found)

    def show(self, reference: str) -> tuple[VersionRecord, Manifest]:
        """The version record and the manifest of a bundle, without its files.

        Raises:
            NotFoundError: as `resolve`.
            IntegrityError: the manifest is not the one of the version record.
        """
        record = self.resolve(reference)
        return record, self._manifest(record)

    def verify(self, reference: str) -> Verification:
        """Reads every file of a bundle; the manifest is held against the version record.

        Raises:
            NotFoundError: as `resolve`.
            IntegrityError: a file is missing or changed; the message names each one.
        """
        record = self.resolve(reference)
        manifest = self._manifest(record)
        folder = _folder(record.digest)
        problems: list[str] = []
        for name, entry in sorted(manifest.files.items()):
            found = self._store.digest(f"{folder}/{name}")
            if found is None:
                problems.append(f"{name} is missing")
            elif found != entry.sha256:
                problems.append(f"{name} was changed (sha256 {found}, not {entry.sha256})")
        known = {*manifest.files, FILE}
        problems += [
            f"{name!r} is not in the manifest"
            for name in self._store.children(folder)
            if name not in known
        ]
        if problems:
            raise IntegrityError(
                f"{record} in {self.location}, folder {folder}: {'; '.join(problems)}: restore the "
                "folder from a backup, or publish a new version"
            )
        size = sum(entry.size for entry in manifest.files.values())
        return Verification(record.digest, len(manifest.files), size, manifest_verified=True)

    def _manifest(self, record: VersionRecord) -> Manifest:
        key = f"{_folder(record.digest)}/{FILE}"
        try:
            data = self._store.get(key, limit=MAX_BYTES)
        except NotFoundError:
            raise IntegrityError(
                f"{record} is published in {self.location}, and its {key} is missing: restore it "
                "from a backup"
            ) from None
        if digest_of(data) != record.digest:
            raise IntegrityError(
                f"{key} in {self.location} has digest {digest_of(data)} where the version record "
                f"of {record} says {record.digest}: restore it from a backup"
            )
        return Manifest.parse(data, place=f"{key} in {self.location}")

    def _fetch(self, record: VersionRecord, directory: Path) -> None:
        manifest = self._manifest(record)
        directory.mkdir(parents=True)
        folder = _folder(record.digest)
        for name in [*sorted(manifest.files), FILE]:
            try:
                self._store.fetch(f"{folder}/{name}", directory / name)
            except NotFoundError:
                raise IntegrityError(
                    f"{record} in {self.location} lacks its file {name}: restore it from a backup"
                ) from None
        _checked(Bundle.open(directory, digest=record.digest), record).verify()

    def _cached(self, record: VersionRecord) -> Path:
        target = self._cache / record.digest.removeprefix(DIGEST_PREFIX)
        if target.is_dir():
            try:
                Bundle.open(target, digest=record.digest).verify()
            except TidegateError:
                # Somebody cleaned or changed the cache: what was published still counts.
                shutil.rmtree(target, ignore_errors=True)
            else:
                return target
        unfinished = self._cache / f".{uuid.uuid4().hex}"
        try:
            self._fetch(record, unfinished)
            try:
                unfinished.rename(target)
            except OSError:
                if not target.is_dir():  # Otherwise another process fetched the same bytes.
                    raise
        except OSError as error:
            if isinstance(error, TidegateError):
                raise
            raise StorageError(
                f"cannot keep {record} in the cache {self._cache}: {error.strerror}: pass cache=…"
            ) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return target

    def _versions(self, name: str) -> tuple[VersionRecord, ...]:
        names = self._store.children(f"models/{name}/versions")
        records = [self._version(name, stem.removesuffix(".json")) for stem in names]
        records.sort(key=lambda record: SemanticVersion.parse(record.version), reverse=True)
        return tuple(records)

    def _version(self, name: str, version: str) -> VersionRecord:
        key = self._record_key(name, version)
        place = f"{key} in {self.location}"
        try:
            data = self._store.get(key, limit=MAX_RECORD_BYTES)
        except NotFoundError:
            raise self._unknown(name, f"version {version!r}") from None
        return VersionRecord.parse(data, name=name, version=version, place=place)

    def _aliases(self, name: str, alias: str) -> Log:
        return Log(self._store, f"models/{name}/aliases/{alias}")

    def _signatures(self, digest: str) -> Log:
        return Log(self._store, f"signatures/{check_digest(digest).removeprefix(DIGEST_PREFIX)}")

    def _reports(self, digest: str, kind: str) -> Log:
        folder = check_digest(digest).removeprefix(DIGEST_PREFIX)
        return Log(self._store, f"reports/{folder}/{check_name(kind)}")

    def _record_key(self, name: str, version: str) -> str:
        return f"models/{name}/versions/{version}.json"

    def _taken(self, bundle: Bundle) -> AlreadyExistsError:
        digest = self._version(bundle.name, bundle.version).digest
        what = "with the same files" if digest == bundle.digest else f"as {digest}"
        return AlreadyExistsError(
            f"{bundle} is published already in {self.location}, {what}: versions never change, "
            "give it the next one"
        )

    def _unknown(self, name: str, what: str, *, aliases: bool = False) -> NotFoundError:
        known = self._store.children(f"models/{name}/versions")
        if not known:
            models = ", ".join(listing.name for listing in self.list())
            there = f"it holds {models}" if models else "it holds no models"
            return NotFoundError(f"{self.location} has no model {name!r}: {there}")
        if aliases:
            there = ", ".join(alias.alias for alias in self.aliases(name)) or "none"
        else:
            there = ", ".join(record.version for record in self._versions(name))
        return NotFoundError(f"model {name!r} in {self.location} has no {what}: it has {there}")

    def _writable(self) -> None:
        if self._read_only:
            raise StorageError(
                f"registry {self.location} was opened read-only: open it for writing"
            )


def _checked(bundle: Bundle, record: VersionRecord) -> Bundle:
    if (bundle.name, bundle.version) != (record.name, record.version):
        raise IntegrityError(
            f"the bundle of {record} says that it is {bundle}: restore the record from a backup"
        )
    return bundle


def _folder(digest: str) -> str:
    return f"bundles/{digest.removeprefix(DIGEST_PREFIX)}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _default_cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "tidegate" / "bundles"
