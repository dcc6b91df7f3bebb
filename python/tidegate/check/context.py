"""What the checks look at, opened once for all of them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tidegate.check.probe import Probed, probe
from tidegate.check.subject import Answers, Subject, golden_inputs, opened
from tidegate.errors import BackendError, InputError, MissingDependencyError, TidegateError
from tidegate.registry import Bundle, Requirements, Signature

if TYPE_CHECKING:
    import numpy.typing as npt

    from tidegate.storage import Store

__all__ = ["LEVEL", "MIN_ROWS", "Context", "Request"]

LEVEL: Final = 0.95
"""The confidence of intervals; where several figures decide together they share what is left."""

MIN_ROWS: Final = 100
"""Fewer rows of a holdout say nothing about a model."""

MAX_ROWS: Final = 1_000_000
"""Most rows of a holdout."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be checked, and against what.

    Attributes:
        candidate: the bundle that wants to go live.
        champion: the one that it would replace; without one nothing is compared.
        holdout: a table that neither was trained on, as `pyarrow.table` takes it, or its address; by
            default the one that the bundle requires.
        requirements: what is said here goes before what the bundle requires of itself.
        key: the file of the public key that must have signed the bundle.
        signatures: those that a registry has for the bundle.
        original: the model that the bundle was exported from, to prove the export once more.
        log: where the prediction log is, to ask what clients really send.
    """

    candidate: Bundle
    champion: Bundle | None = None
    holdout: Any = None
    requirements: Requirements = field(default_factory=Requirements)
    key: str | os.PathLike[str] | None = None
    signatures: tuple[Signature, ...] = ()
    original: Any = None
    log: str | os.PathLike[str] | Store | None = None


class Context:
    """A request with what it names opened; a context manager.

    Attributes:
        request: what was asked.
        requirements: the bundle's own, with what was said over them.

    Raises:
        InputError: the holdout lacks a column that was named, or is too large.
        NotFoundError: there is no table at the holdout's address.
        StateError: what the bundle requires cannot be read.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        try:
            own = request.candidate.requirements
        except TidegateError:
            # A damaged bundle must reach the check that says so.
            own = Requirements()
        self.requirements: Final = request.requirements.over(own)
        self._stack = contextlib.ExitStack()
        self.holdout: Final = self._table()

    @property
    def candidate(self) -> Bundle:
        """The bundle that wants to go live."""
        return self.request.candidate

    @property
    def champion(self) -> Bundle | None:
        """The one that it would replace."""
        return self.request.champion

    @cached_property
    def subject(self) -> Subject:
        """The candidate, running."""
        return self._stack.enter_context(opened(self.candidate))

    @cached_property
    def reigning(self) -> Subject:
        """The champion, running."""
        assert self.champion is not None
        return self._stack.enter_context(opened(self.champion))

    @cached_property
    def rows(self) -> Any:
        """Rows to ask: those of the holdout, else the golden rows; None without either."""
        return self.holdout if self.holdout is not None else golden_inputs(self.candidate)

    @cached_property
    def answers(self) -> Answers:
        """What the candidate says of `rows`."""
        return self.subject.answer(self.rows)

    @cached_property
    def reigning_answers(self) -> Answers:
        """What the champion says of `rows`."""
        return self.reigning.answer(self.rows)

    @cached_property
    def probed(self) -> Probed | BackendError:
        """The candidate alone in a process, measured once; or why it could not be."""
        try:
            return probe(self.candidate)
        except BackendError as error:
            return error

    @cached_property
    def labels(self) -> npt.NDArray[np.float64]:
        """The holdout's labels: places among the classes, or numbers.

        Raises:
            InputError: a label is none of the candidate's classes, or no number.
        """
        assert self.holdout is not None
        assert self.requirements.label is not None
        values = self.holdout.column(self.requirements.label).to_pylist()
        classes = self.candidate.manifest.classes
        if classes is None:
            try:
                return np.array(values, dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"column {self.requirements.label!r} of the holdout holds labels that are no "
                    f"numbers: {error}"
                ) from error
        places = {label: place for place, label in enumerate(classes)}
        found = [places.get(_label(value), -1) for value in values]
        if -1 in found:
            wrong = values[found.index(-1)]
            raise InputError(
                f"label {wrong!r} in column {self.requirements.label!r} of the holdout is none of "
                f"the classes {', '.join(map(repr, classes))}: map it before"
            )
        return np.array(found, dtype=np.float64)

    @property
    def labelled(self) -> bool:
        """Is there a holdout with labels?"""
        return self.holdout is not None and self.requirements.label is not None

    def why_unlabelled(self) -> str:
        """Why there are no labels to compare with, for a skipped check."""
        if self.holdout is None:
            return "there is no holdout: give --holdout TABLE --label COLUMN"
        return "the holdout has no labels: name their column with --label"

    def _table(self) -> Any:
        source = self.request.holdout
        if source is None:
            source = self.requirements.holdout
        if source is None:
            return None
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingDependencyError(
                "a holdout takes pyarrow: pip install 'tidegate[training]'"
            ) from error
        if isinstance(source, str | os.PathLike):
            from tidegate.validation.source import open_source

            source = open_source(os.fspath(source)).read()
        table = pa.table(source)
        for place, column in enumerate(table.schema):
            # pyarrow cannot filter views, which polars hands out.
            if pa.types.is_string_view(column.type):
                table = table.set_column(place, column.name, table.column(place).cast(pa.string()))
        if table.num_rows > MAX_ROWS:
            raise InputError(
                f"a holdout of {table.num_rows:,} rows: a sample of {MAX_ROWS:,} says as much"
            )
        wanted = [("label", self.requirements.label)]
        wanted += [("group", group) for group in self.requirements.groups]
        for what, name in wanted:
            if name is not None and name not in table.column_names:
                raise InputError(
                    f"the holdout has no {what} column {name!r}: it has "
                    f"{', '.join(table.column_names)}"
                )
        if self.requirements.label is not None:
            # A row without its label cannot be compared.
            table = table.filter(table.column(self.requirements.label).is_valid())
        return table

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _label(value: Any) -> int | str:
    """A label as classes are written: truth values and whole floats are whole numbers."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value if isinstance(value, int | str) else str(value)
