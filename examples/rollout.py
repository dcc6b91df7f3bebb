"""Two rollouts on the flights of 2013: a better version is promoted, a broken one is rolled back.

Version 1.0.0 has learned from January and February. 1.1.0 has learned from January to June, and
wins by the labels while July to December pass. 1.2.0 reads the humidity ten times too large, as if
somebody had changed a unit, and is given up before it has answered many. Nobody's request fails.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from tidegate import Registry, Runtime
from tidegate.demo import data, steps, task
from tidegate.registry import Bundle
from tidegate.routing.settings import Follow

MODEL = task.MODEL
ROWS_PER_MONTH = 6_000
EVERY = 5
"""Every fifth flight is asked for: delays of one day go together, so a step should see many days."""

LABELS = 500
"""Labels that come together, late."""

QUICK = {"min_seconds": 0}
"""A replay has a month in seconds; live traffic gets its steps in hours."""

PROMOTED = {
    "deployment": MODEL,
    "candidate": "1.1.0",
    "reason": "retrained on newer months",
    "strategy": {
        "kind": "canary",
        "steps": [
            {"percent": 20, "min_requests": 300, **QUICK},
            {"percent": 50, "min_requests": 1_000, **QUICK},
        ],
    },
    "gates": [
        {"kind": "errors"},
        # It is meant to answer otherwise, so its predictions are not compared, but their labels.
        {"kind": "quality", "measure": "brier", "margin": 0.02},
    ],
}
BROKEN = {
    "deployment": MODEL,
    "candidate": "1.2.0",
    "reason": "a new source of weather",
    "strategy": {"kind": "canary", "steps": [{"percent": 50, **QUICK}]},
}


def bundle(version: str, table: pl.DataFrame, months: range) -> Bundle:
    """A version that has learned from some months."""
    chosen = steps.select(table, months, ROWS_PER_MONTH)
    sample = task.raw(chosen)
    features = task.feature_set(sample)
    model = task.fit_model(features.fit_transform(sample), chosen[task.LABEL].to_numpy())
    return Bundle.build(MODEL, version, features=features, model=model, sample=sample)


def replay(runtime: Runtime, live: Iterator[dict[str, Any]]) -> Iterator[int]:
    """Asks flight by flight and tells each label later; yields how many were asked."""
    awaited = []
    for asked, row in enumerate(live, 1):
        late = row.pop(task.LABEL)
        answer = runtime.predict(MODEL, row)
        awaited.append({"prediction_id": answer.id, "label": int(late)})
        if len(awaited) == LABELS:
            runtime.feedback(MODEL, awaited)
            awaited.clear()
        yield asked


def carried_out(runtime: Runtime, live: Iterator[dict[str, Any]], plan: dict[str, Any]) -> int:
    """Starts a rollout, replays flights until it has ended, and says what happened when."""
    rollout = runtime.rollout(MODEL)
    rollout.start(plan, skip_check="this example shows the gates")
    said, asked = 0, 0
    for asked in replay(runtime, live):
        if asked % 50:
            continue
        time.sleep(0.05)  # slow enough for the replica to look in between
        newest = rollout.history(limit=1)[0].revision
        if newest.number != said:
            said = newest.number
            print(f"{asked:>7} flights  {newest.event:<8} {newest.routing}  {newest.reason}")
        if newest.rollout is None or not newest.rollout.open:
            break
    return asked


def main() -> None:
    """Publishes three versions and rolls two of them out, one after the other."""
    table = data.join(data.read()).table
    scaled = table.with_columns(pl.col("humid") / 10)
    live = steps.select(table, range(7, 13), None).gather_every(EVERY).select(*task.RAW, task.LABEL)
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder))
        registry.publish(bundle("1.0.0", table, range(1, 3)), alias="champion")
        registry.publish(bundle("1.1.0", table, range(1, 7)))
        registry.publish(bundle("1.2.0", scaled, range(1, 7)))
        with Runtime(registry, follow=Follow(every=0.02, samples=0.02)) as runtime:
            runtime.follow(f"{MODEL}@champion")
            flights = live.iter_rows(named=True)
            # A gate on labels needs some to have come.
            list(islice(replay(runtime, flights), LABELS))
            carried_out(runtime, flights, PROMOTED)
            assert runtime.deployments()[0].version == "1.1.0"
            carried_out(runtime, flights, BROKEN)
            assert runtime.deployments()[0].version == "1.1.0"
            history = runtime.rollout(MODEL)
            print(history.verify())


if __name__ == "__main__":
    main()
