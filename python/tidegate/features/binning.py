"""Numbers into buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from tidegate.features.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidegate.types import Json

__all__ = ["Binning"]


class Binning(Tree):
    """Methods that turn a number into the number of a bucket."""

    __slots__ = ()

    def bucketize(
        self,
        buckets: int | None = None,
        *,
        method: Literal["quantile", "uniform"] | None = None,
        edges: Sequence[float] | None = None,
    ) -> Self:
        """The number of the bucket that the value falls into, from 0 (`KBinsDiscretizer`).

        Args:
            buckets: how many, with edges that `fit` learns.
            method: `"quantile"` for buckets of equal counts, which is the default, or `"uniform"`
                for buckets of equal width.
            edges: inner edges, rising, instead of a number; a value on an edge lies above it.

        >>> from tidegate.features import col
        >>> col("distance").bucketize(edges=[500, 1000])
        col("distance").bucketize(edges=[500.0,1000.0])
        """
        inner: Json = None if edges is None else [float(edge) for edge in edges]
        return self._apply("bucketize", buckets=buckets, method=method, edges=inner)

    def bucketize_tree(
        self,
        max_depth: int | None = None,
        *,
        max_leaves: int | None = None,
        min_rows: int | None = None,
        classes: bool | None = None,
        folds: int | None = None,
        seed: int | None = None,
    ) -> Self:
        """The number of the bucket, from 0, with edges where a tree splits the target best.

        The splits are those of scikit-learn's `DecisionTreeRegressor` on this one column, and for a
        target of classes those of its `DecisionTreeClassifier`. `fit_transform` gives each row the
        bucket of a tree that the other folds have grown.

        Args:
            max_depth: how often a range is split at most, 1 to 13; 3 by default.
            max_leaves: the most buckets, of which the best splits make the first.
            min_rows: the fewest rows of a bucket; 1 by default.
            classes: whether numbers in the target are classes; texts always are.
            folds: how many parts the rows are dealt to in `fit_transform`; 5 by default.
            seed: which rows are dealt to which part; 0 by default.

        >>> from tidegate.features import col
        >>> col("distance").bucketize_tree(max_leaves=5, min_rows=100)
        col("distance").bucketize_tree(max_leaves=5, min_rows=100)
        """
        return self._apply(
            "bucketize_tree",
            max_depth=max_depth,
            max_leaves=max_leaves,
            min_rows=min_rows,
            classes=classes,
            folds=folds,
            seed=seed,
        )
