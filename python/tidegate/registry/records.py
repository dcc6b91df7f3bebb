"""What a registry tells of versions and aliases, and the record that commits a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.errors import InputError, StateError
from tidegate.registry.reference import check_digest
from tidegate.storage.canonical import decode, encode

__all__ = ["Alias", "Listing", "VersionRecord"]

VERSION: Final = 1
"""The newest form of a version record that this tidegate reads and the one that it writes."""

_KEYS: Final = {"created", "digest", "model", "model_version", "nonce", "version"}


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One published version.

    Attributes:
        name: the model's name.
        version: the semantic version.
        digest: the bundle's digest.
        created: when it was published, RFC 3339 in UTC.
    """

    name: str
    version: str
    digest: str
    created: str

    def to_json(self, *, nonce: str) -> bytes:
        """The canonical bytes of the record.

        Args:
            nonce: the publisher's own, by which it recognises its record in the store.
        """
        return encode(
            {
                "created": self.created,
                "digest": self.digest,
                "model": self.name,
                "model_version": self.version,
                "nonce": nonce,
                "version": VERSION,
            }
        )

    @classmethod
    def parse(cls, data: bytes, *, name: str, version: str, place: str) -> VersionRecord:
        """Reads the record of one version.

        Args:
            data: the bytes.
            name: the model that it must be of.
            version: the version that it must be of.
            place: where it is, for messages.

        Raises:
            StateError: it is no such record, or was written by a later tidegate.
        """
        document = decode(data, place, keys=_KEYS, newest=VERSION)
        if document["model"] != name or document["model_version"] != version:
            raise StateError(
                f"{place} is the record of {document['model']}@{document['model_version']}: "
                "restore it from a backup"
            )
        try:
            digest = check_digest(str(document["digest"]))
        except InputError as error:
            raise StateError(f"{place} is damaged ({error}): restore it from a backup") from error
        return cls(name, version, digest, str(document["created"]))

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Alias:
    """Where an alias points.

    Attributes:
        alias: such as `champion`.
        version: the version that it names now.
        number: how often it has been set.
        created: when it was set last, RFC 3339 in UTC.
    """

    alias: str
    version: str
    number: int
    created: str


@dataclass(frozen=True, slots=True)
class Listing:
    """One model of a registry.

    Attributes:
        name: the model's name.
        versions: newest precedence first.
        aliases: in the order of their names.
    """

    name: str
    versions: tuple[VersionRecord, ...]
    aliases: tuple[Alias, ...]
