"""LightGBM's boosters as ensembles, read from their text format (version 4).

The text carries every threshold and leaf with 17 digits, so nothing is lost. What a node does with
zero and with missing values stands in the bits of its `decision_type`:

| bits | meaning |
| --- | --- |
| 1 | the split is on categories |
| 2 | missing values go left |
| 4, 8 | missing are: zeros and NaN (4), NaN (8), nothing: NaN is read as zero (0) |

LightGBM also reads every value within 1e-35 of zero as zero, before any tree sees it. A comparison
of such a value with a threshold inside that range would come out otherwise, so these thresholds
move to the edges of the range.

Source: `Tree::NumericalDecision` and `Tree::CategoricalDecision` in LightGBM's `tree.h`,
`RowPairFunctionFromDenseMatric` in its `c_api.cpp`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tidegate.errors import ExportError
from tidegate.export.ensemble import Ensemble, Link, Tree

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["from_booster"]

_CATEGORICAL: Final = 1
_DEFAULT_LEFT: Final = 2
_MISSING: Final = 12
_MISSING_ZERO: Final = 4
_MISSING_NAN: Final = 8

_ZERO: Final = float(np.float32(1e-35))
_BELOW_ZERO: Final = float(np.nextafter(np.float32(-1e-35), np.float32(-np.inf)))

_IDENTITY: Final = frozenset(
    {
        "fair",
        "huber",
        "lambdarank",
        "mape",
        "quantile",
        "rank_xendcg",
        "regression",
        "regression_l1",
    }
)
_EXPONENTIAL: Final = frozenset({"gamma", "poisson", "tweedie"})


def from_booster(booster: Any, classes: tuple[int | str, ...] | None) -> Ensemble:
    """The ensemble of a `lightgbm.Booster`, up to its best iteration if it has one.

    Args:
        booster: a fitted booster.
        classes: the labels, if it is a classifier's.

    Raises:
        ExportError: the booster has linear trees, or an objective without a known link.
    """
    head, *blocks = booster.model_to_string().split("\nTree=")
    settings = _pairs(head)
    if settings.get("version") != "v4":
        raise ExportError(
            f"LightGBM wrote model format {settings.get('version')!r}, and only 'v4' is known: "
            "install lightgbm >= 4"
        )
    per_round = int(settings["num_tree_per_iteration"])
    parsed = [_pairs(block.split("\nend of trees")[0]) for block in blocks]
    if not parsed:
        raise ExportError("the LightGBM model has no trees: fit it first")
    average = "average_output" in settings
    link, scale = _link(settings.get("objective", "custom"), classes)
    zero = _zero_features(parsed)
    trees = tuple(_tree(pairs, index % per_round, scale) for index, pairs in enumerate(parsed))
    return Ensemble(
        width=int(settings["max_feature_idx"]) + 1,
        trees=trees,
        outputs=per_round,
        base=(0.0,) * per_round,
        link=link,
        average=average,
        zero_as_missing=zero,
        classes=classes,
    )


def _link(objective: str, classes: tuple[int | str, ...] | None) -> tuple[Link, float]:
    """The link, and the factor that it wants its scores multiplied by."""
    name, *rest = objective.split()
    options = dict(part.split(":", 1) for part in rest if ":" in part)
    if classes is not None:
        if name in {"binary", "multiclassova"}:
            return "logistic", float(options.get("sigmoid", 1.0))
        if name == "multiclass":
            return "softmax", 1.0
    elif name in _IDENTITY:
        return ("square" if "sqrt" in rest else "identity"), 1.0
    elif name in _EXPONENTIAL:
        return "exponential", 1.0
    elif name == "cross_entropy":
        return "logistic", 1.0
    kind = "regressor" if classes is None else "classifier"
    raise ExportError(
        f"LightGBM's objective {name!r} has no known link for a {kind}: "
        "fit with one of LightGBM's own objectives"
    )


def _tree(pairs: dict[str, str], target: int, scale: float) -> Tree:
    if pairs.get("is_linear", "0") != "0":
        raise ExportError("LightGBM's linear trees cannot be exported: fit with linear_tree=False")
    values = _floats(pairs["leaf_value"]).reshape(-1, 1) * scale
    if int(pairs["num_leaves"]) <= 1:
        nothing = np.zeros(0, dtype=np.int64)
        return Tree(
            feature=nothing,
            threshold=np.zeros(0),
            left=nothing,
            right=nothing,
            missing_left=np.zeros(0, dtype=np.bool_),
            values=values[:1],
            targets=(target,),
        )
    decision = _integers(pairs["decision_type"])
    threshold = _floats(pairs["threshold"])
    default_left = (decision & _DEFAULT_LEFT) != 0
    # Where nothing counts as missing, LightGBM reads NaN as zero.
    missing_left = np.where((decision & _MISSING) == 0, threshold >= 0.0, default_left)
    categorical = (decision & _CATEGORICAL) != 0
    moved = np.where((threshold >= 0.0) & (threshold < _ZERO), _ZERO, threshold)
    moved = np.where((threshold < 0.0) & (threshold >= -_ZERO), _BELOW_ZERO, moved)
    return Tree(
        feature=_integers(pairs["split_feature"]),
        threshold=moved,
        left=_integers(pairs["left_child"]),
        right=_integers(pairs["right_child"]),
        missing_left=missing_left & ~categorical,
        values=values,
        targets=(target,),
        members={
            int(node): _members(pairs, int(threshold[node])) for node in np.flatnonzero(categorical)
        },
    )


def _members(pairs: dict[str, str], position: int) -> frozenset[int]:
    """The codes in one of the tree's bit sets."""
    bounds = _integers(pairs["cat_boundaries"])
    words = _integers(pairs["cat_threshold"])[bounds[position] : bounds[position + 1]]
    return frozenset(
        32 * index + bit for index, word in enumerate(words) for bit in range(32) if word >> bit & 1
    )


def _zero_features(parsed: list[dict[str, str]]) -> tuple[int, ...]:
    """The columns whose zeros are missing; a column is treated alike in all trees or refused."""
    zero: set[int] = set()
    other: set[int] = set()
    for pairs in parsed:
        if int(pairs["num_leaves"]) <= 1:
            continue
        decision = _integers(pairs["decision_type"])
        feature = _integers(pairs["split_feature"])
        numeric = (decision & _CATEGORICAL) == 0
        kind = decision & _MISSING
        zero.update(feature[numeric & (kind == _MISSING_ZERO)].tolist())
        other.update(feature[numeric & (kind != _MISSING_ZERO)].tolist())
        other.update(feature[~numeric].tolist())
    if mixed := zero & other:
        raise ExportError(
            f"column {min(mixed)} counts zero as missing in some trees only: "
            "fit all trees with one setting of zero_as_missing"
        )
    return tuple(sorted(zero))


def _pairs(block: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.splitlines():
        key, _, value = line.partition("=")
        if key:
            found[key] = value
    return found


def _floats(text: str) -> npt.NDArray[np.float64]:
    return np.array(text.split(), dtype=np.float64)


def _integers(text: str) -> npt.NDArray[np.int64]:
    return np.array(text.split(), dtype=np.int64)
