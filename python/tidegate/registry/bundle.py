"""A bundle: the folder that holds a model and everything that its serving needs and proves."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.errors import IntegrityError, NotFoundError, StorageError, TooLargeError
from tidegate.registry.build import Builder, BuildOptions
from tidegate.registry.manifest import FILE, MAX_BYTES, FileEntry, Manifest, digest_of
from tidegate.registry.reference import check_digest
from tidegate.registry.requirements import CHECK_FILE, Requirements

if TYPE_CHECKING:
    from tidegate.types import ArrowTable, FittedFeatures, FloatMatrix

__all__ = ["Bundle", "Verification"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found when every byte of a bundle was looked at.

    Attributes:
        digest: the bundle's digest.
        files: how many files agree with the manifest.
        bytes: how many bytes these have.
        manifest_verified: was the manifest itself held against a digest from outside, such as a
            registry's? A bare folder vouches only for its own consistency.
    """

    digest: str
    files: int
    bytes: int
    manifest_verified: bool

    @property
    def summary(self) -> str:
        """One sentence for people."""
        found = f"{self.files} files, {self.bytes} bytes agree with the manifest"
        if self.manifest_verified:
            return f"{found}, and the manifest with its registered digest {self.digest}"
        return (
            f"{found}; the manifest itself is unverified: "
            f"compare {self.digest} with the digest that its builder published"
        )


