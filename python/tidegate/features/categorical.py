"""Categories into numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from tidegate.errors import InputError
from tidegate.features.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidegate.types import Json

__all__ = ["Categorical"]


class Categorical(Tree):
    """Methods that encode a category."""

    __slots__ = ()

    def one_hot(
        self,
        *,
        min_count: int | None = None,
        max_categories: int | None = None,
        drop: Literal["first", "if_binary"] | None = None,
        unknown: bool | None = None,
    ) -> Self:
        """One column for each category, and one for all that are rare or unseen (`OneHotEncoder`).

        Args:
            min_count: how often `fit` must see a category for a column of its own; 1 by default.
            max_categories: only the so many most frequent ones have a column of their own.
            drop: which category has no column: `"first"`, or the first `"if_binary"`, of two.
            unknown: whether there is a column for the others; there is by default. Without it a
                rare or unseen category is 0 in all columns.

        Returns:
            Several columns, which end the expression. A missing value is 0 in all of them.
        """
        return self._apply(
            "one_hot",
            min_count=min_count,
            max_categories=max_categories,
            drop=drop,
            unknown=unknown,
        )

    def ordinal(
        self,
        *,
        min_count: int | None = None,
        categories: Sequence[str | float] | None = None,
    ) -> Self:
        """The position of the category in order, from 0; -1 for rare and unseen ones.

        Args:
            min_count: how often `fit` must see a category for a position of its own; 1 by default.
            categories: the categories in their order, which is then not learned.

        >>> from tidegate.features import col
        >>> col("size").ordinal(categories=["small", "large"])
        col("size").ordinal(categories=["small","large"])
        """
        given: Json = None if categories is None else list(categories)
        return self._apply("ordinal", min_count=min_count, categories=given)

    def base_n(self, *, base: int | None = None, min_count: int | None = None) -> Self:
        """The category's number as digits: a column each (`BinaryEncoder`, `BaseNEncoder`).

        Args:
            base: 2 by default.
            min_count: how often `fit` must see a category for a number of its own; 1 by default.

        Returns:
            Several columns, which end the expression: 0 in all of them for rare and unseen
            categories, missing in all for a missing value.
        """
        return self._apply("base_n", base=base, min_count=min_count)

    def count_encode(self, *, normalize: bool | None = None) -> Self:
        """How often `fit` saw the category (`CountEncoder`); 0 for unseen ones.

        Args:
            normalize: its share of the values that are not missing, instead of the count.
        """
        return self._apply("count_encode", normalize=normalize)

    def group_rare(
        self,
        *,
        min_count: int | None = None,
        min_share: float | None = None,
        other: str | None = None,
    ) -> Self:
        """Rare and unseen categories replaced by one text; what is left is still to be encoded.

        Args:
            min_count: how often `fit` must see a category to keep it; 1 by default.
            min_share: which part of the values that are not missing it must make up; 0 by default.
            other: what the others become; `"(rare)"` by default.
        """
        return self._apply("group_rare", min_count=min_count, min_share=min_share, other=other)

    def target_mean(
        self,
        *,
        smooth: Literal["auto"] | float | None = None,
        classes: bool | None = None,
        folds: int | None = None,
        seed: int | None = None,
    ) -> Self:
        """The mean of the target in the category (`TargetEncoder`).

        `fit_transform` gives each row what the other folds teach, so that it does not see its own
        target; what is served is learned from all rows.

        Args:
            smooth: how much the mean of all rows weighs, in rows; `"auto"`, the default, takes it
                from the variances (empirical Bayes).
            classes: whether the target is of classes, texts or numbers, and there is a column for
                each: how often the category is of it.
            folds: how many parts the rows are dealt to in `fit_transform`; 5 by default.
            seed: which rows are dealt to which part; 0 by default.

        Returns:
            A number, or several columns that end the expression: the mean of all rows for unseen
            categories, missing for missing ones.

        >>> import pyarrow as pa
        >>> from tidegate.features import FeatureSet, Schema, col
        >>> table = pa.table({"carrier": ["UA", "UA", "AA", "AA"]})
        >>> features = FeatureSet(Schema.infer(table), [col("carrier").target_mean(smooth=0)])
        >>> features.fit(table, [1, 0, 1, 1]).transform(table)[:, 0].tolist()
        [0.5, 0.5, 1.0, 1.0]
        """
        return self._apply("target_mean", smooth=smooth, classes=classes, folds=folds, seed=seed)

    def weight_of_evidence(
        self,
        *,
        regularization: float | None = None,
        classes: bool | None = None,
        folds: int | None = None,
        seed: int | None = None,
    ) -> Self:
        """The category's weight of evidence for a target of 0 and 1 (`WOEEncoder`).

        Args:
            regularization: what is added to each count; 1 by default.
            classes: whether the target is of several classes, and there is a column for each of
                them against all others.
            folds: how many parts the rows are dealt to in `fit_transform`; 5 by default.
            seed: which rows are dealt to which part; 0 by default.

        Returns:
            The logarithm of the category's share of the ones over its share of the zeros: 0 for
            unseen categories, missing for missing ones.
        """
        return self._apply(
            "weight_of_evidence",
            regularization=regularization,
            classes=classes,
            folds=folds,
            seed=seed,
        )

    def hash(self, buckets: int) -> Self:
        """The bucket of the value's text, from 0: the column of scikit-learn's `FeatureHasher`.

        Args:
            buckets: how many buckets; nothing is learned, so nothing is unseen.
        """
        return self._apply("hash", buckets=buckets)

    def hash_vector(self, columns: int, *, signed: bool | None = None) -> Self:
        """A column for each bucket of the value's text, 1 or -1: a row of `FeatureHasher`.

        Args:
            columns: how many buckets; nothing is learned, so nothing is unseen.
            signed: whether it is -1 where the hash is negative; it is by default.

        Returns:
            Several columns, which end the expression. A missing value is 0 in all of them.
        """
        return self._apply("hash_vector", columns=columns, signed=signed)

    def cross(self, *others: Self) -> Self:
        """This value and others as one category, to be encoded; missing if one of them is.

        Args:
            others: the other values, at least one.

        Raises:
            InputError: there is no other value.

        >>> from tidegate.features import col
        >>> col("origin").cross(col("dest")).hash(1024)
        col("origin").cross(col("dest")).hash(buckets=1024)
        """
        if not others:
            raise InputError("cross() crosses with nothing: give at least one other expression")
        return self._with("cross", *others) if len(others) == 1 else self._among("cross", others)
