"""scikit-learn's side of a feature set: matrices as tables, and what it asks of an estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegate import _core
from tidegate.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["column_names", "is_matrix", "is_table", "tabled", "tags"]


def is_table(data: object) -> bool:
    """Does an object speak Arrow's PyCapsule interface?"""
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def is_matrix(data: object) -> bool:
    """Is an object a matrix as scikit-learn takes them: an array, a sparse one, or a list of rows?"""
    if is_table(data):
        return False
    if isinstance(data, list):
        # A table with its target beside it is a pair, and no row.
        first = data[0] if data else None
        pair = isinstance(first, tuple) and bool(first) and is_table(first[0])
        return isinstance(first, list | tuple | int | float) and not pair
    return hasattr(data, "__array__") or hasattr(data, "tocsr")


def column_names(count: int, names: Sequence[str] | None) -> list[str]:
    """The names of a matrix's columns: a schema's in their order, or `x0`, `x1` and so on.

    Raises:
        InputError: the schema has another number of columns.
    """
    if names is None:
        return [f"x{column}" for column in range(count)]
    if len(names) != count:
        raise InputError(
            f"a matrix of {count} columns where the schema has {len(names)}: "
            f"{', '.join(names)}; pass a table, or a matrix with these columns in this order"
        )
    return list(names)


def tabled(
    data: Any, estimator: object, names: Sequence[str] | None, *, reset: bool
) -> _core.ArrowTable:
    """A matrix as a table of numbers, checked as scikit-learn checks what its estimators get.

    Args:
        data: the matrix.
        estimator: what it is for, if anything; a fit notes the number of its columns there.
        names: the names of a schema's columns, if there is one.
        reset: whether this is a fit.

    Raises:
        InputError: it has not two dimensions, not the columns of the fit, no rows, infinite values,
            or other values than numbers.
    """
    import numpy as np

    if getattr(getattr(data, "dtype", None), "names", None):
        raise InputError(
            "a structured array has columns of different types: pass it as a table, as in "
            "pyarrow.table({name: data[name] for name in data.dtype.names})"
        )
    try:
        from sklearn.utils import check_array
    except ImportError:
        matrix = np.asarray(data, dtype=np.float64)
        if matrix.ndim != 2:
            raise InputError(
                f"an array of shape {matrix.shape} where [rows, columns] is due"
            ) from None
    else:
        try:
            matrix = check_array(
                data, dtype=np.float64, ensure_all_finite="allow-nan", estimator=estimator
            )
        except ValueError as error:
            raise InputError(str(error)) from error
    _note_width(estimator, matrix.shape[1], reset=reset)
    found = column_names(matrix.shape[1], names)
    return _core.ArrowTable.from_matrix(matrix, found)


def _note_width(estimator: Any, columns: int, *, reset: bool) -> None:
    due = columns if reset else getattr(estimator, "n_features_in_", columns)
    if due != columns:
        raise InputError(
            f"X has {columns} features, but {type(estimator).__name__} is expecting {due} features "
            "as input"
        )
    if reset and estimator is not None:
        estimator.n_features_in_ = columns
        # A matrix has no names, whatever was fitted before.
        vars(estimator).pop("feature_names_in_", None)


def tags(*, target: bool) -> object:
    """What scikit-learn wants to know: `target` says whether a fit needs a `y`."""
    from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

    return Tags(
        estimator_type="transformer",
        target_tags=TargetTags(required=target),
        transformer_tags=TransformerTags(preserves_dtype=[]),
        input_tags=InputTags(string=True, categorical=True, allow_nan=True),
    )
