"""From a fitted model to a proven ONNX graph."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.errors import ExportError, InputError, MissingDependencyError
from tidegate.export.original import Kind, Original
from tidegate.export.proof import Agreement, Proof, prove

if TYPE_CHECKING:
    from onnx import ModelProto

    from tidegate.types import FloatMatrix

__all__ = ["Exported", "export_model", "read_onnx", "to_onnx"]

INSTALL = "install it with: pip install 'tidegate[training]'"


@dataclass(frozen=True, slots=True)
class Exported:
    """A model as ONNX.

    Attributes:
        onnx: the bytes of the file.
        kind: `classifier`, `regressor`, or `tensors` for a graph that was ONNX already.
        classes: the labels of a classifier, in the order of its probabilities.
        width: number of features; None if unknown.
        agreement: how well it agrees with the original; None if there is none, or not proven yet.
    """

    onnx: bytes
    kind: Kind | str
    classes: tuple[int | str, ...] | None
    width: int | None
    agreement: Agreement | None = None


def export_model(model: Any, sample: FloatMatrix, *, proof: Proof | None = None) -> Exported:
    """Converts a model and proves the result against the original.

    Train the model on the float32 matrix that it will see: the graph compares float32 values.

    Args:
        model: a fitted LightGBM or scikit-learn classifier or regressor.
        sample: real rows of features, float32 `[rows, width]`; the proof varies them.
        proof: how many rows, and how near is near enough.

    Raises:
        ExportError: the model has no ONNX form, or the form disagrees with it.
        MissingDependencyError: `onnx`, `skl2onnx` or `onnxruntime` is absent.

    Example:
        >>> import numpy as np
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> X = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
        >>> tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, X[:, 0] > 0)
        >>> exported = export_model(tree, X)
        >>> exported.kind, exported.classes, exported.agreement.rows
        ('classifier', (0, 1), 10000)
        >>> exported.agreement.largest < 1e-5
        True
    """
    original = Original.of(model)
    exported = to_onnx(model)
    agreement = prove(original, exported.onnx, sample, proof=proof)
    return Exported(exported.onnx, original.kind, original.classes, original.width, agreement)


def to_onnx(model: Any) -> Exported:
    """Converts a model without proving anything: for looking at a graph that fails its proof.

    Args:
        model: a fitted LightGBM or scikit-learn classifier or regressor.

    Raises:
        ExportError: the model has no ONNX form.
        MissingDependencyError: `onnx` or `skl2onnx` is absent.
    """
    original = Original.of(model)
    graph = _graph(original)
    return Exported(graph.SerializeToString(), original.kind, original.classes, original.width)


def read_onnx(source: str | os.PathLike[str] | bytes | ModelProto) -> Exported:
    """An ONNX model as it is: a file, its bytes, or a `ModelProto`.

    Only what a reader of bytes can tell is checked here; the runtime refuses a file that is no
    model when it loads it.

    Raises:
        InputError: there is no such file, or it is empty.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read model {str(path)!r}: {error.strerror}") from error
    elif isinstance(source, bytes):
        data = source
    else:
        data = source.SerializeToString()
    if not data:
        raise InputError("the ONNX model is empty: give a file that a converter wrote")
    return Exported(data, "tensors", None, None)


def _graph(original: Original) -> ModelProto:
    try:
        from tidegate.export.graph import build, mend
    except ImportError as error:
        raise MissingDependencyError(f"exporting a model needs onnx: {INSTALL}") from error
    model = original.model
    if type(model).__module__.split(".")[0] == "lightgbm":
        from tidegate.export.lightgbm_trees import from_booster

        booster = getattr(model, "booster_", model)
        return build(from_booster(booster, original.classes))
    from tidegate.export.sklearn_trees import from_estimator

    ensemble = from_estimator(model, original.classes)
    if ensemble is not None:
        return build(ensemble)
    return mend(_general(original), original.width, original.classes)


def _general(original: Original) -> ModelProto:
    """Whatever `skl2onnx` makes of an estimator that is not a tree model."""
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError as error:
        raise MissingDependencyError(
            f"exporting a {original.name} needs skl2onnx: {INSTALL}"
        ) from error
    options = {id(original.model): {"zipmap": False}} if original.classes is not None else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted: ModelProto = convert_sklearn(
                original.model,
                initial_types=[("features", FloatTensorType([None, original.width]))],
                options=options,
            )
    except Exception as error:  # The converter raises whatever its parts raise.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ExportError(
            f"{original.name} cannot be converted to ONNX: {reason}: use a model that skl2onnx "
            "knows, or give an ONNX file"
        ) from error
    return converted
