"""The target beside a table, as numbers or as texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tidegate.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["classes_as_numbers", "target_kind", "target_values"]


def target_values(y: Any) -> npt.NDArray[np.float64] | list[str | None]:
    """A target as 64-bit floats, with NaN for missing, or as texts.

    Args:
        y: one value a row, in whatever NumPy can make an array of: bools, numbers, or texts.

    Returns:
        An array `[rows]`, or a list of texts with `None` for missing.

    Raises:
        InputError: the target has more than one column, or is of another type.

    >>> target_values([1, None, True])
    array([ 1., nan,  1.])
    >>> target_values(["on time", None, "late"])
    ['on time', None, 'late']
    """
    import numpy as np

    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(f"y has the shape {values.shape}: a target is one value for each row")
    if values.dtype.kind in "biuf":
        return np.ascontiguousarray(values, dtype=np.float64)
    found = [_scalar(value) for value in values.tolist()]
    texts = [value for value in found if value is None or isinstance(value, str)]
    if len(texts) == len(found) and any(value is not None for value in texts):
        return texts
    if any(isinstance(value, str) for value in found):
        raise InputError("y has texts and numbers: a target is of bools, of numbers or of texts")
    return np.array([np.nan if value is None else float(value) for value in found])


def classes_as_numbers(
    values: npt.NDArray[np.float64] | list[str | None],
) -> npt.NDArray[np.float64] | list[str | None]:
    """The texts of two classes as 0 and 1 in their order; all else as it is.

    >>> classes_as_numbers(["on time", None, "late"])
    array([ 1., nan,  0.])
    """
    import numpy as np

    if not isinstance(values, list):
        return values
    classes = sorted({value for value in values if value is not None})
    if len(classes) != 2:
        return values
    return np.array([np.nan if value is None else float(value == classes[1]) for value in values])


def target_kind(values: object) -> Literal["float64", "string"] | None:
    """The type of a target that `target_values` gave; `None` where there is none."""
    if values is None:
        return None
    return "string" if isinstance(values, list) else "float64"


def _scalar(value: object) -> float | str | None:
    """A value of a target; `None` for whatever says that it is missing."""
    # NaN and NaT differ from themselves; pandas.NA will not say.
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return None
    if isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"{type(value).__name__} in y: a target is of bools, numbers or texts")
