"""Decision trees as plain arrays: the one form between the libraries that fit them and ONNX.

A tree library compares a float32 feature with a float64 threshold; the ONNX operator compares two
float32 values. The rounding of the threshold decides whether both take the same branch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Ensemble", "Link", "Tree", "round_down"]

Link: TypeAlias = Literal["identity", "logistic", "softmax", "exponential", "square", "share"]
"""How raw scores become answers. `share`: scores are probabilities already, one for each class;
`square`: the score's square with its sign."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One decision tree; node 0 is the root.

    Children are numbers of inner nodes, or `~leaf` for leaves, as LightGBM writes them. A tree
    without inner nodes is its leaf 0.

    Attributes:
        feature: column that an inner node looks at, `[nodes]`.
        threshold: go left if the value is at most this, `[nodes]`; unused where `members` has the
            node.
        left: child on the left, `[nodes]`.
        right: child on the right, `[nodes]`.
        missing_left: does a missing value go left? `[nodes]`
        values: what a leaf adds to its targets, `[leaves, targets]`.
        targets: the outputs that the tree adds to.
        members: for nodes that split on categories: the codes that go left. A value is cut to an
            integer first; everything else goes right, missing values included.
    """

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    missing_left: npt.NDArray[np.bool_]
    values: npt.NDArray[np.float64]
    targets: tuple[int, ...]
    members: dict[int, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """A sum or a mean of trees, and a link.

    Attributes:
        width: number of features.
        trees: at least one.
        outputs: number of raw scores a row.
        base: added to the scores, `[outputs]`.
        link: how scores become answers.
        average: the scores are the mean over the trees of a target, not the sum.
        zero_as_missing: columns in which a value within 1e-35 of zero counts as missing.
        classes: the labels of a classifier, in the order of its probabilities; None: a regressor.
    """

    width: int
    trees: tuple[Tree, ...]
    outputs: int
    base: tuple[float, ...]
    link: Link
    average: bool = False
    zero_as_missing: tuple[int, ...] = ()
    classes: tuple[int | str, ...] | None = None


def round_down(thresholds: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The largest float32 that is not above each float64 threshold.

    For every float32 `x`, `x <= t` and `x <= round_down(t)` are the same decision: no float32 lies
    between the two. Rounding to nearest would send a value that equals the rounded threshold to
    the other side whenever it rounds up.

    Args:
        thresholds: any shape, without NaN; infinities and values beyond float32 are fine.

    Example:
        >>> t = 0.1  # its nearest float32 is 0.100000001490…, above it
        >>> nearest = np.float32(t)
        >>> float(nearest) <= t, bool(nearest <= nearest), bool(nearest <= round_down(t))
        (False, True, False)
        >>> float(round_down(1e300)) == float(np.finfo(np.float32).max)
        True
    """
    exact = np.asarray(thresholds, dtype=np.float64)
    with np.errstate(over="ignore"):
        nearest = exact.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > exact, below, nearest).astype(np.float32)
