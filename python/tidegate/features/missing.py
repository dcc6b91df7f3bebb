"""Missing values: found and replaced."""

from __future__ import annotations

from typing import Final, Self

from tidegate.errors import InputError
from tidegate.features.tree import Tree, constant

__all__ = ["Missing"]

_STRATEGIES: Final = ("mean", "median", "most_frequent")


class Missing(Tree):
    """Methods that know missing values from others."""

    __slots__ = ()

    def fill_null(
        self, value_or_strategy: object | None = None, *, value: object | None = None
    ) -> Self:
        """Replaces missing values.

        Args:
            value_or_strategy: a constant of the column's type (a `datetime` or `date` for times, a
                `timedelta` for time spans), another expression whose values are
                taken instead (and which may be missing too), or what `fit` is to learn: `"mean"`,
                `"median"` or `"most_frequent"` (of equally frequent values the smallest).
            value: a constant, whatever it is called: `fill_null(value="mean")` fills in the text.

        Returns:
            The expression; unless filled from another its values are never missing.

        >>> from tidegate.features import col
        >>> col("seats").fill_null("median")
        col("seats").fill_null(strategy="median")
        >>> col("arrival").fill_null(col("scheduled"))
        coalesce(col("arrival"), col("scheduled"))
        """
        if isinstance(value_or_strategy, Tree) and value is None:
            return self._among("coalesce", [value_or_strategy])
        if value is None and value_or_strategy in _STRATEGIES:
            return self._apply("fill_null", strategy=str(value_or_strategy))
        replacement = value if value is not None else value_or_strategy
        if replacement is None:
            raise InputError(
                "fill_null needs a constant or one of 'mean', 'median' and 'most_frequent'"
            )
        return self._apply("fill_null", **constant(replacement))

    def is_null(self) -> Self:
        """1 where the value is missing, else 0; never missing itself."""
        return self._apply("is_null")

    def is_not_null(self) -> Self:
        """0 where the value is missing, else 1; never missing itself."""
        return self._apply("is_not_null")
