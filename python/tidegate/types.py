"""The protocols that the packages meet in: what a table, a fitted feature set and JSON are.

They are structural. A class fits by having the methods, so that nobody needs to import a
DataFrame library, or a package of the same level, to name what they accept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "ArrowChunk",
    "ArrowTable",
    "BatchBounds",
    "FittedFeatures",
    "FloatMatrix",
    "Json",
    "JsonObject",
    "RulesLike",
    "SchemaLike",
]

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A value that JSON can hold."""

JsonObject: TypeAlias = "Mapping[str, Json]"
"""A JSON object."""

FloatMatrix: TypeAlias = "npt.NDArray[np.float32]"
"""A row-major matrix of features, `[rows, width]`."""


@runtime_checkable
class ArrowTable(Protocol):
    """Any table of the Arrow PyCapsule interface: pyarrow, polars, pandas >= 2.2, DuckDB and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A capsule that holds an `ArrowArrayStream`."""


@runtime_checkable
class ArrowChunk(Protocol):
    """An array of the Arrow PyCapsule interface, such as a `pyarrow.Array`.

    Columns in chunks (a `pyarrow.ChunkedArray`, a polars series) are streams, as an `ArrowTable` is.
    """

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object:
        """Capsules that hold an `ArrowSchema` and an `ArrowArray`."""


class BatchBounds(Protocol):
    """How a model batches: one objective at most, and bounds.

    Times are in seconds; `None` is what is not said.
    """

    @property
    def objective(self) -> float | None:
        """The time within which 99 of 100 requests are to be answered."""

    @property
    def max_delay(self) -> float | None:
        """The longest that a request may wait before its batch begins."""

    @property
    def max_batch_rows(self) -> int | None:
        """Most rows that one run takes."""

    @property
    def max_queue_rows(self) -> int | None:
        """Most rows that wait."""

    @property
    def max_queue_bytes(self) -> int | None:
        """Most bytes that wait."""

    @property
    def instances(self) -> int | None:
        """How many batches run at the same time."""


class SchemaLike(Protocol):
    """Ordered, typed columns with a fingerprint that is the same on every machine."""

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the hexadecimal digest of the canonical JSON."""

    def to_json(self) -> str:
        """Canonical JSON."""


class WatchingLike(Protocol):
    """What a bundle needs of how it is to be watched."""

    @property
    def segment(self) -> str | None:
        """The column by whose values rows are told apart."""

    def to_document(self) -> JsonObject:
        """All that is said, as JSON."""


class RulesLike(Protocol):
    """What a bundle needs of rules about its inputs."""

    def to_json(self) -> str:
        """The rules as canonical JSON."""


class FittedFeatures(Protocol):
    """What a bundle needs of a fitted feature set."""

    @property
    def input_schema(self) -> SchemaLike:
        """The raw columns that the expressions use."""

    def to_json(self) -> str:
        """The expressions and their fitted state as canonical JSON."""

    def get_feature_names_out(self) -> Iterable[str]:
        """One name for each column of the matrix."""

    def transform(self, table: ArrowTable) -> FloatMatrix:
        """The matrix of features of a table, `[rows, width]`."""
