"""Where ONNX Runtime's shared library is, without importing the Python module that ships it."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Final

from tidegate.errors import MissingDependencyError

__all__ = ["OLDEST", "load", "locate", "quiet", "version_of"]

OLDEST: Final = (1, 24)
"""The oldest ONNX Runtime whose C API the core asks for."""

_INSTALL: Final = (
    'type pip install "tidegate[cpu]" (or "tidegate[gpu]" on a machine with an NVIDIA GPU)'
)


def load() -> None:
    """Load ONNX Runtime into the core, quietly; the first call in a process counts.

    Raises:
        MissingDependencyError: As `locate`.
    """
    from tidegate import _core

    quiet()
    _core.load_onnxruntime(os.fspath(locate()))


def locate() -> Path:
    """Find the shared library inside the installed `onnxruntime` or `onnxruntime-gpu` wheel.

    The wheel's Python module holds a second, independent copy of ONNX Runtime, so it is looked
    up and never imported.

    Returns:
        The path of `libonnxruntime.so.X.Y.Z`.

    Raises:
        MissingDependencyError: If neither wheel is installed, or it is older than `OLDEST`; the
            message names the command to type.
    """
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(f"loading a model needs ONNX Runtime: {_INSTALL}")
    folders = [Path(place) / "capi" for place in spec.submodule_search_locations]
    found = sorted(
        (path for folder in folders for path in folder.glob("libonnxruntime.so.*")),
        key=version_of,
    )
    if not found:
        raise MissingDependencyError(
            f"the onnxruntime package in {folders[0].parent} ships no libonnxruntime.so: {_INSTALL}"
        )
    newest = found[-1]
    if version_of(newest)[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise MissingDependencyError(
            f"{newest.name} is older than ONNX Runtime {oldest}: "
            f'type pip install "onnxruntime>={oldest}"'
        )
    return newest


def version_of(path: Path) -> tuple[int, ...]:
    """Read the version at the end of the library's file name.

    Example:
        >>> version_of(Path("libonnxruntime.so.1.32.0"))
        (1, 32, 0)
    """
    match = re.search(r"\.so\.(\d+(?:\.\d+)*)$", path.name)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def quiet() -> None:
    """Turn ONNX Runtime's telemetry off, unless the user has said otherwise.

    Official Linux builds from 1.29 on collect telemetry as soon as the library is loaded, and read
    this variable only then. `ORT_DISABLE_TELEMETRY=0` in the environment opts in.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
