"""The target beside a table, as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegate.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["target_values"]


def target_values(y: Any) -> npt.NDArray[np.float64]:
    """A target as 64-bit floats, with NaN for missing.

    Args:
        y: one value a row, in whatever NumPy can make an array of: bools, numbers, or texts of two
            classes, which become 0 and 1 in their order.

    Returns:
        An array `[rows]`.

    Raises:
        InputError: the target has more than one column, is of another type, or its texts are not of
            two classes.

    >>> target_values(["on time", None, "late"])
    array([ 1., nan,  0.])
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
    texts = sorted({value for value in found if isinstance(value, str)})
    if texts:
        if len(texts) != 2 or not all(value is None or isinstance(value, str) for value in found):
            raise InputError(
                f"y has {len(texts)} different texts: a target of texts has two, and other targets "
                "are bools or numbers"
            )
        found = [None if value is None else value == texts[1] for value in found]
    return np.array([np.nan if value is None else float(value) for value in found])


def _scalar(value: object) -> float | str | None:
    """A value of a target; `None` for whatever says that it is missing."""
    # NaN and NaT differ from themselves; pandas.NA will not say.
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return None
    if isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"{type(value).__name__} in y: a target is of bools or numbers")
