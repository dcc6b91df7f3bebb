"""Loading a model for a served name, with what was said of the name."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, get_args

from tidegate import _core
from tidegate.errors import InputError, NotFoundError, TidegateError
from tidegate.monitoring.watching import Watching
from tidegate.registry import Bundle, Registry
from tidegate.registry.reference import Reference
from tidegate.runtime.batching import Batching
from tidegate.types import JsonObject

__all__ = ["Guard", "Loading", "Said"]

Guard = Literal["reject", "repair", "count"]
"""What is done about a row that breaks a rule of its bundle."""

_BARE_VERSION: Final = "0.0.0"
"""The version that an ONNX file without a bundle answers with."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a served name; it stays with the name until it is unloaded.

    Attributes:
        batching: Bounds of batching.
        watching: Windows, what they are compared with, and alarms.
        guard: What is done about rows that break the rules of a bundle.
    """

    batching: Batching = field(default_factory=Batching)
    watching: Watching = field(default_factory=Watching)
    guard: Guard | None = None

    def over(self, before: Said | None) -> Said:
        """What is said now goes before what was said earlier."""
        if before is None:
            return self
        return Said(
            self.batching.over(before.batching),
            self.watching.over(before.watching),
            self.guard or before.guard,
        )


class Loading:
    """Loads models for one runtime.

    Args:
        core: The native runtime.
        registry: Where references are looked up.
        guard: What is done about rows that break rules, where nothing is said of a name.
        watching: Windows and alarms for models that are deployed without their own.

    Raises:
        InputError: If there is no such guard.
    """

    def __init__(
        self,
        core: _core.Runtime,
        registry: Registry | None,
        guard: str | None,
        watching: Watching | None = None,
    ) -> None:
        if guard not in (None, *get_args(Guard)):
            raise InputError(f"unknown guard {guard!r}: use reject, repair or count")
        self._core = core
        self._registry = registry
        self._guard = guard
        self._watching = watching or Watching()
        self._said: dict[str, Said] = {}

    def load(
        self, source: str | os.PathLike[str] | Bundle, said: Said, name: str | None = None
    ) -> tuple[_core.Model, str, Said]:
        """Loads, verifies and warms a model.

        Args:
            source: As for `Runtime.deploy`.
            said: What is said now.
            name: The served name.

        Returns:
            The model, the name it has by itself, and all that is said of it.
        """
        said = said.over(self._said.get(name or _name_of(source)))
        model, served = self._loaded(source, said)
        guard = said.guard or self._guard
        # A policy for all models says nothing to those without rules; one for this model does.
        if guard is not None and (said.guard is not None or model.guarded is not None):
            model.set_guard(guard)
        return model, served, said

    def keep(self, name: str, said: Said) -> None:
        """Remembers what was said of a name that is served now."""
        self._said[name] = said

    def forget(self, name: str) -> None:
        """Forgets what was said of a name."""
        self._said.pop(name, None)

    def is_alias(self, source: str) -> bool:
        """Whether a source is a reference that may mean another bundle later."""
        if self._registry is None or Path(source).suffix == ".onnx" or Path(source).is_dir():
            return False
        return Reference.parse(source).kind in ("alias", "newest")

    def _loaded(
        self, source: str | os.PathLike[str] | Bundle, said: Said
    ) -> tuple[_core.Model, str]:
        watching = said.watching
        if isinstance(source, Bundle):
            heard = self._heard(watching, source.name, source.manifest.watching)
            folder = os.fspath(source.path)
            model = self._core.load(folder, source.digest, said.batching, heard)
            return model, model.name
        path = Path(source)
        if path.suffix == ".onnx":
            if watching.segment is not None:
                raise InputError(
                    f"segments by column {watching.segment!r} of an ONNX file: it has no columns, so "
                    "leave the segment out"
                )
            file = os.fspath(path)
            return self._core.load_onnx(path.stem, _BARE_VERSION, file, said.batching), path.stem
        if path.is_dir():
            # Nothing vouches for the manifest of a bare folder: its digest is what it says it is.
            own = None
            with contextlib.suppress(TidegateError):  # The core says better what is wrong.
                own = Bundle.open(path).manifest.watching
            heard = self._heard(watching, path.name, own)
            model = self._core.load(os.fspath(path), None, said.batching, heard)
            return model, model.name
        if self._registry is None:
            raise InputError(
                f"{os.fspath(source)!r} is no folder, and this runtime has no registry to look it "
                "up in: pass one to Runtime(…)"
            )
        return self._loaded(self._registry.open(os.fspath(source)), said)

    def _heard(self, watching: Watching, name: str, own: JsonObject | None) -> tuple[object, ...]:
        """What the core is told of watching.

        What is said of the name goes before what is said for all models, and that before what the
        bundle says.
        """
        before = Watching() if own is None else Watching.from_document(own)
        # The core knows which columns a model has: it passes over a segment that is named for all
        # models where there is none of its name, and takes the bundle's.
        general = replace(self._watching, segment=None)
        found = watching.over(general.over(replace(before, segment=None)))
        return found.said(self._baseline(name, found.version), before.segment)

    def _baseline(self, name: str, version: str | None) -> str | None:
        """The baseline of another version of a model, if one is compared with."""
        if version is None:
            return None
        if self._registry is None:
            raise InputError(
                f"version {version!r} is to be compared with, but this runtime has no registry to "
                "look it up in: pass one to Runtime(…)"
            )
        other = Path(self._registry.open(f"{name}@{version}").path) / "baseline.json"
        try:
            return other.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NotFoundError(
                f"{name} {version} has no baseline to compare with: build it with a sample"
            ) from None


def _name_of(source: str | os.PathLike[str] | Bundle) -> str:
    """The name under which a source is served unless it is given another.

    Of a bundle's folder only the core knows it, when it has verified what is in there.
    """
    if isinstance(source, Bundle):
        return source.name
    path = Path(source)
    return path.stem if path.suffix == ".onnx" else os.fspath(source).partition("@")[0]
