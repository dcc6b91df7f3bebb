"""Numbers brought to a scale, and held within bounds."""

from __future__ import annotations

from typing import Literal, Self

from tidegate.features.tree import Tree

__all__ = ["Scaling"]


class Scaling(Tree):
    """Methods that change the scale of a number."""

    __slots__ = ()

    def standardize(self) -> Self:
        """Mean 0 and standard deviation 1 over what `fit` sees (`StandardScaler`)."""
        return self._apply("standardize")

    def min_max(self) -> Self:
        """The range that `fit` sees mapped to 0 to 1 (`MinMaxScaler`)."""
        return self._apply("min_max")

    def max_abs(self) -> Self:
        """The value divided by the largest size that `fit` sees (`MaxAbsScaler`)."""
        return self._apply("max_abs")

    def robust_scale(self, low: float | None = None, high: float | None = None) -> Self:
        """Centred at the median, divided by the difference of two quantiles (`RobustScaler`).

        Args:
            low: the share of values below the lower quantile; 0.25 by default.
            high: the share below the upper one; 0.75 by default.

        >>> from tidegate.features import col
        >>> col("delay").robust_scale(0.1, 0.9)
        col("delay").robust_scale(high=0.9, low=0.1)
        """
        return self._apply("robust_scale", low=low, high=high)

    def quantile_transform(
        self,
        distribution: Literal["uniform", "normal"] | None = None,
        *,
        quantiles: int | None = None,
    ) -> Self:
        """The value's place among those that `fit` sees (`QuantileTransformer` on all rows).

        Args:
            distribution: `"uniform"` for 0 to 1, which is the default, or `"normal"` for the same
                place of the normal distribution.
            quantiles: how many are kept, with a line between neighbours; 1000 by default.

        >>> from tidegate.features import col
        >>> col("delay").quantile_transform("normal")
        col("delay").quantile_transform(distribution="normal")
        """
        return self._apply("quantile_transform", distribution=distribution, quantiles=quantiles)

    def power_transform(
        self,
        method: Literal["yeo_johnson", "box_cox"] | None = None,
        *,
        standardize: bool | None = None,
    ) -> Self:
        """Made like a normal distribution by a power, most likely for what `fit` sees.

        Args:
            method: `"yeo_johnson"` for all numbers, which is the default, or `"box_cox"` for those
                above 0 (`PowerTransformer`).
            standardize: whether the result has mean 0 and deviation 1; it has by default.

        >>> from tidegate.features import col
        >>> col("distance").power_transform("box_cox")
        col("distance").power_transform(method="box_cox")
        """
        return self._apply("power_transform", method=method, standardize=standardize)

    def log(self, base: float | None = None) -> Self:
        """The natural logarithm, or that of a base; missing for 0 and below."""
        return self._apply("log", base=base)

    def log1p(self) -> Self:
        """The natural logarithm of one plus the value; missing for -1 and below."""
        return self._apply("log1p")

    def exp(self) -> Self:
        """The exponential of the value; missing where that is no finite number."""
        return self._apply("exp")

    def expm1(self) -> Self:
        """The exponential of the value, less one; exact near zero."""
        return self._apply("expm1")

    def sqrt(self) -> Self:
        """The square root; missing for negative values."""
        return self._apply("sqrt")

    def abs(self) -> Self:
        """The size, without the sign; `abs(x)` is the same."""
        return self._apply("abs")

    def sign(self) -> Self:
        """-1, 0 or 1."""
        return self._apply("sign")

    def floor(self) -> Self:
        """The largest whole number that is not above the value."""
        return self._apply("floor")

    def ceil(self) -> Self:
        """The smallest whole number that is not below the value."""
        return self._apply("ceil")

    def round(self, decimals: int | None = None) -> Self:
        """Rounded, halves to the even neighbour as NumPy does.

        Args:
            decimals: places behind the point; negative for places before it. 0 by default.
        """
        return self._apply("round", decimals=decimals)

    def clip_quantiles(self, low: float | None = None, high: float | None = None) -> Self:
        """The value held between two quantiles of what `fit` sees: winsorized.

        Args:
            low: the share of values below the lower bound; 0.01 by default.
            high: the share below the upper one; 0.99 by default.
        """
        return self._apply("clip_quantiles", low=low, high=high)

    def clip(self, low: float | None = None, high: float | None = None) -> Self:
        """The value held between bounds, of which one may be left out."""
        return self._apply("clip", low=low, high=high)
