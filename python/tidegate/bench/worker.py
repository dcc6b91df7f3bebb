"""`python -m tidegate.bench.worker KIND`: answers calls on its standard input, one a line.

A call is `[method, arguments]` in JSON; the answer is `[true, result]` or `[false, error]`. The
first call is `__init__`.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Final

import orjson

__all__ = ["KINDS", "main"]

KINDS: Final = {
    "load": ("tidegate.bench.load", "Client"),
    "embedded": ("tidegate.bench.embedded", "Embedded"),
    "bare": ("tidegate.bench.embedded", "Bare"),
    "loader": ("tidegate.bench.loading", "Loader"),
    "features": ("tidegate.bench.features", "Ours"),
    "validation": ("tidegate.bench.validation", "Ours"),
    "watching": ("tidegate.bench.watching", "Ours"),
    "sklearn": ("tidegate.bench.features", "ScikitLearn"),
    "polars": ("tidegate.bench.feature_peers", "Polars"),
    "numpy": ("tidegate.bench.feature_peers", "NumPy"),
    "sklearn_onnx": ("tidegate.bench.feature_peers", "Onnx"),
}
"""What a worker can be: module and class. Imported only when it is asked for, because a process
that serves must not hold Python's ONNX Runtime."""


def main() -> None:
    """Answers until the standard input ends."""
    module, name = KINDS[sys.argv[1]]
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    worker: Any = None
    for line in sys.stdin.buffer:
        method, arguments = orjson.loads(line)
        try:
            if method == "__init__":
                worker = getattr(importlib.import_module(module), name)(**arguments)
                answer = orjson.dumps([True, None])
            else:
                answer = orjson.dumps([True, getattr(worker, method)(**arguments)])
        except Exception as error:
            answer = orjson.dumps([False, f"{type(error).__name__}: {error}"])
        answers.write(answer + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
