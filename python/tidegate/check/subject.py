"""A bundle that runs for the check only: beside whatever is served, unwatched and uncounted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tidegate import _core, library
from tidegate.errors import InputError, UnsupportedError

if TYPE_CHECKING:
    import numpy.typing as npt

    from tidegate.registry import Bundle
    from tidegate.types import ArrowTable

__all__ = ["Answers", "Subject", "opened"]

SERVED: str = "subject"
"""The name in a runtime of its own."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a bundle says of rows.

    Attributes:
        kind: `classifier` or `regressor`.
        scores: probabilities `[rows, classes]`, or predictions `[rows, 1]`.
        decided: for a classifier the place of the label among the classes, `[rows]`.
    """

    kind: Literal["classifier", "regressor"]
    scores: npt.NDArray[np.float64]
    decided: npt.NDArray[np.int64] | None

    @property
    def score(self) -> npt.NDArray[np.float64]:
        """One number a row: the second of two probabilities, the greatest of more, a prediction."""
        if self.kind == "regressor":
            return self.scores[:, 0]
        return self.scores[:, 1] if self.scores.shape[1] == 2 else self.scores.max(axis=1)


class Subject:
    """A loaded bundle that answers; see `opened`.

    Attributes:
        bundle: which.
    """

    def __init__(self, bundle: Bundle, core: _core.Runtime) -> None:
        self.bundle = bundle
        self._core = core

    def answer(self, table: ArrowTable) -> Answers:
        """What it says of every row of a table; columns that it does not use are passed over.

        Raises:
            InputError: the table lacks a column, or has another type in it.
            UnsupportedError: the bundle is neither a classifier nor a regressor.
        """
        kind = self.bundle.manifest.kind
        if kind not in ("classifier", "regressor"):
            raise UnsupportedError(
                f"bundle {self.bundle} answers tensors: only classifiers and regressors are compared"
            )
        found = self._core.predict_many(SERVED, table, None, "ignore")
        if kind == "regressor":
            (values,) = found.outputs.values()
            return Answers(
                "regressor", np.asarray(values, np.float64).reshape(len(found), -1), None
            )
        classes = self.bundle.manifest.classes or ()
        places = {label: place for place, label in enumerate(classes)}
        decided = np.array([places[label] for label in found.labels.tolist()], dtype=np.int64)
        scores = np.asarray(found.outputs["probabilities"], dtype=np.float64)
        return Answers("classifier", scores.reshape(len(found), -1), decided)

    def ask(self, row: Mapping[str, object]) -> None:
        """One row as a client sends it, for whether it is refused.

        Raises:
            TidegateError: it is.
        """
        self._core.predict(SERVED, row, None, "error")


@contextlib.contextmanager
def opened(bundle: Bundle, *, guarded: bool = False) -> Iterator[Subject]:
    """Loads a bundle as a server does: digests are checked and the golden rows replayed.

    Args:
        bundle: which.
        guarded: refuse rows that break its rules, as a server does; otherwise only count them.

    Raises:
        IntegrityError: a byte differs from its digest, or the golden rows do not come out again.
        InputError: the model does not fit its feature set.
    """
    library.load()
    core = _core.Runtime(watch=False, feedback_bytes=0)
    try:
        digest = bundle.digest if bundle.registered else None
        model = core.load(os.fspath(bundle.path), digest)
        if model.guarded is not None:
            model.set_guard("reject" if guarded else "count")
        core.deploy(SERVED, model)
        yield Subject(bundle, core)
    finally:
        core.close()


def golden_inputs(bundle: Bundle) -> Any:
    """The raw inputs of the golden rows, as a pyarrow table; None where the bundle has none.

    Raises:
        MissingDependencyError: pyarrow is absent.
    """
    from tidegate.errors import MissingDependencyError

    if "golden.arrow" not in bundle.manifest.files:
        return None
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingDependencyError(
            "reading golden rows takes pyarrow: pip install 'tidegate[training]'"
        ) from error
    try:
        table = pa.ipc.open_file(pa.BufferReader(bundle.read("golden.arrow"))).read_all()
    except pa.ArrowInvalid as error:
        raise InputError(f"golden.arrow of {bundle} cannot be read: {error}") from error
    return table.select([name for name in table.column_names if not name.startswith("output:")])
