"""Do the golden rows come out again on this machine?"""

from __future__ import annotations

from typing import Final

from tidegate.check.context import Context
from tidegate.check.result import Figure, Result, failed, passed, skipped
from tidegate.errors import TidegateError

__all__ = ["NAME", "check"]

NAME: Final = "golden rows"


def check(context: Context) -> Result:
    """Loads the bundle as a server does, which replays its golden rows on the path of requests."""
    try:
        _ = context.subject
    except TidegateError as error:
        return failed(NAME, str(error))
    golden = context.candidate.manifest.golden
    if golden is None:
        return skipped(NAME, "the bundle loads and has no golden rows: build it with a sample")
    return passed(
        NAME,
        f"{golden.rows} golden rows, made with ONNX Runtime {golden.onnxruntime}, come out again "
        f"within rtol {golden.rtol:g} and atol {golden.atol:g}",
        (Figure("rows", golden.rows, unit="rows"),),
    )