class Bundle:
    """A model with its feature set, baseline, golden rows and card; immutable.

    Made by `Bundle.build`, `Bundle.open` or `Registry.open`.

    Attributes:
        path: the folder.
        manifest: what is in it.
        digest: `sha256:` and the digest of the manifest's bytes.
        registered: was the digest given from outside, and does the manifest agree with it?
    """

    def __init__(self, path: Path, manifest: Manifest, digest: str, *, registered: bool) -> None:
        self.path = path
        self.manifest = manifest
        self.digest = digest
        self.registered = registered

    @classmethod
    def open(cls, directory: str | os.PathLike[str], *, digest: str | None = None) -> Bundle:
        """Opens a folder that holds a bundle; only the manifest is read.

        Args:
            directory: the folder.
            digest: the digest that the manifest must have, from a registry or a builder.

        Raises:
            NotFoundError: there is no manifest.
            IntegrityError: the manifest has another digest.
            StateError: the manifest cannot be read, or is of a later version.
        """
        path = Path(directory)
        data = _read(path, FILE, MAX_BYTES)
        found = digest_of(data)
        if digest is not None and check_digest(digest) != found:
            raise IntegrityError(
                f"{FILE} in {path} has digest {found} where {digest} is registered: the bundle was "
                "changed after it was published; fetch it again"
            )
        manifest = Manifest.parse(data, place=f"{FILE} in {path}")
        return cls(path, manifest, found, registered=digest is not None)

    @classmethod
    def build(
        cls,
        name: str,
        version: str,
        *,
        model: Any,
        features: FittedFeatures | None = None,
        sample: ArrowTable | FloatMatrix | None = None,
        golden_rows: int | ArrowTable | None = None,
        options: BuildOptions | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> Bundle:
        """Freezes a model with its feature set and the evidence of what they do.

        The model is exported to ONNX and proven against the original; the sample is run through
        the path that serves it, to take the baseline that live traffic is compared with and the
        golden rows that each load replays.

        Args:
            name: the model's name: letters, digits, `.`, `_`, `-`.
            version: its semantic version.
            model: a fitted LightGBM or scikit-learn classifier or regressor, trained on the float32
                matrix of `features`; or an ONNX model: a file, its bytes, or a `ModelProto`.
            features: the fitted feature set; without one, callers send the model's own tensors.
            sample: the raw rows that the model was trained on, any Arrow table; without a feature
                set, the float32 matrix. Needed to prove an export; without it there is neither a
                baseline nor golden rows.
            golden_rows: how many rows of the sample to keep as golden rows, or a table of rows to
                keep instead; by default a few dozen, spread over the sample. They lie in the bundle as they are: mask what must not be seen.
            options: metrics, lineage, card, proof.
            directory: where to write the bundle, a new or empty folder; by default a temporary
                one that goes when the bundle object goes.

        Raises:
            InputError: a name, version, width or folder is wrong; the message says which.
            ExportError: the model has no ONNX form, or the form disagrees with it.
            MissingDependencyError: a package of `tidegate[training]` is absent.
            StorageError: the folder cannot be written.
        """
        temporary = directory is None
        path = Path(tempfile.mkdtemp(prefix="tidegate-") if directory is None else directory)
        try:
            builder = Builder(name, version, path, options or BuildOptions())
            manifest = builder.build(
                model=model, features=features, sample=sample, golden_rows=golden_rows
            )
        except BaseException:
            if temporary:
                shutil.rmtree(path, ignore_errors=True)
            raise
        bundle = cls(path, manifest, digest_of(manifest.to_json()), registered=False)
        if temporary:
            weakref.finalize(bundle, shutil.rmtree, path, ignore_errors=True)
        return bundle

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The semantic version."""
        return self.manifest.version

    def read(self, name: str) -> bytes:
        """The bytes of a file, held against the manifest.

        Args:
            name: a file of the manifest, or `manifest.json`.

        Raises:
            NotFoundError: the manifest has no such file.
            IntegrityError: the file is missing, truncated or changed.
        """
        if name == FILE:
            data = _read(self.path, FILE, MAX_BYTES)
            if digest_of(data) != self.digest:
                raise IntegrityError(
                    f"{FILE} in {self.path} was changed since the bundle was opened: open it again"
                )
            return data
        entry = self.manifest.files.get(name)
        if entry is None:
            raise NotFoundError(f"bundle {self} has no file {name!r}")
        with suppress(NotFoundError, TooLargeError):
            data = _read(self.path, name, entry.size)
            if hashlib.sha256(data).hexdigest() == entry.sha256:
                return data
        problem = _difference(self.path, name, entry, _measure(self.path / name))
        raise IntegrityError(f"{problem}: fetch bundle {self} again")

    @property
    def requirements(self) -> Requirements:
        """What the bundle requires of itself before it may go live; nothing where it says nothing.

        Raises:
            IntegrityError: the file that says so was changed.
            StateError: it is of a later version.
        """
        if CHECK_FILE not in self.manifest.files:
            return Requirements()
        return Requirements.parse(self.read(CHECK_FILE), place=f"{CHECK_FILE} in {self.path}")

    def verify(self) -> Verification:
        """Holds every byte of the bundle against its manifest.

        Returns:
            What was looked at; it says too whether the manifest itself is vouched for.

        Raises:
            IntegrityError: files are missing, truncated, changed or not of the bundle; the message
                names each one.
        """
        problems: list[str] = []
        try:
            self.read(FILE)
        except (IntegrityError, NotFoundError, TooLargeError) as error:
            problems.append(str(error))
        for name, entry in sorted(self.manifest.files.items()):
            found = _measure(self.path / name)
            if found != entry:
                problems.append(_difference(self.path, name, entry, found))
        known = {*self.manifest.files, FILE}
        problems += [
            f"{stranger!r} in {self.path} is not in the manifest"
            for stranger in sorted(_names(self.path) - known)
        ]
        if problems:
            raise IntegrityError(f"bundle {self}: {'; '.join(problems)}: fetch it again")
        return Verification(
            digest=self.digest,
            files=len(self.manifest.files),
            bytes=sum(entry.size for entry in self.manifest.files.values()),
            manifest_verified=self.registered,
        )

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def __repr__(self) -> str:
        return f"Bundle({str(self)!r}, path={str(self.path)!r}, digest={self.digest!r})"


def _read(folder: Path, name: str, limit: int) -> bytes:
    try:
        with (folder / name).open("rb") as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(
            f"{folder} has no {name}: name the folder of a bundle"
            if name == FILE
            else f"{folder} has no {name}"
        ) from None
    except OSError as error:
        raise StorageError(f"cannot read {folder / name}: {error.strerror}") from error
    if len(data) > limit:
        raise TooLargeError(f"{folder / name} has more than {limit} bytes")
    return data


def _measure(path: Path) -> FileEntry | None:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return FileEntry(digest, file.tell())
    except (FileNotFoundError, IsADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder)}
    except OSError as error:
        raise StorageError(f"cannot list {folder}: {error.strerror}") from error


def _difference(folder: Path, name: str, entry: FileEntry, found: FileEntry | None) -> str:
    if found is None:
        return f"{name} is missing from {folder}"
    if found.size != entry.size:
        what = "truncated" if found.size < entry.size else "changed"
        return f"{name} in {folder} was {what} ({found.size} bytes, not {entry.size})"
    return f"{name} in {folder} was changed (sha256 {found.sha256}, not {entry.sha256})"
