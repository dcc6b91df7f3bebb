"""All checks in their order, as one report."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Final

from tidegate.check import (
    bias,
    budget,
    calibration,
    golden,
    integrity,
    parity,
    perturbation,
    quality,
    schema,
    signature,
    stability,
    traffic,
)
from tidegate.check.context import Context, Request
from tidegate.check.report import CheckReport
from tidegate.check.result import Result, failed, skipped
from tidegate.errors import MissingDependencyError, TidegateError

__all__ = ["CHECKS", "run_checks"]

CHECKS: Final[tuple[tuple[str, Callable[[Context], Result]], ...]] = (
    (integrity.NAME, integrity.check),
    (signature.NAME, signature.check),
    (golden.NAME, golden.check),
    (schema.NAME, schema.check),
    (traffic.NAME, traffic.check),
    (parity.NAME, parity.check),
    (budget.LATENCY, budget.latency),
    (budget.MEMORY, budget.memory),
    (quality.NAME, quality.check),
    (calibration.NAME, calibration.check),
    (stability.NAME, stability.check),
    (perturbation.NAME, perturbation.check),
    (bias.NAME, bias.check),
)
"""Every check by its name; the first three decide whether the others can be run at all."""

FOUNDATION: Final = frozenset({integrity.NAME, golden.NAME})
"""What fails here leaves nothing to run."""


def run_checks(request: Request, *, progress: Callable[[str], None] | None = None) -> CheckReport:
    """Holds a bundle against everything that a deployment asks of it.

    Args:
        request: what, and against what.
        progress: called with the name of each check before it begins.

    Returns:
        The report: `fail` if one check failed, else `warn` if one warned, else `pass`.

    Raises:
        InputError: the holdout lacks a column that is named, or is too large.
        NotFoundError: there is no table at the holdout's address.
        StorageError: the holdout cannot be read.

    Example:
        >>> from tidegate.demo.tiny import tiny_bundle
        >>> report = run_checks(Request(tiny_bundle(), champion=tiny_bundle(version="0.9.0")))
        >>> report.outcome, report["stability"].outcome, report["quality"].outcome
        ('pass', 'pass', 'skipped')
    """
    began = time.time()
    results: list[Result] = []
    broken = False
    with Context(request) as context:
        for name, check in CHECKS:
            if broken and name != golden.NAME:
                results.append(skipped(name, "the bundle cannot be loaded"))
                continue
            if progress is not None:
                progress(name)
            result = _guarded(name, check, context)
            broken = broken or (name in FOUNDATION and result.outcome == "fail")
            results.append(result)
    champion = request.champion
    return CheckReport(
        candidate=str(request.candidate),
        digest=request.candidate.digest,
        champion=None if champion is None else str(champion),
        champion_digest=None if champion is None else champion.digest,
        began=began,
        seconds=time.time() - began,
        machine=f"{platform.system()} {platform.machine()}",
        results=tuple(results),
    )


def _guarded(name: str, check: Callable[[Context], Result], context: Context) -> Result:
    """What cannot be done is a failed check, so that the other ones are still seen."""
    try:
        return check(context)
    except MissingDependencyError as error:
        return skipped(name, str(error))
    except TidegateError as error:
        return failed(name, str(error))
