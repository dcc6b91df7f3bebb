"""TLS: the settings, and the certificate as it is on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tidegate import _core
from tidegate.errors import ConfigurationError

__all__ = ["Certificate", "Tls"]


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption with TLS 1.2 and 1.3; without `certificate` and `key` there is none.

    Attributes:
        certificate: PEM file with the server's certificate and those between it and the root.
        key: PEM file with the certificate's private key.

    Raises:
        ConfigurationError: If one of them is missing.

    Example:
        >>> Tls(certificate="server.pem")
        Traceback (most recent call last):
        ...
        tidegate.errors.ConfigurationError: certificate and key belong together: give both or none
    """

    certificate: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ConfigurationError("certificate and key belong together: give both or none")

    @property
    def files(self) -> tuple[Path, Path] | None:
        """The two files, where there are any."""
        if self.certificate is None or self.key is None:
            return None
        return Path(self.certificate), Path(self.key)


class Certificate:
    """A certificate in use, which can be read again.

    Args:
        tls: Where it is.

    Raises:
        ConfigurationError: If a file cannot be read.
        InputError: If the certificate or its key is wrong.
    """

    def __init__(self, tls: Tls) -> None:
        self._files = tls.files
        pair = _read(tls)
        self.core = None if pair is None else _core.Tls(*pair)

    def replace(self, tls: Tls) -> None:
        """Reads the files again; connections from now on get what is in them.

        Args:
            tls: Where they are now.

        Raises:
            ConfigurationError: If a file cannot be read, or TLS is to begin or end, which needs a
                restart.
            InputError: If the certificate or its key is wrong; the one before stays.
        """
        pair = _read(tls)
        if (self.core is None) != (pair is None):
            raise ConfigurationError(
                "TLS cannot begin or end while the server runs: start it again"
            )
        if self.core is not None and pair is not None:
            self.core.replace(*pair)
        self._files = tls.files

    @property
    def files(self) -> tuple[Path, ...]:
        """The files to be watched."""
        return self._files or ()


def _read(tls: Tls) -> tuple[bytes, bytes] | None:
    if tls.files is None:
        return None
    certificate, key = tls.files
    try:
        return certificate.read_bytes(), key.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the TLS file {error.filename} cannot be read ({error.strerror}): check [tls]"
        ) from error
