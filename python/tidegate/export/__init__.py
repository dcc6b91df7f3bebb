"""Trained models as ONNX graphs, proven against the originals."""

from tidegate.export.convert import Exported, export_model, read_onnx, to_onnx
from tidegate.export.ensemble import Ensemble, Tree, round_down
from tidegate.export.proof import Agreement, Proof, prove

__all__ = [
    "Agreement",
    "Ensemble",
    "Exported",
    "Proof",
    "Tree",
    "export_model",
    "prove",
    "read_onnx",
    "round_down",
    "to_onnx",
]
