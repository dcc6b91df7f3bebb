"""The real Triton, started directly, with its Python backend running ONNX Runtime.

python service.py MODEL.onnx PORT [--batch]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import onnxruntime
from launch import launch

TYPES = {"tensor(float)": "TYPE_FP32", "tensor(int64)": "TYPE_INT64"}


def port(one: onnxruntime.NodeArg, width: int | None = None) -> str:
    # A batch's dimension is Triton's own and not named.
    dims = [width] if width else [dim if isinstance(dim, int) else -1 for dim in one.shape[1:]]
    reshape = "" if dims else ", reshape { shape: [] }"
    return f'{{ name: "{one.name}" data_type: {TYPES[one.type]} dims: {dims or [1]}{reshape} }}'


def write_repository(folder: Path, onnx: str, batch: bool) -> None:
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    place = folder / "trees"
    (place / "1").mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("model.py"), place / "1" / "model.py")
    inputs = ", ".join(port(one) for one in session.get_inputs())
    outputs = ", ".join(port(one) for one in session.get_outputs())
    (place / "config.pbtxt").write_text(
        'backend: "python"\nmax_batch_size: 256\n'
        f"input [{inputs}]\noutput [{outputs}]\n"
        "instance_group [{ kind: KIND_CPU }]\n"
        f'parameters {{ key: "onnx" value: {{ string_value: "{onnx}" }} }}\n'
        + ("dynamic_batching {}\n" if batch else "")
    )


if __name__ == "__main__":
    place = Path(tempfile.mkdtemp(prefix="triton-", dir=Path(sys.argv[1]).parent))
    write_repository(place / "models", sys.argv[1], "--batch" in sys.argv)
    launch(
        place,
        [
            f"--model-repository={place / 'models'}",
            *("--http-address=127.0.0.1", f"--http-port={sys.argv[2]}"),
            *("--allow-grpc=false", "--allow-metrics=false", "--exit-timeout-secs=5"),
        ],
    )
