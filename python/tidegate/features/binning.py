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
