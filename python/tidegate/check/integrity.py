"""Is every byte of the bundle the one that was published?"""

from __future__ import annotations

from typing import Final

from tidegate.check.context import Context
from tidegate.check.result import Figure, Result, failed, passed
from tidegate.errors import TidegateError

__all__ = ["NAME", "check"]

NAME: Final = "integrity"


def check(context: Context) -> Result:
    """Holds every file against the manifest, and the manifest against its registered digest."""
    try:
        found = context.candidate.verify()
    except TidegateError as error:
        return failed(NAME, str(error))
    size = Figure("size", found.bytes, unit="B")
    return passed(NAME, found.summary, (Figure("files", found.files, unit="rows"), size))
