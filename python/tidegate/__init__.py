"""tidegate: features, batching, monitoring and rollout of machine-learning models in one runtime.

Names are loaded when they are first used, so that `import tidegate` costs next to nothing in a
service that needs one of them, and so that an optional dependency is asked for by the thing that
needs it.

>>> import tidegate as tg
>>> tg.col("distance").log1p()
col("distance").log1p()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.features import FeatureSet, Schema, col
    from tidegate.registry import Bundle, Registry
    from tidegate.runtime import Prediction, Runtime
    from tidegate.validation import Rules

__all__ = [
    "Bundle",
    "FeatureSet",
    "Prediction",
    "Registry",
    "Rules",
    "Runtime",
    "Schema",
    "TidegateError",
    "__version__",
    "col",
]

__version__: Final = "0.1.0"

_HOMES: Final[dict[str, str]] = {
    "Bundle": "tidegate.registry",
    "FeatureSet": "tidegate.features",
    "Prediction": "tidegate.runtime",
    "Registry": "tidegate.registry",
    "Rules": "tidegate.validation",
    "Runtime": "tidegate.runtime",
    "Schema": "tidegate.features",
    "col": "tidegate.features",
}
"""Where each lazily loaded name lives."""


def __getattr__(name: str) -> object:
    """Loads a public name from its home, once: later look-ups find it in the module itself."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tidegate' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})
