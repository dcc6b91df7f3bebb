"""Categories into numbers."""

from __future__ import annotations

from typing import Self

from tidegate.features.tree import Tree

__all__ = ["Categorical"]


class Categorical(Tree):
    """Methods that encode a category."""

    __slots__ = ()

    def one_hot(self, *, min_count: int | None = None, unknown: bool | None = None) -> Self:
        """One column for each category, and one for all that are rare or unseen (`OneHotEncoder`).

        Args:
            min_count: how often `fit` must see a category for a column of its own; 1 by default.
            unknown: whether there is a column for the others; there is by default. Without it a
                rare or unseen category is 0 in all columns.

        Returns:
            Several columns, which end the expression. A missing value is 0 in all of them.
        """
        return self._apply("one_hot", min_count=min_count, unknown=unknown)

    def ordinal(self, *, min_count: int | None = None) -> Self:
        """The position of the category in order, from 0; -1 for rare and unseen ones.

        Args:
            min_count: how often `fit` must see a category for a position of its own; 1 by default.
        """
        return self._apply("ordinal", min_count=min_count)

    def hash(self, buckets: int) -> Self:
        """The bucket of the value's text, from 0: the column of scikit-learn's `FeatureHasher`.

        Args:
            buckets: how many buckets; nothing is learned, so nothing is unseen.
        """
        return self._apply("hash", buckets=buckets)

    def cross(self, other: Tree, *others: Tree) -> Self:
        """This value and others as one category, to be encoded; missing if one is.

        Args:
            other: another value.
            others: further ones, at most 256 in all.

        >>> from tidegate.features import col
        >>> col("origin").cross(col("dest")).hash(1024)
        col("origin").cross(col("dest")).hash(buckets=1024)
        """
        if not others:
            return self._with("cross", other)
        return self._among("cross", [other, *others])
