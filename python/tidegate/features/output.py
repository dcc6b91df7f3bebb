"""What a feature set gives: a matrix, a sparse one, an Arrow table, or a frame."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tidegate.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from tidegate import _core
    from tidegate.features.progress import Progress

__all__ = ["Container", "Output", "Width", "check_output", "container", "framed", "given", "joined"]

Output: TypeAlias = Literal["matrix", "sparse", "arrow"]
"""A NumPy array, a SciPy array in compressed sparse rows, or an Arrow table."""

Width: TypeAlias = Literal["float32", "float64"]
"""The type of the values."""

Container: TypeAlias = Literal["default", "pandas", "polars"]
"""What scikit-learn's `set_output` asks for."""


def check_output(output: object, dtype: object) -> None:
    """Checks the names of an output and of its type.

    Raises:
        InputError: there is no such output or type.
    """
    if output not in ("matrix", "sparse", "arrow"):
        raise InputError(f"output={output!r}: use 'matrix', 'sparse' or 'arrow'")
    if dtype not in ("float32", "float64"):
        raise InputError(f"dtype={dtype!r}: use 'float32' or 'float64'")


def given(
    plan: _core.Plan,
    X: Any,
    *,
    output: Output,
    dtype: Width,
    extra: Literal["error", "ignore"] | None = None,
    learned: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """The features of a table or of dicts.

    Args:
        plan: the fitted features.
        X: the rows.
        output: what they are given as.
        dtype: the type of the values.
        extra: what becomes of keys that no column has.
        learned: the number of the first row, if the rows are those that were learned from.
        progress: is told how many rows are done, and of how many.
    """
    check_output(output, dtype)
    asked: Any = {
        "extra": extra,
        "double": dtype == "float64",
        "learned": learned,
        "progress": progress,
    }
    if output == "matrix":
        return plan.transform(X, **asked)
    if output == "arrow":
        return plan.transform_arrow(X, **asked)
    try:
        from scipy.sparse import csr_array
    except ImportError as error:
        raise MissingDependencyError(
            "output='sparse' gives arrays of SciPy, which is not installed: pip install scipy"
        ) from error
    starts, columns, values = plan.transform_sparse(X, **asked)
    matrix = csr_array((values, columns, starts), shape=(len(starts) - 1, len(plan.names)))
    matrix.has_canonical_format = True
    return matrix


def joined(parts: list[Any], output: Output) -> Any:
    """The features of several tables as one."""
    if output == "matrix":
        import numpy as np

        return np.concatenate(parts)
    if output == "sparse":
        from scipy.sparse import vstack

        return vstack(parts, format="csr")
    import pyarrow as pa

    return pa.concat_tables([pa.table(part) for part in parts])


def container(config: dict[str, Any]) -> Container:
    """What `set_output` asked for: of this set, or of scikit-learn as a whole."""
    asked = config.get("transform")
    if asked is None and "sklearn" in sys.modules:
        from sklearn import get_config

        asked = get_config()["transform_output"]
    kind: Container = asked or "default"
    return kind


def framed(matrix: Any, names: list[str], X: Any, kind: Container) -> Any:
    """A matrix as a frame of pandas, with the index of its rows, or of polars."""
    if kind == "pandas":
        import pandas as pd

        return pd.DataFrame(matrix, columns=names, index=getattr(X, "index", None), copy=False)
    import polars as pl

    return pl.DataFrame(matrix, schema=names)
