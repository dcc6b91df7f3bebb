"""ONNX graphs: built from an ensemble of trees, or mended after another converter.

Every graph has one input, `features`, float32 `[rows, width]`. A classifier answers `label`
`[rows]` and `probabilities` float32 `[rows, classes]`, as plain tensors; a regressor answers
`predictions` float32 `[rows, 1]`. The number of rows is declared open everywhere: a fixed one would
make ONNX Runtime warn at each batch of another size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tidegate.errors import ExportError
from tidegate.export.ensemble import Ensemble, Tree, round_down

if TYPE_CHECKING:
    import numpy.typing as npt
    from onnx import ModelProto, NodeProto

__all__ = ["INPUT", "LABEL", "MATRICES", "PREDICTIONS", "PROBABILITIES", "build", "mend"]

INPUT: Final = "features"
LABEL: Final = "label"
PROBABILITIES: Final = "probabilities"
PREDICTIONS: Final = "predictions"

MATRICES: Final = frozenset({INPUT, "without_zeros", "with_memberships", "wide"})
"""Tensors whose first columns are the features themselves, as the trees compare them."""

OPSET: Final = 17
"""Operators of this age are known to every ONNX Runtime that can be loaded."""

MAX_MEMBERSHIP_CELLS: Final = 1 << 24
"""Cells (categories x distinct splits) in the tables of one model: 64 MiB."""

ZERO: Final = np.float32(1e-35)
"""LightGBM's bound of what counts as zero."""


def build(ensemble: Ensemble) -> ModelProto:
    """The graph of an ensemble.

    Thresholds are rounded down to float32 (see `round_down`), so that each row takes the same path
    as in the original. Splits on categories look a row's code up in a table of zeros and ones, one
    column for each distinct set, and the tree compares that; a chain of equality nodes, the other
    way to write a set, would need a copy of a subtree for each category.

    Raises:
        ExportError: the splits on categories need more than `MAX_MEMBERSHIP_CELLS`.
    """
    graph = _Graph()
    source = INPUT
    if ensemble.zero_as_missing:
        source = graph.zero_as_missing(source, ensemble)
    source, columns = graph.memberships(source, ensemble)
    trees = _attributes(ensemble, columns)
    classifier = ensemble.classes is not None
    binary = ensemble.link == "logistic" and ensemble.outputs == 1
    if classifier and not ensemble.average and (binary or ensemble.link == "softmax"):
        graph.classifier(source, ensemble, trees)
    else:
        graph.regressor(source, ensemble, trees)
    return graph.model(ensemble.width, ensemble.classes)


