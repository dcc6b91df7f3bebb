"""What a server deploys when it starts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Deploy"]


@dataclass(frozen=True, slots=True)
class Deploy:
    """What is served, and where it is found.

    Attributes:
        models: References such as `flight-delay@champion`, folders of bundles, or `.onnx` files.
        registry: Folder or object-store address of the registry; `./registry` where it exists.

    Example:
        >>> Deploy(models=("flight-delay@champion",)).registry
    """

    models: tuple[str, ...] = ()
    registry: str | None = None
