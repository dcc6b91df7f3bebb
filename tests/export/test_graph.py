"""The graph's face: one input, plain tensors, any number of rows without a warning."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from tidegate.errors import ExportError, InputError
from tidegate.export import Proof, export_model, read_onnx, round_down, to_onnx

MODELS = {
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, random_state=0),
    "lightgbm, categories": lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, random_state=0),
    "lightgbm regressor": lightgbm.LGBMRegressor(n_estimators=10, verbose=-1, random_state=0),
    "forest": RandomForestClassifier(10, max_depth=4, random_state=0),
    "logistic": LogisticRegression(),
    "linear": LinearRegression(),
}


@pytest.mark.parametrize("name", MODELS)
def test_names_shapes_and_silence(name: str, data: Any, capfd: pytest.CaptureFixture[str]) -> None:
    model = MODELS[name]
    classifier = hasattr(model, "predict_proba")
    further = {"categorical_feature": [5]} if "categories" in name else {}
    model.fit(data.full, data.binary if classifier else data.amount, **further)
    exported = to_onnx(model)
    graph = onnx.load_from_string(exported.onnx)
    onnx.checker.check_model(graph, full_check=True)
    assert not [node for node in graph.graph.node if node.op_type == "ZipMap"]
    domains = [entry.domain for entry in graph.opset_import]
    assert len(domains) == len(set(domains))
    capfd.readouterr()
    session = onnxruntime.InferenceSession(exported.onnx, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    assert (source.name, source.type, source.shape) == ("features", "tensor(float)", [None, 6])
    outputs = [(output.name, output.type, output.shape) for output in session.get_outputs()]
    if classifier:
        assert outputs == [
            ("label", "tensor(int64)", [None]),
            ("probabilities", "tensor(float)", [None, 2]),
        ]
    else:
        assert outputs == [("predictions", "tensor(float)", [None, 1])]
    whole = session.run(None, {"features": data.full[:128]})
    for rows in (1, 2, 128):
        for start in (0, 128 - rows):
            part = session.run(None, {"features": data.full[start : start + rows]})
            for found, expected in zip(part, whole, strict=True):
                assert len(found) == rows
                np.testing.assert_allclose(found, expected[start : start + rows], rtol=1e-6)
    said = capfd.readouterr()
    assert said.err == ""
    assert said.out == ""


@given(st.floats(allow_nan=False))
def test_rounding_down_decides_the_same(threshold: float) -> None:
    rounded = round_down(threshold)
    near = np.float32(rounded)
    infinity = np.float32(np.inf)
    with np.errstate(over="ignore"):
        values = [near, np.nextafter(near, infinity), np.nextafter(near, -infinity)]
    for value in values:
        assert bool(value <= near) == (float(value) <= threshold)


def test_thresholds_one_float32_too_high_would_be_caught(
    data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is able to fail: as rounding to nearest does for half of the thresholds."""
    model = lightgbm.LGBMClassifier(n_estimators=30, verbose=-1, random_state=0)
    model.fit(data.holes, data.binary)
    export_model(model, data.holes)
    with monkeypatch.context() as patch:
        patch.setattr(
            "tidegate.export.graph.round_down",
            lambda values: np.nextafter(round_down(values), np.float32(np.inf)),
        )
        with pytest.raises(ExportError, match=r"differs from it by .* in row \d+ of 10000"):
            export_model(model, data.holes)


def test_misplaced_missing_values_would_be_caught(
    data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from tidegate.export import lightgbm_trees

    read = lightgbm_trees.from_booster

    def forgetful(booster: Any, classes: Any) -> Any:
        ensemble = read(booster, classes)
        trees = tuple(replace(t, missing_left=t.missing_left & False) for t in ensemble.trees)
        return replace(ensemble, trees=trees)

    monkeypatch.setattr(lightgbm_trees, "from_booster", forgetful)
    model = lightgbm.LGBMClassifier(n_estimators=30, verbose=-1, random_state=0)
    with pytest.raises(ExportError, match="differs from it by"):
        export_model(model.fit(data.holes, data.binary), data.holes)


def test_refusals_name_the_mend(data: Any) -> None:
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
    from sklearn.svm import SVC

    X, y = data.full, data.binary
    cases: list[tuple[Any, str]] = [
        (object(), "has no predict method"),
        (LogisticRegression(), "is not fitted"),
        (SVC().fit(X[:200], y[:200]), "no predict_proba"),
        (
            GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()).fit(X, y),
            "fit it with init=None",
        ),
        (
            HistGradientBoostingClassifier(max_iter=2, categorical_features=[5]).fit(X, y),
            "encode them with one_hot or ordinal",
        ),
        (RandomForestClassifier(2).fit(X, np.column_stack([y, y])), "classes"),
        (
            lightgbm.LGBMRegressor(n_estimators=2, linear_tree=True, verbose=-1).fit(X, y),
            "linear_tree=False",
        ),
    ]
    for model, message in cases:
        with pytest.raises(ExportError, match=message):
            export_model(model, X)


def test_a_sample_of_another_width_is_refused(data: Any) -> None:
    model = LogisticRegression().fit(data.full, data.binary)
    for sample in (data.full[:, :3], data.full[:0], data.full[0]):
        with pytest.raises(InputError, match="6 features"):
            export_model(model, sample)


def test_the_settings_of_a_proof() -> None:
    bad: list[dict[str, Any]] = [
        {"rows": 0},
        {"rows": 10**9},
        {"tolerance": 0.0},
        {"tolerance": float("nan")},
    ]
    for settings in bad:
        with pytest.raises(InputError):
            Proof(**settings)


def test_more_rows_where_there_are_more_thresholds(data: Any) -> None:
    model = RandomForestClassifier(40, random_state=0).fit(data.full, data.binary)
    agreement = export_model(model, data.full).agreement
    assert agreement is not None
    assert agreement.rows > 10_000


def test_onnx_as_it_is(data: Any, tmp_path: Any) -> None:
    exported = to_onnx(LinearRegression().fit(data.full, data.amount))
    path = tmp_path / "model.onnx"
    path.write_bytes(exported.onnx)
    graph = onnx.load_from_string(exported.onnx)
    for source in (path, str(path), exported.onnx):
        assert read_onnx(source).onnx == exported.onnx
    assert onnx.load_from_string(read_onnx(graph).onnx) == graph
    assert read_onnx(path).kind == "tensors"
