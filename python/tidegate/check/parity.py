"""Does the ONNX graph answer as the model that it was exported from?"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any, Final

from tidegate.check.context import Context
from tidegate.check.result import Figure, Result, failed, passed, skipped
from tidegate.errors import ExportError, InputError, MissingDependencyError, StorageError

__all__ = ["NAME", "check", "read_original"]

NAME: Final = "export parity"


def check(context: Context) -> Result:
    """Reads the proof that was kept when the bundle was built; with the original it is made anew."""
    original = context.request.original
    if original is not None:
        return _anew(context, original)
    kept: Any = context.candidate.manifest.lineage.get("export")
    try:
        largest, rows = float(kept["largest_difference"]), int(kept["rows"])
    except (TypeError, KeyError, ValueError):
        return skipped(
            NAME,
            "the bundle keeps no proof of its export, since it was built from an ONNX file: give "
            "--original MODEL to make one",
        )
    return passed(
        NAME,
        f"proven on {rows:,} rows when the bundle was built",
        (Figure("largest difference", largest), Figure("rows", rows, unit="rows")),
    )


def _anew(context: Context, original: Any) -> Result:
    from tidegate.export import prove
    from tidegate.export.original import Original
    from tidegate.features import FeatureSet

    if "features.json" not in context.candidate.manifest.files or context.rows is None:
        return skipped(NAME, "the bundle has no feature set and rows to make a proof with")
    features = FeatureSet.from_json(context.candidate.read("features.json").decode())
    matrix = features.transform(context.rows)
    try:
        agreement = prove(Original.of(original), context.candidate.read("model.onnx"), matrix)
    except (ExportError, InputError) as error:
        return failed(NAME, str(error))
    return passed(
        NAME,
        f"proven again: {agreement.rows:,} rows agree",
        (
            Figure("largest difference", agreement.largest),
            Figure("rows", agreement.rows, unit="rows"),
        ),
    )


def read_original(path: str | os.PathLike[str]) -> Any:
    """A trained model from a file: LightGBM's text (`.txt`), or a pickle or joblib file.

    Unpickling runs what the file says: read only files that you made.

    Raises:
        InputError: the file is none of these.
        StorageError: it cannot be read.
        MissingDependencyError: the package that made it is absent.
    """
    file = Path(path)
    try:
        if file.suffix == ".txt":
            import lightgbm

            return lightgbm.Booster(model_str=file.read_text())
        if file.suffix in (".pkl", ".pickle", ".joblib"):
            import joblib

            return joblib.load(file)
    except ImportError as error:
        raise MissingDependencyError(
            f"reading {file} takes {error.name}: pip install 'tidegate[training]'"
        ) from error
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror or error}") from error
    except (pickle.UnpicklingError, ValueError, EOFError, AttributeError) as error:
        raise InputError(f"{file} is no model: {error}") from error
    except Exception as error:
        # LightGBM's error has no class of its own that could be named without importing it.
        raise InputError(f"{file} is no model: {error}") from error
    raise InputError(f"{file} is no model by its name: use .txt (LightGBM), .pkl or .joblib")