class _Graph:
    """Nodes and constants as they are added."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def zero_as_missing(self, source: str, ensemble: Ensemble) -> str:
        """Zeros of some columns become NaN, which the trees send where zeros belong."""
        mask = np.zeros((1, ensemble.width), dtype=np.bool_)
        mask[0, list(ensemble.zero_as_missing)] = True
        size = self.add("Abs", [source], "magnitude")
        near = self.add("LessOrEqual", [size, self.constant("zero", np.array(ZERO))], "near_zero")
        where = self.add("And", [near, self.constant("zero_columns", mask)], "zero_is_missing")
        missing = self.constant("missing", np.array(np.nan, dtype=np.float32))
        return self.add("Where", [where, missing, source], "without_zeros")

    def memberships(
        self, source: str, ensemble: Ensemble
    ) -> tuple[str, dict[tuple[int, frozenset[int]], int]]:
        """Appends a column for each distinct set: 0 where the code is a member, else 1."""
        sets: dict[int, list[frozenset[int]]] = {}
        for tree in ensemble.trees:
            for node, members in tree.members.items():
                known = sets.setdefault(int(tree.feature[node]), [])
                if members not in known:
                    known.append(members)
        if not sets:
            return source, {}
        columns: dict[tuple[int, frozenset[int]], int] = {}
        parts = [source]
        offset = ensemble.width
        cells = 0
        for feature, known in sorted(sets.items()):
            codes = 1 + max((max(members, default=0) for members in known), default=0)
            cells += (codes + 1) * len(known)
            if cells > MAX_MEMBERSHIP_CELLS:
                raise ExportError(
                    f"splits on the categories of column {feature} need {cells} table cells, more "
                    f"than {MAX_MEMBERSHIP_CELLS}: use smaller codes, or one_hot or hash features"
                )
            table = np.ones((codes + 1, len(known)), dtype=np.float32)
            for position, members in enumerate(known):
                table[sorted(members), position] = 0.0
                columns[feature, members] = offset + position
            offset += len(known)
            parts.append(self._look_up(feature, codes, table))
        return self.add("Concat", parts, "with_memberships", axis=1), columns

    def _look_up(self, feature: int, codes: int, table: npt.NDArray[np.float32]) -> str:
        # A value is cut towards zero, so that everything above -1 has a code; NaN compares false.
        name = f"column_{feature}"
        index = self.constant(f"{name}_index", np.array(feature, dtype=np.int64))
        value = self.add("Gather", [INPUT, index], f"{name}_value", axis=1)
        low = self.constant(f"{name}_low", np.array(-1, dtype=np.float32))
        high = self.constant(f"{name}_high", np.array(codes, dtype=np.float32))
        above = self.add("Greater", [value, low], f"{name}_above")
        below = self.add("Less", [value, high], f"{name}_below")
        known = self.add("And", [above, below], f"{name}_known")
        chosen = self.add("Where", [known, value, high], f"{name}_chosen")
        row = self.add("Cast", [chosen], f"{name}_row", to=TensorProto.INT64)
        members = self.constant(f"{name}_members", table)
        return self.add("Gather", [members, row], f"{name}_splits", axis=0)

    def classifier(self, source: str, ensemble: Ensemble, trees: dict[str, Any]) -> None:
        """The one fused operator: label and probabilities in a single pass."""
        classes = ensemble.classes or ()
        binary = ensemble.outputs == 1
        # One score, with class 0 on every leaf, is the operator's form of a binary model: it adds the
        # other class itself. With no negative weight at all ONNX Runtime takes the sum for a
        # probability and leaves the link out: a leaf too small to count keeps it from that.
        if binary and min(trees["target_weights"]) >= 0.0:
            _append_leaf(trees, target=0, weight=-float(np.finfo(np.float32).tiny))
        attributes = {key.replace("target_", "class_"): value for key, value in trees.items()}
        if isinstance(classes[0], str):
            attributes["classlabels_strings"] = list(classes)
        else:
            attributes["classlabels_int64s"] = list(classes)
        self.nodes.append(
            helper.make_node(
                "TreeEnsembleClassifier",
                [source],
                [LABEL, PROBABILITIES],
                domain="ai.onnx.ml",
                post_transform="LOGISTIC" if binary else "SOFTMAX",
                **attributes,
            )
        )

    def regressor(self, source: str, ensemble: Ensemble, trees: dict[str, Any]) -> None:
        """Raw scores from the tree operator, and the link as plain operators."""
        plain = ensemble.link == "identity" and not ensemble.average
        scores = PREDICTIONS if plain and ensemble.classes is None else "scores"
        if ensemble.classes is None:
            # The trees of a regressor may cancel each other: leaves of a million that sum to a few.
            # Summed as doubles, at 10 to 15 % more time a row, nothing is lost.
            source = self.add("Cast", [source], "wide", to=TensorProto.DOUBLE)
            for name in ("nodes_values", "target_weights"):
                exact = np.array(trees.pop(name), dtype=np.float64)
                trees[f"{name}_as_tensor"] = numpy_helper.from_array(exact)
        self.nodes.append(
            helper.make_node(
                "TreeEnsembleRegressor",
                [source],
                [scores],
                domain="ai.onnx.ml",
                n_targets=ensemble.outputs,
                post_transform="NONE",
                **trees,
            )
        )
        if ensemble.average:
            # Dividing once after the sum keeps sums of whole numbers, and so their ties, exact.
            rounds = len(ensemble.trees) // (1 if ensemble.link == "share" else ensemble.outputs)
            count = self.constant("rounds", np.array(rounds, dtype=np.float32))
            whole = ensemble.classes is None and ensemble.link == "identity"
            scores = self.add("Div", [scores, count], PREDICTIONS if whole else "means")
        if ensemble.classes is None:
            self._linked(scores, ensemble.link)
        else:
            self._classified(scores, ensemble)

    def _linked(self, scores: str, link: str) -> None:
        if link == "logistic":
            self.add("Sigmoid", [scores], PREDICTIONS)
        elif link == "exponential":
            self.add("Exp", [scores], PREDICTIONS)
        elif link == "square":
            size = self.add("Abs", [scores], "score_size")
            self.add("Mul", [scores, size], PREDICTIONS)

    def _classified(self, scores: str, ensemble: Ensemble) -> None:
        if ensemble.link == "share":
            self.add("Identity", [scores], PROBABILITIES)
        elif ensemble.link == "softmax":
            self.add("Softmax", [scores], PROBABILITIES, axis=1)
        elif ensemble.outputs > 1:
            self.add("Sigmoid", [scores], PROBABILITIES)
        else:
            positive = self.add("Sigmoid", [scores], "positive")
            one = self.constant("one", np.array(1, dtype=np.float32))
            negative = self.add("Sub", [one, positive], "negative")
            self.add("Concat", [negative, positive], PROBABILITIES, axis=1)
        best = self.add("ArgMax", [PROBABILITIES], "best", axis=1, keepdims=0)
        labels = np.array(ensemble.classes)
        if labels.dtype.kind == "U":
            labels = labels.astype(object)
        self.add("Gather", [self.constant("classes", labels), best], LABEL, axis=0)

    def model(self, width: int, classes: tuple[int | str, ...] | None) -> ModelProto:
        graph = helper.make_graph(
            self.nodes, "model", _inputs(width), _outputs(classes), self.constants
        )
        return _wrapped(
            graph, [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
        )


def mend(model: ModelProto, width: int, classes: tuple[int | str, ...] | None) -> ModelProto:
    """Another converter's graph with our names, open batch sizes and no repeated operator sets.

    Args:
        model: a graph with one input; two outputs (label, probabilities) for a classifier, and one
            for a regressor.
        width: number of features.
        classes: the labels, if it is a classifier.

    Raises:
        ExportError: it has other inputs or outputs, or a ZipMap.
    """
    graph = model.graph
    wanted = [LABEL, PROBABILITIES] if classes is not None else [PREDICTIONS]
    if len(graph.input) != 1 or len(graph.output) != len(wanted):
        raise ExportError(
            f"the converter made {len(graph.input)} inputs and {len(graph.output)} outputs, not 1 "
            f"and {len(wanted)}: export a model of one matrix"
        )
    if any(node.op_type == "ZipMap" for node in graph.node):
        raise ExportError("the converter added a ZipMap: probabilities must be a plain tensor")
    names = {graph.input[0].name: INPUT}
    names |= {output.name: name for output, name in zip(graph.output, wanted, strict=True)}
    taken = {value for node in graph.node for value in [*node.input, *node.output]}
    for name in set(names.values()) & taken - set(names):
        names[name] = f"{name}_inner"
    nodes = list(graph.node)
    for node in nodes:
        node.input[:] = [names.get(value, value) for value in node.input]
        node.output[:] = [names.get(value, value) for value in node.output]
    constants = list(graph.initializer)
    if classes is None:
        # Some regressors answer [rows]: one shape for all.
        for node in nodes:
            node.output[:] = ["raw_predictions" if v == PREDICTIONS else v for v in node.output]
            node.input[:] = ["raw_predictions" if v == PREDICTIONS else v for v in node.input]
        constants.append(numpy_helper.from_array(np.array([-1, 1], dtype=np.int64), "column"))
        nodes.append(helper.make_node("Reshape", ["raw_predictions", "column"], [PREDICTIONS]))
    mended = helper.make_graph(nodes, "model", _inputs(width), _outputs(classes), constants)
    versions: dict[str, int] = {}
    for entry in model.opset_import:
        versions[entry.domain] = max(versions.get(entry.domain, 1), entry.version)
    versions.setdefault("", OPSET)
    return _wrapped(
        mended, [helper.make_opsetid(key, value) for key, value in sorted(versions.items())]
    )


def _wrapped(graph: Any, opsets: list[Any]) -> ModelProto:
    return helper.make_model(
        graph,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="tidegate",
    )


def _inputs(width: int) -> list[Any]:
    return [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])]


def _outputs(classes: tuple[int | str, ...] | None) -> list[Any]:
    if classes is None:
        return [helper.make_tensor_value_info(PREDICTIONS, TensorProto.FLOAT, [None, 1])]
    label = TensorProto.STRING if isinstance(classes[0], str) else TensorProto.INT64
    return [
        helper.make_tensor_value_info(LABEL, label, [None]),
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, [None, len(classes)]),
    ]


def _attributes(
    ensemble: Ensemble, columns: dict[tuple[int, frozenset[int]], int]
) -> dict[str, Any]:
    """The flat arrays of ONNX's tree operators; leaves follow the inner nodes of their tree."""
    names = (
        "nodes_treeids nodes_nodeids nodes_featureids nodes_values nodes_modes nodes_truenodeids "
        "nodes_falsenodeids nodes_missing_value_tracks_true target_treeids target_nodeids "
        "target_ids target_weights"
    )
    flat: dict[str, Any] = {name: [] for name in names.split()}
    pending = set(range(ensemble.outputs))
    for number, tree in enumerate(ensemble.trees):
        values = tree.values.copy()
        # The base goes into the first tree of each target: one place less where it could be lost.
        for position, target in enumerate(tree.targets):
            if target in pending:
                pending.discard(target)
                rounds = len(ensemble.trees) if ensemble.average else 1
                values[:, position] += ensemble.base[target] * rounds
        _append_tree(flat, number, tree, values, columns)
    return flat


