"""A trained model as the exporter sees it: what kind it is, what it answers, what it accepts."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tidegate.errors import ExportError

if TYPE_CHECKING:
    import numpy.typing as npt

    from tidegate.types import FloatMatrix

__all__ = ["Kind", "Original"]

Kind: TypeAlias = Literal["classifier", "regressor"]


@dataclass(frozen=True, slots=True)
class Original:
    """A fitted LightGBM or scikit-learn model behind one face.

    Attributes:
        model: the model as the user gave it.
        kind: classifier or regressor.
        classes: the labels of a classifier, in the order of its probabilities.
        width: number of features.
        missing: may a feature be NaN?
    """

    model: Any
    kind: Kind
    classes: tuple[int | str, ...] | None
    width: int
    missing: bool

    @classmethod
    def of(cls, model: Any) -> Original:
        """Looks a model over.

        Args:
            model: a fitted `lightgbm.Booster`, or a fitted estimator that follows scikit-learn's
                contract (LightGBM's do).

        Raises:
            ExportError: it is neither, is not fitted, or has labels that ONNX cannot hold.
        """
        if _is_booster(model):
            return cls._of_booster(model)
        if not hasattr(model, "predict"):
            raise ExportError(
                f"{type(model).__name__} has no predict method: give a fitted LightGBM or "
                "scikit-learn model, or an ONNX file"
            )
        width = getattr(model, "n_features_in_", None)
        if width is None:
            raise ExportError(f"{type(model).__name__} is not fitted: fit it first")
        if hasattr(model, "predict_proba"):
            classes = _labels(np.asarray(model.classes_))
            return cls(model, "classifier", classes, int(width), _takes_missing(model))
        if hasattr(model, "classes_"):
            raise ExportError(
                f"{type(model).__name__} has classes but no predict_proba: fit it with "
                "probabilities, or wrap it in CalibratedClassifierCV"
            )
        return cls(model, "regressor", None, int(width), _takes_missing(model))

    @classmethod
    def _of_booster(cls, booster: Any) -> Original:
        objective = str(booster.params.get("objective", "")) or "unknown"
        text = booster.model_to_string(num_iteration=1)
        for line in text.splitlines():
            if line.startswith("objective="):
                objective = line.removeprefix("objective=")
                break
        name = objective.split()[0]
        classes: tuple[int | str, ...] | None = None
        if name == "binary":
            classes = (0, 1)
        elif name in {"multiclass", "multiclassova"}:
            classes = tuple(range(int(booster.num_model_per_iteration())))
        kind: Kind = "regressor" if classes is None else "classifier"
        return cls(booster, kind, classes, int(booster.num_feature()), missing=True)

    @property
    def name(self) -> str:
        """How messages call the model."""
        return type(self.model).__name__

    def answer(self, matrix: FloatMatrix) -> npt.NDArray[np.float64]:
        """Probabilities `[rows, classes]`, or predictions `[rows, 1]`."""
        with warnings.catch_warnings():
            # A model fitted on named columns warns at each unnamed matrix.
            warnings.simplefilter("ignore")
            if self.kind == "regressor" or _is_booster(self.model):
                answer = np.asarray(self.model.predict(matrix), dtype=np.float64)
            else:
                answer = np.asarray(self.model.predict_proba(matrix), dtype=np.float64)
        if self.kind == "regressor":
            return answer.reshape(len(matrix), -1)
        if answer.ndim == 1:
            answer = np.column_stack([1.0 - answer, answer])
        return answer


def _is_booster(model: Any) -> bool:
    module = type(model).__module__.split(".")[0]
    return module == "lightgbm" and hasattr(model, "model_to_string")


def _labels(classes: npt.NDArray[Any]) -> tuple[int | str, ...]:
    if classes.ndim != 1 or len(classes) < 2:
        raise ExportError(
            f"the classifier has the classes {classes.tolist()}: fit it with one target of at "
            "least two classes"
        )
    if classes.dtype.kind in "bui":
        return tuple(int(value) for value in classes)
    if all(isinstance(value, str) for value in classes):
        return tuple(str(value) for value in classes)
    if classes.dtype.kind == "f" and np.all(classes == np.trunc(classes)):
        return tuple(int(value) for value in classes)
    raise ExportError(
        f"the classes {classes.tolist()[:5]} are neither whole numbers nor strings: "
        "map the target to one of these before fitting"
    )


def _takes_missing(model: Any) -> bool:
    if type(model).__module__.split(".")[0] == "lightgbm":
        return True
    from sklearn.utils import get_tags

    return bool(get_tags(model).input_tags.allow_nan)
