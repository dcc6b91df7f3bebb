"""Signatures of bundles: Ed25519 over the digest, by keys in PEM files.

The digest covers the manifest and the manifest every file, so that the digest is all that has to be
signed. `openssl genpkey -algorithm ed25519` makes a key, `openssl pkey -pubout` its public half.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.errors import (
    InputError,
    IntegrityError,
    MissingDependencyError,
    StateError,
    StorageError,
)
from tidegate.registry.reference import DIGEST_PREFIX, check_digest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

    from tidegate.types import Json, JsonObject

__all__ = ["Signature", "read_public_key", "sign_digest", "verify_digest"]

ALGORITHM: Final = "ed25519"

CONTEXT: Final = b"tidegate bundle signature 1\n"
"""Before what is signed, so that a signature made for anything else never fits a bundle."""

MAX_KEY_BYTES: Final = 1 << 16
"""Largest file of a key."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who vouches for a bundle.

    Attributes:
        key: `sha256:` and the digest of the public key's 32 bytes.
        signature: 64 bytes in base64.
        created: when it was signed, RFC 3339 in UTC, by the signer's clock; not signed itself.
    """

    key: str
    signature: str
    created: str

    def to_body(self) -> dict[str, Json]:
        """The record of a log."""
        return {
            "algorithm": ALGORITHM,
            "created": self.created,
            "key": self.key,
            "signature": self.signature,
        }

    @classmethod
    def from_body(cls, body: JsonObject, *, place: str) -> Signature:
        """Reads the record of a log.

        Raises:
            StateError: it is none, or of another algorithm.
        """
        texts = [body.get(name) for name in ("key", "signature", "created")]
        if body.get("algorithm") != ALGORITHM or not all(isinstance(text, str) for text in texts):
            raise StateError(f"{place} is no signature of {ALGORITHM}: restore it, or sign again")
        return cls(*map(str, texts))


def sign_digest(digest: str, key: str | os.PathLike[str], *, created: str) -> Signature:
    """Signs the digest of a bundle.

    Args:
        digest: `sha256:…`.
        key: the file of an Ed25519 private key in PEM, without a password.
        created: the time to write down.

    Raises:
        InputError: the file is no such key.
        StorageError: it cannot be read.
        MissingDependencyError: `cryptography` is absent.
    """
    private = _private(Path(key))
    signed = private.sign(CONTEXT + check_digest(digest).encode())
    return Signature(_fingerprint(private.public_key()), base64.b64encode(signed).decode(), created)


def read_public_key(path: str | os.PathLike[str]) -> Ed25519PublicKey:
    """The public key of a PEM file; of a private key's file its public half.

    Raises:
        InputError: the file is no Ed25519 key.
        StorageError: it cannot be read.
        MissingDependencyError: `cryptography` is absent.
    """
    _needed()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    data = _read(Path(path))
    if b"PRIVATE KEY" in data:
        return _private(Path(path)).public_key()
    try:
        public = serialization.load_pem_public_key(data)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is no public key in PEM: make one with openssl pkey -pubout"
        ) from (error)
    if not isinstance(public, ed25519.Ed25519PublicKey):
        raise InputError(f"{path} is no Ed25519 key: make one with openssl genpkey")
    return public


def verify_digest(digest: str, signature: Signature, public: Ed25519PublicKey) -> None:
    """Holds a signature against a digest and a key.

    Raises:
        IntegrityError: it is of another key, or of another bundle.
    """
    from cryptography.exceptions import InvalidSignature

    if signature.key != _fingerprint(public):
        raise IntegrityError(
            f"{digest} is signed by key {signature.key}, not by {_fingerprint(public)}"
        )
    try:
        public.verify(
            base64.b64decode(signature.signature, validate=True),
            CONTEXT + check_digest(digest).encode(),
        )
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise IntegrityError(
            f"the signature of {digest} by key {signature.key} does not fit: it was made for "
            "another bundle, or changed"
        ) from error


def _fingerprint(public: Ed25519PublicKey) -> str:
    return DIGEST_PREFIX + hashlib.sha256(public.public_bytes_raw()).hexdigest()


def _private(path: Path) -> Ed25519PrivateKey:
    _needed()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    try:
        private = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is no private key in PEM without a password: make one with "
            "openssl genpkey -algorithm ed25519"
        ) from error
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise InputError(
            f"{path} is no Ed25519 key: make one with openssl genpkey -algorithm ed25519"
        )
    return private


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise StorageError(f"key {path} cannot be read: {error.strerror}") from error


def _needed() -> None:
    try:
        import cryptography  # noqa: F401 - asked for, so that its absence has a sentence
    except ImportError as error:
        raise MissingDependencyError(
            "signatures take cryptography: pip install 'tidegate[signing]'"
        ) from error
