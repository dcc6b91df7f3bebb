"""What all suites share: the plan, the machine's cores, the models, and where figures go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from tidegate.bench.machine import Cores
from tidegate.bench.results import Results
from tidegate.bench.subjects import Subject, build_flights, build_trees
from tidegate.errors import TidegateError

__all__ = ["FULL", "QUICK", "Context", "Plan", "Progress"]

Progress = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often.

    Attributes:
        seconds: Length of one run of load.
        repetitions: Runs of each server at each number of connections.
        pairs: Pairs of runs with and without watching, and of turns of the embedded contenders.
        connections: Numbers of connections.
        table_rows: Most rows of the table of features; `None` takes all.
        table_turns: Turns over that table.
        row_calls: One-row calls of scikit-learn, each some ten milliseconds.
        requests: How many are sent while the memory is watched.
        peers: The peers that are measured; none named is all of them.
        subjects: What the peers serve: `trees`, `flights`; none named is both.
    """

    seconds: float = 1.0
    repetitions: int = 3
    pairs: int = 31
    connections: Sequence[int] = (1, 8, 32, 128)
    table_rows: int | None = None
    table_turns: int = 5
    row_calls: int = 60
    requests: int = 10_000_000
    peers: Sequence[str] = ()
    subjects: Sequence[str] = ()


FULL: Final = Plan()
QUICK: Final = Plan(
    seconds=0.5,
    repetitions=1,
    pairs=5,
    connections=(1, 32),
    table_rows=100_000,
    table_turns=3,
    row_calls=15,
    requests=200_000,
)


@dataclass(slots=True)
class Context:
    """One run of the benchmarks.

    Attributes:
        plan: How long and how often.
        places: The cores of server and client.
        folder: For models, logs and sockets; gone after the run.
        results: What was found so far.
        progress: Is told what is being done.
    """

    plan: Plan
    places: Cores
    folder: Path
    results: Results
    progress: Progress
    _subjects: dict[str, Subject | None] = field(default_factory=dict)

    def attempt(self, what: str, work: Callable[[], T]) -> T | None:
        """Does some work; what cannot be done is named in the results, not raised.

        Args:
            what: What the results call it.
            work: The work.
        """
        try:
            return work()
        except (TidegateError, ImportError, OSError) as error:
            self.results.not_measured[what] = str(error)
            return None

    def trees(self) -> Subject | None:
        """The bare tree model; built once a run."""
        return self._subject("trees", build_trees)

    def flights(self) -> Subject | None:
        """The bundle of the demonstration; built once a run."""
        return self._subject("flights", build_flights)

    def _subject(self, what: str, build: Callable[[Path], Subject]) -> Subject | None:
        if what not in self._subjects:
            self.progress(f"building the model: {what}")
            self._subjects[what] = self.attempt(what, lambda: build(self.folder))
        return self._subjects[what]
