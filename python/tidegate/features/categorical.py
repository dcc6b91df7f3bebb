"""Categories into numbers."""

from __future__ import annotations

from typing import Literal, Self

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

    def target_mean(
        self,
        *,
        smooth: Literal["auto"] | float | None = None,
        folds: int | None = None,
        seed: int | None = None,
    ) -> Self:
        """The mean of the target in the category (`TargetEncoder`).

        `fit_transform` gives each row what the other folds teach, so that it does not see its own
        target; what is served is learned from all rows.

        Args:
            smooth: how much the mean of all rows weighs, in rows; `"auto"`, the default, takes it
                from the variances (empirical Bayes).
            folds: how many parts the rows are dealt to in `fit_transform`; 5 by default.
            seed: which rows are dealt to which part; 0 by default.

        Returns:
            A number: the mean of all rows for unseen categories, missing for missing ones.

        >>> import pyarrow as pa
        >>> from tidegate.features import FeatureSet, Schema, col
        >>> table = pa.table({"carrier": ["UA", "UA", "AA", "AA"]})
        >>> features = FeatureSet(Schema.infer(table), [col("carrier").target_mean(smooth=0)])
        >>> features.fit(table, [1, 0, 1, 1]).transform(table)[:, 0].tolist()
        [0.5, 0.5, 1.0, 1.0]
        """
        return self._apply("target_mean", smooth=smooth, folds=folds, seed=seed)

    def weight_of_evidence(
        self,
        *,
        regularization: float | None = None,
        folds: int | None = None,
        seed: int | None = None,
    ) -> Self:
        """The category's weight of evidence for a target of 0 and 1 (`WOEEncoder`).

        Args:
            regularization: what is added to each count; 1 by default.
            folds: how many parts the rows are dealt to in `fit_transform`; 5 by default.
            seed: which rows are dealt to which part; 0 by default.

        Returns:
            The logarithm of the category's share of the ones over its share of the zeros: 0 for
            unseen categories, missing for missing ones.
        """
        return self._apply(
            "weight_of_evidence", regularization=regularization, folds=folds, seed=seed
        )

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