def _append_tree(
    flat: dict[str, Any],
    number: int,
    tree: Tree,
    values: npt.NDArray[np.float64],
    columns: dict[tuple[int, frozenset[int]], int],
) -> None:
    inner, leaves = len(tree.feature), len(values)
    feature = tree.feature.copy()
    threshold = round_down(tree.threshold)
    for node, members in tree.members.items():
        feature[node] = columns[int(feature[node]), members]
        threshold[node] = 0.5

    def ids(children: npt.NDArray[np.int64]) -> list[int]:
        return np.where(children >= 0, children, inner + ~children).tolist()  # type: ignore[no-any-return]

    flat["nodes_treeids"] += [number] * (inner + leaves)
    flat["nodes_nodeids"] += range(inner + leaves)
    flat["nodes_featureids"] += feature.tolist() + [0] * leaves
    flat["nodes_values"] += threshold.tolist() + [0.0] * leaves
    flat["nodes_modes"] += ["BRANCH_LEQ"] * inner + ["LEAF"] * leaves
    flat["nodes_truenodeids"] += ids(tree.left) + [0] * leaves
    flat["nodes_falsenodeids"] += ids(tree.right) + [0] * leaves
    flat["nodes_missing_value_tracks_true"] += tree.missing_left.astype(int).tolist() + [0] * leaves
    for position, target in enumerate(tree.targets):
        flat["target_treeids"] += [number] * leaves
        flat["target_nodeids"] += range(inner, inner + leaves)
        flat["target_ids"] += [target] * leaves
        flat["target_weights"] += values[:, position].tolist()


def _append_leaf(flat: dict[str, Any], *, target: int, weight: float) -> None:
    number = flat["nodes_treeids"][-1] + 1
    for name, value in {
        "nodes_treeids": number,
        "nodes_nodeids": 0,
        "nodes_featureids": 0,
        "nodes_values": 0.0,
        "nodes_modes": "LEAF",
        "nodes_truenodeids": 0,
        "nodes_falsenodeids": 0,
        "nodes_missing_value_tracks_true": 0,
        "target_treeids": number,
        "target_nodeids": 0,
        "target_ids": target,
        "target_weights": weight,
    }.items():
        flat[name].append(value)
