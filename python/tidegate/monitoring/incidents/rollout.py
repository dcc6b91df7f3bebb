"""The evidence by which a rollout was given up, in a review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tidegate.monitoring.incidents.text import plain

__all__ = ["rollout_evidence"]

BAR: Final = 24
"""Characters of the longest bar of a histogram."""

MOST_CELLS: Final = 40


def rollout_evidence(record: Mapping[str, Any]) -> Iterable[str]:
    """What was counted, what each gate said, and the histograms of those that failed.

    Args:
        record: Of type `rollout`: `rollout`, `reason`, `revision`, and the `evidence` of the decision.
    """
    yield f"Revision {record['revision']}: {plain(record['reason'])}"
    rows, histograms = [], []
    # A replica that cannot serve a revision ends a rollout without any gate.
    for candidate in (record["evidence"] or {}).get("candidates", ()):
        stable = candidate["stable"]
        yield (
            f"{plain(candidate['version'])} had {candidate['requests']:,} requests of which "
            f"{candidate['errors']:,} failed; stable had {stable['requests']:,}, of which "
            f"{stable['errors']:,} failed."
        )
        for gate in candidate["gates"]:
            words = str(gate["outcome"]).replace("_", " ")
            rows.append(
                f"| {plain(candidate['version'])} | {plain(gate['gate'])} | {words} | "
                f"{plain(gate['sentence'])} |"
            )
            # What is made of parts has the cells of its worst one.
            told = gate["parts"] or [gate]
            histograms += [_histogram(p["gate"], *p["cells"]) for p in told if p["cells"]]
    if not rows:
        return
    head = ["| version | gate | outcome | evidence |", "| --- | --- | --- | --- |"]
    yield "\n".join([*head, *rows])
    yield from histograms


def _histogram(name: str, stable: Sequence[int], candidate: Sequence[int]) -> str:
    totals = [sum(side) or 1 for side in (stable, candidate)]
    shares = [(a / totals[0], b / totals[1]) for a, b in zip(stable, candidate, strict=True)]
    shares = shares[:MOST_CELLS]
    most = max((max(pair) for pair in shares), default=1.0) or 1.0
    lines = [
        f"cell {number:<4} {side:<10} {share:>6.1%} {'█' * round(BAR * share / most)}"
        for number, pair in enumerate(shares, 1)
        for side, share in zip(("stable", "candidate"), pair, strict=True)
    ]
    return f"**{plain(name)}**\n\n```text\n" + "\n".join(lines) + "\n```"
