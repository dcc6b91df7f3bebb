"""The real Triton, started directly, with its Python backend running ONNX Runtime.

python service.py MODEL.onnx PORT [--features FEATURES.json] [--batch]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import onnxruntime
from launch import launch

sys.path.append(str(Path(__file__).parents[1]))
from served import Served, arguments

TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(int64)": "TYPE_INT64",
    "int64": "TYPE_INT64",
    "timestamp": "TYPE_INT64",
    "float64": "TYPE_FP64",
    "string": "TYPE_STRING",
}


def port(one: onnxruntime.NodeArg) -> str:
    # A batch's dimension is Triton's own and not named.
    dims = [dim if isinstance(dim, int) else -1 for dim in one.shape[1:]]
    reshape = "" if dims else ", reshape { shape: [] }"
    return f'{{ name: "{one.name}" data_type: {TYPES[one.type]} dims: {dims or [1]}{reshape} }}'


def column(field: dict[str, Any]) -> str:
    optional = str(field["nullable"]).lower()
    kind = TYPES[field["dtype"]]
    return f'{{ name: "{field["name"]}" data_type: {kind} dims: [1] optional: {optional} }}'


def write_repository(folder: Path, given: argparse.Namespace) -> None:
    served = Served(given)
    place = folder / given.name
    (place / "1").mkdir(parents=True)
    here = Path(__file__).parent
    for file in (here / "model.py", here.parent / "served.py", here.parent / "flights.py"):
        shutil.copy(file, place / "1")
    if served.features is None:
        inputs = ", ".join(map(port, served.session.get_inputs()))
    else:
        inputs = ", ".join(map(column, served.features.fields))
    outputs = ", ".join(map(port, served.session.get_outputs()))
    arguments = json.dumps(json.dumps(vars(given)))
    (place / "config.pbtxt").write_text(
        'backend: "python"\nmax_batch_size: 256\n'
        f"input [{inputs}]\noutput [{outputs}]\n"
        "instance_group [{ kind: KIND_CPU }]\n"
        f'parameters {{ key: "given" value: {{ string_value: {arguments} }} }}\n'
        + ("dynamic_batching {}\n" if given.batch else "")
    )


if __name__ == "__main__":
    given = arguments()
    place = Path(tempfile.mkdtemp(prefix="triton-", dir=Path(given.model).parent))
    write_repository(place / "models", given)
    launch(
        place,
        [
            f"--model-repository={place / 'models'}",
            *("--http-address=127.0.0.1", f"--http-port={given.port}"),
            *("--allow-grpc=false", "--allow-metrics=false", "--exit-timeout-secs=5"),
        ],
    )
