"""scikit-learn's trees, forests and boosted trees as ensembles, missing values included.

Written here because the general converter ignores on which side a tree puts missing values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.errors import ExportError
from tidegate.export.ensemble import Ensemble, Link, Tree

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["from_estimator"]


def from_estimator(model: Any, classes: tuple[int | str, ...] | None) -> Ensemble | None:
    """The ensemble of a fitted tree model of scikit-learn, or None if it is another model.

    Args:
        model: the fitted estimator.
        classes: the labels, if it is a classifier.

    Raises:
        ExportError: the model is more than a sum of trees on numbers: it has several outputs,
            categorical columns, an initial estimator of the user's, or an unknown link.
    """
    from sklearn import ensemble, tree

    if isinstance(model, tree.DecisionTreeClassifier | tree.DecisionTreeRegressor):
        return _forest(model, [model], classes)
    if isinstance(
        model,
        ensemble.RandomForestClassifier
        | ensemble.RandomForestRegressor
        | ensemble.ExtraTreesClassifier
        | ensemble.ExtraTreesRegressor,
    ):
        return _forest(model, model.estimators_, classes)
    if isinstance(model, ensemble.GradientBoostingClassifier | ensemble.GradientBoostingRegressor):
        return _boosted(model, classes)
    if isinstance(
        model, ensemble.HistGradientBoostingClassifier | ensemble.HistGradientBoostingRegressor
    ):
        return _histogram_boosted(model, classes)
    return None


def _refusal(model: Any, what: str, mend: str) -> ExportError:
    return ExportError(f"{type(model).__name__} with {what} cannot be exported: {mend}")


def _forest(model: Any, members: list[Any], classes: tuple[int | str, ...] | None) -> Ensemble:
    if model.n_outputs_ != 1:
        raise _refusal(model, "several outputs", "fit one model for each")
    outputs = 1 if classes is None else len(classes)
    trees: list[Tree] = []
    for member in members:
        values = member.tree_.value[:, 0, :outputs].astype(np.float64)
        if classes is not None:
            total = values.sum(axis=1, keepdims=True)
            values = values / np.where(total == 0.0, 1.0, total)
        trees.append(_tree(member.tree_, values, tuple(range(outputs))))
    return Ensemble(
        width=int(model.n_features_in_),
        trees=tuple(trees),
        outputs=outputs,
        base=(0.0,) * outputs,
        link="identity" if classes is None else "share",
        average=True,
        classes=classes,
    )


def _boosted(model: Any, classes: tuple[int | str, ...] | None) -> Ensemble:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    if model.init_ != "zero" and not isinstance(model.init_, DummyClassifier | DummyRegressor):
        raise _refusal(model, "an initial estimator", "fit it with init=None")
    width = int(model.n_features_in_)
    base = np.ravel(model._raw_predict_init(np.zeros((1, width), dtype=np.float32)))
    link: Link = "identity"
    scale = 1.0
    if classes is not None:
        link = "logistic" if len(base) == 1 else "softmax"
        # The exponential loss halves the log-odds.
        scale = 2.0 if model.loss == "exponential" else 1.0
    factor = float(model.learning_rate) * scale
    trees = tuple(
        _tree(member.tree_, member.tree_.value[:, 0, :1].astype(np.float64) * factor, (target,))
        for stage in model.estimators_
        for target, member in enumerate(stage)
    )
    return Ensemble(
        width=width,
        trees=trees,
        outputs=len(base),
        base=tuple(float(value) * scale for value in base),
        link=link,
        classes=classes,
    )


def _histogram_boosted(model: Any, classes: tuple[int | str, ...] | None) -> Ensemble:
    if model.is_categorical_ is not None:
        raise _refusal(model, "categorical columns", "encode them with one_hot or ordinal features")
    base = np.ravel(np.asarray(model._baseline_prediction, dtype=np.float64))
    link: Link
    if classes is not None:
        link = "logistic" if len(base) == 1 else "softmax"
    else:
        name = type(model._loss.link).__name__
        if name not in {"IdentityLink", "LogLink"}:
            raise _refusal(model, f"the link {name}", "fit it with another loss")
        link = "identity" if name == "IdentityLink" else "exponential"
    trees = tuple(
        _histogram_tree(predictor.nodes, target)
        for stage in model._predictors
        for target, predictor in enumerate(stage)
    )
    return Ensemble(
        width=int(model.n_features_in_),
        trees=trees,
        outputs=len(base),
        base=tuple(float(value) for value in base),
        link=link,
        classes=classes,
    )


def _tree(tree: Any, values: npt.NDArray[np.float64], targets: tuple[int, ...]) -> Tree:
    leaf = tree.children_left < 0
    missing_left = np.asarray(tree.missing_go_to_left, dtype=np.bool_)
    return _renumbered(
        leaf,
        feature=tree.feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=missing_left,
        values=values,
        targets=targets,
    )


def _histogram_tree(nodes: Any, target: int) -> Tree:
    return _renumbered(
        nodes["is_leaf"].astype(np.bool_),
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        left=nodes["left"],
        right=nodes["right"],
        missing_left=nodes["missing_go_to_left"].astype(np.bool_),
        values=nodes["value"].astype(np.float64).reshape(-1, 1),
        targets=(target,),
    )


def _renumbered(
    leaf: npt.NDArray[np.bool_],
    *,
    feature: Any,
    threshold: Any,
    left: Any,
    right: Any,
    missing_left: npt.NDArray[np.bool_],
    values: npt.NDArray[np.float64],
    targets: tuple[int, ...],
) -> Tree:
    """Numbers inner nodes and leaves apart; the root stays first."""
    inner = ~leaf
    number = np.where(leaf, ~(np.cumsum(leaf) - 1), np.cumsum(inner) - 1)
    return Tree(
        feature=np.asarray(feature)[inner].astype(np.int64),
        threshold=np.asarray(threshold)[inner].astype(np.float64),
        left=number[np.asarray(left)[inner].astype(np.int64)],
        right=number[np.asarray(right)[inner].astype(np.int64)],
        missing_left=missing_left[inner],
        values=values[leaf],
        targets=targets,
    )
