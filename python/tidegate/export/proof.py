"""Proof that an ONNX graph answers as the model it was made from.

Real rows alone would prove little: between two thresholds every value takes the same path. So the
proof takes real rows and moves single features to where a wrong graph would show: onto each
threshold of the graph and onto the next float32 on either side, to missing, to codes that no row
has, and out of range. Rows are run in one piece and one by one, since ONNX Runtime has a path for
each.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tidegate.errors import ExportError, InputError, MissingDependencyError

if TYPE_CHECKING:
    import numpy.typing as npt

    from tidegate.export.original import Original
    from tidegate.types import FloatMatrix

__all__ = ["Agreement", "Proof", "boundary_rows", "prove", "thresholds_of"]

MAX_ROWS: Final = 200_000
"""Most rows of a proof, however many thresholds there are."""

SINGLE_ROWS: Final = 100
"""Rows that are also run one by one."""

FAR: Final = (1e30, -1e30, float(np.finfo(np.float32).max), float(np.finfo(np.float32).min))
"""Values out of every range, for models that only compare."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What counts as agreement.

    Attributes:
        rows: at least this many are compared; more where there are more thresholds.
        tolerance: largest difference of a probability. For a prediction of a regressor the
            difference is divided by the prediction's size where that is above 1, since a float32
            cannot do better.
        seed: of the rows' variation.
    """

    rows: int = 10_000
    tolerance: float = 1e-5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= MAX_ROWS:
            raise InputError(f"a proof of {self.rows} rows: use 1 to {MAX_ROWS}")
        if not self.tolerance > 0.0:
            raise InputError(f"a tolerance of {self.tolerance}: use a number above 0")


@dataclass(frozen=True, slots=True)
class Agreement:
    """The outcome of a proof.

    Attributes:
        rows: how many were compared.
        largest: the largest difference, as `Proof.tolerance` measures it.
        row: where it was.
        thresholds: distinct thresholds of the graph whose neighbourhood was tried.
        labels_differing: rows with another label; all within the tolerance of a tie.
    """

    rows: int
    largest: float
    row: int
    thresholds: int
    labels_differing: int


def prove(
    original: Original, onnx: bytes, sample: FloatMatrix, *, proof: Proof | None = None
) -> Agreement:
    """Compares a graph with its original on rows made to tell them apart.

    Args:
        original: the model that the graph was made from.
        onnx: the graph.
        sample: real rows of features, float32 `[rows, width]`.
        proof: how many rows, and how near is near enough.

    Returns:
        How well they agree.

    Raises:
        ExportError: they differ by more than the tolerance; the message says by how much, where.
        InputError: the sample has no rows or another width.
        MissingDependencyError: `onnxruntime` is absent.
    """
    proof = proof or Proof()
    matrix = np.ascontiguousarray(sample, dtype=np.float32)
    if matrix.ndim != 2 or matrix.shape[1] != original.width or not len(matrix):
        raise InputError(
            f"the sample has the shape {list(matrix.shape)}, and {original.name} was fitted on "
            f"{original.width} features: give rows of that width"
        )
    thresholds = thresholds_of(onnx, original.width)
    rows = boundary_rows(matrix, thresholds, missing=original.missing, proof=proof)
    try:
        expected = original.answer(rows)
    except ValueError as error:
        raise ExportError(f"{original.name} refuses rows of the proof: {error}") from error
    run = _session(onnx)
    outputs = run(rows)
    found = outputs[-1].astype(np.float64)
    difference = _difference(original, expected, found)
    singles = min(SINGLE_ROWS, len(rows))
    step = len(rows) // singles
    for row in range(0, step * singles, step):
        alone = run(rows[row : row + 1])[-1].astype(np.float64)
        single = _difference(original, expected[row : row + 1], alone)[0]
        difference[row] = max(difference[row], single)
    worst = int(np.argmax(difference))
    largest = float(difference[worst])
    if largest > proof.tolerance:
        raise ExportError(
            f"the ONNX form of {original.name} differs from it by {largest:.3g} in row {worst} of "
            f"{len(rows)} proof rows, more than {proof.tolerance:g} (original "
            f"{_short(expected[worst])}, ONNX {_short(found[worst])}, features "
            f"{_short(rows[worst])}): use a smaller model or a larger tolerance"
        )
    differing = _differing_labels(original, expected, outputs, proof.tolerance)
    return Agreement(
        rows=len(rows),
        largest=largest,
        row=worst,
        thresholds=sum(len(values) for values in thresholds),
        labels_differing=differing,
    )


def thresholds_of(onnx: bytes, width: int) -> list[npt.NDArray[np.float32]]:
    """The distinct thresholds that the graph's trees compare each feature with."""
    from onnx import ModelProto, helper, numpy_helper

    from tidegate.export.graph import MATRICES

    found: list[list[npt.NDArray[np.float32]]] = [[] for _ in range(width)]
    for node in ModelProto.FromString(onnx).graph.node:
        if not node.op_type.startswith("TreeEnsemble") or node.input[0] not in MATRICES:
            continue
        attributes = {entry.name: entry for entry in node.attribute}
        if "nodes_values_as_tensor" in attributes:
            values = numpy_helper.to_array(attributes["nodes_values_as_tensor"].t)
        elif "nodes_values" in attributes:
            values = np.array(helper.get_attribute_value(attributes["nodes_values"]))
        else:
            continue
        features = np.array(helper.get_attribute_value(attributes["nodes_featureids"]))
        modes = np.array(helper.get_attribute_value(attributes["nodes_modes"]))
        inner = modes != b"LEAF"
        for feature in range(width):
            found[feature].append(values[inner & (features == feature)].astype(np.float32))
    return [
        np.unique(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.float32)
        for parts in found
    ]


