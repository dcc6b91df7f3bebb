"""The models for a real Triton: its Python backend running `triton/model.py`."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.conformance.models import MODELS, Model, Port

__all__ = ["SPARE", "write_repository"]

SPARE = "spare"
"""A model that is in the repository and not loaded at the start."""

BATCH = 8
SCRIPT = Path(__file__).parent / "triton" / "model.py"


def write_repository(folder: Path) -> Path:
    """Writes a model repository; `spare` is `text` under another name."""
    for model in MODELS:
        _write(folder / model.name, model)
    (text,) = (model for model in MODELS if model.name == "text")
    _write(folder / SPARE, text)
    return folder


def _write(folder: Path, model: Model) -> None:
    (folder / "1").mkdir(parents=True)
    shutil.copy(SCRIPT, folder / "1" / "model.py")
    (folder / "config.pbtxt").write_text(
        f'backend: "python"\n'
        f"max_batch_size: {BATCH if model.batched else 0}\n"
        f"input [{', '.join(_port(port) for port in model.inputs)}]\n"
        f"output [{', '.join(_port(port) for port in model.outputs)}]\n"
        f"instance_group [{{ kind: KIND_CPU }}]\n"
        f'parameters {{ key: "does" value: {{ string_value: "{model.does}" }} }}\n'
        + ("dynamic_batching {}\n" if model.batched else "")
    )


def _port(port: Port) -> str:
    kind = "STRING" if port.datatype == "BYTES" else port.datatype
    return f'{{ name: "{port.name}" data_type: TYPE_{kind} dims: {list(port.dims)} }}'
