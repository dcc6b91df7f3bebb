"""What every peer serves: a graph in ONNX Runtime on one thread, and how a request becomes its rows.

The bare trees take the tensor of the request; the flights come as raw columns, of which the
features are made first.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from flights import Features

GIVEN = "PEER_ARGUMENTS"
"""The environment variable by which a worker of its own learns the arguments."""

DATATYPES = {
    np.dtype(np.float32): "FP32",
    np.dtype(np.float64): "FP64",
    np.dtype(np.int64): "INT64",
}


def arguments() -> argparse.Namespace:
    """Those of the command line: MODEL.onnx PORT [--features FEATURES.json] [--batch]."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="the graph; its name is the model's")
    parser.add_argument("port", type=int)
    parser.add_argument("--features", help="what the features have learned: raw columns are asked")
    parser.add_argument("--batch", action="store_true")
    given = parser.parse_args()
    given.name = Path(given.model).stem
    return given


def hand_over(given: argparse.Namespace) -> None:
    """Leaves the arguments to the processes that this one will start."""
    os.environ[GIVEN] = json.dumps(vars(given))


def handed_over() -> argparse.Namespace:
    """The arguments of the process that started this one; no batching where there is none."""
    return argparse.Namespace(**json.loads(os.environ.get(GIVEN, '{"batch": false}')))


def tensor(inputs: list[dict[str, Any]]) -> np.ndarray:
    """The rows of a V2 request with one tensor."""
    raw = inputs[0]
    return np.array(raw["data"], dtype=np.float32).reshape(raw["shape"])


class Served:
    """The model.

    `rows` makes of the inputs of a V2 request what the model takes; `features` is there if these
    are raw columns.
    """

    def __init__(self, given: argparse.Namespace) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            given.model, options, providers=["CPUExecutionProvider"]
        )
        self.entry = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]
        self.features = Features(given.features) if given.features else None
        self.rows = tensor if self.features is None else self.features.request

    def run(self, rows: np.ndarray) -> list[np.ndarray]:
        """Each output for some rows."""
        return self.session.run(None, {self.entry: rows})

    def outputs(self, made: Iterable[np.ndarray], *, lists: bool = False) -> list[dict[str, Any]]:
        """The outputs of a V2 answer; in lists for an encoder that knows no arrays."""
        return [
            {
                "name": name,
                "datatype": DATATYPES[output.dtype],
                "shape": output.shape,
                "data": output.ravel().tolist() if lists else output.ravel(),
            }
            for name, output in zip(self.names, made, strict=True)
        ]


def apart(made: list[np.ndarray], sizes: Iterable[int]) -> Iterator[list[np.ndarray]]:
    """The outputs of each part of a batch, of so many rows each."""
    at = 0
    for size in sizes:
        yield [output[at : at + size] for output in made]
        at += size