def boundary_rows(
    sample: FloatMatrix,
    thresholds: list[npt.NDArray[np.float32]],
    *,
    missing: bool,
    proof: Proof | None = None,
) -> FloatMatrix:
    """Real rows, a quarter of them as they are, the others moved to where graphs go wrong.

    In every moved row about a third of the features take the next of their telling values, so that
    each value occurs, in the company of many others. Values: each threshold and its two float32
    neighbours; missing, if the model takes it; zero of either sign; the codes 0.5, -0.5, -1 and
    those after the largest; for a model that only compares, values out of every range too.

    Args:
        sample: float32 `[rows, width]`; what is not finite in it is left as it is.
        thresholds: the distinct ones of each feature.
        missing: may a feature be NaN?
        proof: the number of rows and the seed.
    """
    proof = proof or Proof()
    random = np.random.default_rng(proof.seed)
    width = sample.shape[1]
    compares = any(len(values) for values in thresholds)
    candidates = [
        _candidates(sample[:, feature], thresholds[feature], missing=missing, far=compares)
        for feature in range(width)
    ]
    longest = max((len(values) for values in candidates), default=0)
    # Each feature moves in a third of three quarters of the rows: each value comes up once or more.
    total = min(max(proof.rows, 5 * longest), MAX_ROWS)
    rows: FloatMatrix = sample[random.permutation(np.arange(total) % len(sample))].copy()
    first = min(total // 4, total - 1)
    for feature, values in enumerate(candidates):
        moved = first + np.flatnonzero(random.random(total - first) < 1 / 3)
        rows[moved, feature] = values[(np.arange(len(moved)) + feature) % len(values)]
    return rows


def _candidates(
    column: npt.NDArray[np.float32],
    thresholds: npt.NDArray[np.float32],
    *,
    missing: bool,
    far: bool,
) -> npt.NDArray[np.float32]:
    finite = column[np.isfinite(column)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    infinity = np.float32(np.inf)
    near = [
        thresholds,
        np.nextafter(thresholds, infinity),
        np.nextafter(thresholds, -infinity),
    ]
    special = [0.0, -0.0, 0.5, -0.5, -1.0, low, high, np.floor(high) + 1.0, np.floor(high) + 2.0]
    if far:
        special += [high + 1_000.0, low - 1_000.0, *FAR]
    if missing:
        special += [np.nan] * (1 + len(thresholds) // 10)
    values = np.concatenate([*near, np.array(special, dtype=np.float32)])
    return np.asarray(values[~np.isinf(values)], dtype=np.float32)


def _difference(
    original: Original, expected: npt.NDArray[np.float64], found: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The largest difference of each row; infinite where only one side is a number."""
    if expected.shape != found.shape:
        raise ExportError(
            f"the ONNX form of {original.name} answers the shape {list(found.shape)}, and the "
            f"original {list(expected.shape)}: export a model with one target"
        )
    scale = 1.0 if original.kind == "classifier" else np.maximum(1.0, np.abs(expected))
    with np.errstate(invalid="ignore"):
        difference = np.abs(expected - found) / scale
    same = (expected == found) | (np.isnan(expected) & np.isnan(found))
    difference[same] = 0.0
    difference[np.isnan(difference)] = np.inf
    return np.asarray(difference.max(axis=1), dtype=np.float64)


def _differing_labels(
    original: Original,
    expected: npt.NDArray[np.float64],
    outputs: list[npt.NDArray[Any]],
    tolerance: float,
) -> int:
    """Labels may differ only where the two best classes are nearer than the tolerance."""
    if original.classes is None:
        return 0
    labels = np.array(original.classes, dtype=object)[np.argmax(expected, axis=1)]
    differing = np.flatnonzero(labels != outputs[0].astype(object))
    best = np.sort(expected, axis=1)
    for row in differing:
        gap = best[row, -1] - best[row, -2]
        if gap > 2.0 * tolerance:
            raise ExportError(
                f"the ONNX form of {original.name} labels row {row} of the proof rows "
                f"{outputs[0][row]!r} and the original {labels[row]!r}, with {gap:.3g} between the "
                "two best classes: report this model as a bug of the exporter"
            )
    return len(differing)


def _session(onnx: bytes) -> Any:
    # Read before the library is loaded, or it would write a device id into the user's cache.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            "proving an export needs onnxruntime: install it with: pip install 'tidegate[cpu]'"
        ) from error
    try:
        session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common class.
        raise ExportError(f"ONNX Runtime refuses the exported graph: {error}") from error
    name = session.get_inputs()[0].name
    return lambda rows: session.run(None, {name: rows})


def _short(values: npt.NDArray[Any]) -> str:
    return np.array2string(np.asarray(values), precision=7, threshold=8, edgeitems=3)
