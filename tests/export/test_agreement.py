"""Every kind of model that is exported answers as the original, where graphs go wrong too."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tidegate.export import Exported, export_model

SMALL: dict[str, Any] = {"n_estimators": 30, "verbose": -1, "n_jobs": 1, "random_state": 0}
BAGGED: dict[str, Any] = {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}
CODES: dict[str, Any] = {"categorical_feature": [5]}

# name: (options, further arguments of fit, target, values missing)
CLASSIFIERS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "missing as nan": ({}, {}, "binary", "holes"),
    "nothing missing in training": ({}, {}, "binary", "full"),
    "missing as zero": ({"zero_as_missing": True}, {}, "binary", "holes"),
    "missing ignored": ({"use_missing": False}, {}, "binary", "holes"),
    "categories": ({}, CODES, "binary", "holes"),
    "categories, missing as zero": ({"zero_as_missing": True}, CODES, "binary", "holes"),
    "categories, three classes": ({}, CODES, "three", "holes"),
    "three classes": ({}, {}, "three", "holes"),
    "one against all": ({"objective": "multiclassova"}, {}, "three", "holes"),
    "steeper sigmoid": ({"sigmoid": 2.0}, {}, "binary", "holes"),
    "dropped trees": ({"boosting_type": "dart"}, {}, "binary", "holes"),
    "bagged": (BAGGED, {}, "binary", "holes"),
    "bagged, three classes": (BAGGED, {}, "three", "holes"),
    "no split at all": ({"min_child_samples": 3_000}, {}, "binary", "full"),
    "many trees": ({"n_estimators": 400}, {}, "binary", "holes"),
}

REGRESSORS: dict[str, dict[str, Any]] = {
    "squares": {},
    "absolute": {"objective": "l1"},
    "quantile": {"objective": "quantile", "alpha": 0.9},
    "huber": {"objective": "huber"},
    "root": {"reg_sqrt": True},
    "bagged": BAGGED,
    "poisson": {"objective": "poisson"},
    "gamma": {"objective": "gamma"},
    "tweedie": {"objective": "tweedie"},
}


def check(exported: Exported) -> None:
    agreement = exported.agreement
    assert agreement is not None
    assert agreement.rows >= 10_000
    assert agreement.largest <= 1e-5


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_lightgbm_classifiers(name: str, data: Any) -> None:
    options, further, target, rows = CLASSIFIERS[name]
    X, y = getattr(data, rows), getattr(data, target)
    model = lightgbm.LGBMClassifier(**{**SMALL, **options}).fit(X, y, **further)
    exported = export_model(model, X)
    check(exported)
    assert exported.kind == "classifier"
    assert exported.classes == tuple(range(len(set(y))))
    if name != "no split at all":
        assert exported.agreement is not None
        assert exported.agreement.thresholds > 50


@pytest.mark.parametrize("name", REGRESSORS)
def test_lightgbm_regressors(name: str, data: Any) -> None:
    y = data.amount
    if name in {"poisson", "gamma", "tweedie"}:
        y = np.abs(y) + 0.1
    model = lightgbm.LGBMRegressor(**{**SMALL, **REGRESSORS[name]}).fit(data.holes, y)
    exported = export_model(model, data.holes)
    check(exported)
    assert (exported.kind, exported.classes) == ("regressor", None)


def test_a_share_as_target(data: Any) -> None:
    model = lightgbm.LGBMRegressor(objective="cross_entropy", **SMALL)
    check(export_model(model.fit(data.holes, data.binary * 0.7), data.holes))


def test_all_leaves_positive(data: Any) -> None:
    """ONNX Runtime reads such a model as one of probabilities unless it is told otherwise."""
    rare = np.arange(len(data.full)) % 100 != 0
    model = lightgbm.LGBMClassifier(**{**SMALL, "n_estimators": 3}).fit(data.full, rare)
    assert np.min(model.predict(data.full, raw_score=True)) > 0.0
    check(export_model(model, data.full))


def test_large_predictions(data: Any) -> None:
    model = lightgbm.LGBMRegressor(**{**SMALL, "n_estimators": 200})
    check(export_model(model.fit(data.holes, data.amount * 1e5 + 1e6), data.holes))


@pytest.mark.parametrize("target", ["binary", "three", "amount"])
def test_bare_boosters(target: str, data: Any) -> None:
    objective: dict[str, dict[str, Any]] = {
        "binary": {"objective": "binary"},
        "three": {"objective": "multiclass", "num_class": 3},
        "amount": {"objective": "regression"},
    }
    parameters = {**objective[target], "verbose": -1, "num_threads": 1}
    train = lightgbm.Dataset(data.holes, getattr(data, target))
    check(export_model(lightgbm.train(parameters, train, 20), data.holes))


def test_early_stopping_keeps_the_best_iteration(data: Any) -> None:
    model = lightgbm.LGBMClassifier(**{**SMALL, "n_estimators": 500, "learning_rate": 0.5})
    model.fit(
        data.holes[:2_000],
        data.binary[:2_000],
        eval_X=data.holes[2_000:],
        eval_y=data.binary[2_000:],
        callbacks=[lightgbm.early_stopping(5, verbose=False)],
    )
    assert 0 < model.best_iteration_ < 500
    check(export_model(model, data.holes))


FORESTS: dict[str, tuple[Any, str, str]] = {
    "tree": (DecisionTreeClassifier(random_state=0), "three", "holes"),
    "tree regressor": (DecisionTreeRegressor(random_state=0), "amount", "holes"),
    "forest": (RandomForestClassifier(20, random_state=0), "binary", "holes"),
    "forest, three": (RandomForestClassifier(20, max_depth=5, random_state=0), "three", "holes"),
    "forest without holes": (RandomForestClassifier(20, random_state=0), "binary", "full"),
    "forest regressor": (RandomForestRegressor(20, max_depth=8, random_state=0), "amount", "holes"),
    "extra trees": (ExtraTreesClassifier(10, random_state=0), "binary", "holes"),
    "extra trees regressor": (ExtraTreesRegressor(10, max_depth=8, random_state=0), "amount", "holes"),
    "boosting": (GradientBoostingClassifier(n_estimators=20, random_state=0), "binary", "full"),
    "boosting, three": (GradientBoostingClassifier(n_estimators=20, random_state=0), "three", "full"),
    "boosting, exponential": (
        GradientBoostingClassifier(n_estimators=20, loss="exponential", random_state=0),
        "binary",
        "full",
    ),
    "boosting from zero": (
        GradientBoostingClassifier(n_estimators=20, init="zero", random_state=0),
        "binary",
        "full",
    ),
    "boosting regressor": (GradientBoostingRegressor(n_estimators=20, random_state=0), "amount", "full"),
    "histogram": (HistGradientBoostingClassifier(max_iter=20, random_state=0), "binary", "holes"),
    "histogram, three": (HistGradientBoostingClassifier(max_iter=20, random_state=0), "three", "holes"),
    "histogram regressor": (HistGradientBoostingRegressor(max_iter=20, random_state=0), "amount", "holes"),
    "histogram, poisson": (
        HistGradientBoostingRegressor(max_iter=20, loss="poisson", random_state=0),
        "binary",
        "holes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORESTS)
def test_scikit_learn_trees(name: str, data: Any) -> None:
    model, target, rows = FORESTS[name]
    X = getattr(data, rows)
    exported = export_model(model.fit(X, getattr(data, target)), X)
    check(exported)
    assert exported.agreement is not None
    assert exported.agreement.thresholds > 10


OTHERS: dict[str, tuple[Any, str]] = {
    "logistic": (LogisticRegression(), "binary"),
    "logistic, three": (make_pipeline(StandardScaler(), LogisticRegression()), "three"),
    "calibrated": (CalibratedClassifierCV(LinearSVC(random_state=0), cv=2), "binary"),
    "network": (MLPClassifier((8,), max_iter=400, tol=1e-2, random_state=0), "binary"),
    "network regressor": (
        MLPRegressor(hidden_layer_sizes=(8,), max_iter=400, tol=1e-1, random_state=0),
        "amount",
    ),
    "linear": (LinearRegression(), "amount"),
    "ridge": (make_pipeline(StandardScaler(), Ridge()), "amount"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_scikit_learn_through_its_converter(name: str, data: Any) -> None:
    model, target = OTHERS[name]
    check(export_model(model.fit(data.full, getattr(data, target)), data.full))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["no", "yes"], ("no", "yes")),
        ([False, True], (0, 1)),
        ([-1, 7], (-1, 7)),
        ([1.0, 2.0], (1, 2)),
    ],
)
@pytest.mark.parametrize(
    "model",
    [
        lightgbm.LGBMClassifier(**{**SMALL, "n_estimators": 5}),
        RandomForestClassifier(5, max_depth=3, random_state=0),
        LogisticRegression(),
    ],
    ids=["lightgbm", "forest", "logistic"],
)
def test_labels(model: Any, labels: list[Any], classes: tuple[Any, ...], data: Any) -> None:
    exported = export_model(model.fit(data.full, np.array(labels)[data.binary]), data.full)
    check(exported)
    assert exported.classes == classes
