"""Flights as live traffic: rows over HTTP as JSON for people and as tensors for programs."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np
import orjson

from tidegate.demo.task import CATEGORICAL, CLOCK, LABEL, MODEL, RAW, raw
from tidegate.errors import (
    BackendError,
    IntegrityError,
    MissingDependencyError,
    StorageError,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

__all__ = [
    "BATCH_ROWS",
    "Client",
    "Month",
    "bodies",
    "month_label",
    "replay",
    "send_labels",
    "tensors",
]

BATCH_ROWS: Final = 500
"""Flights in one request of the replay."""

SECONDS: Final = 30.0
"""How long one answer may take."""


@dataclass(frozen=True)
class Month:
    """One month of traffic: what was sent, what was answered, and what came true."""

    label: str
    scores: npt.NDArray[np.float64]
    late: npt.NDArray[np.bool_]
    answers: tuple[tuple[str, int], ...]
    """The id of each answer, and how many rows it has: labels are sent under them."""

    @property
    def requests(self) -> int:
        """How many requests it took."""
        return len(self.answers)


class Client:
    """One kept-open connection to a server.

    Args:
        address: `host:port`.
    """

    def __init__(self, address: str) -> None:
        self.address: Final = address
        self._connection = http.client.HTTPConnection(address, timeout=SECONDS)

    def call(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Sends one request and decodes the JSON that comes back.

        Args:
            method: The HTTP method.
            path: The request target.
            body: JSON, or nothing.

        Raises:
            StorageError: The server cannot be reached.
            BackendError: The status is not 200; the message is the server's own.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            self._connection.request(method, path, body=body, headers=headers)
            reply = self._connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise StorageError(f"the server at {self.address} does not answer: {error}") from error
        if reply.status != http.HTTPStatus.OK:
            raise BackendError(
                f"{path} answered {reply.status}: {content.decode(errors='replace')}"
            )
        return orjson.loads(content)

    def predict(self, body: bytes) -> npt.NDArray[np.float64]:
        """Asks for the probabilities of being late.

        Args:
            body: `{"instances": [...]}` as JSON.

        Returns:
            One probability a row.
        """
        return self.ask(body)[1]

    def ask(self, body: bytes) -> tuple[str, npt.NDArray[np.float64]]:
        """The same, with the id that labels are sent under.

        Args:
            body: `{"instances": [...]}` as JSON.
        """
        answer = self.call("POST", f"/v1/models/{MODEL}:predict", body)
        scores = np.array([row["probabilities"][1] for row in answer["predictions"]])
        return answer["prediction_id"], scores

    def feedback(self, entries: list[dict[str, Any]]) -> dict[str, int]:
        """Sends labels.

        Args:
            entries: `prediction_id` and `label` of each.

        Returns:
            What became of them.
        """
        body = orjson.dumps({"feedback": entries}, option=orjson.OPT_SERIALIZE_NUMPY)
        answer = self.call("POST", f"/v1/models/{MODEL}:feedback", body)
        labels: dict[str, int] = answer["labels"]
        return labels

    def quality(self) -> dict[str, Any]:
        """How good the predictions of the served version were by labels, and by its estimate."""
        report = self.call("GET", f"/v1/models/{MODEL}/quality")
        newest: dict[str, Any] = report["versions"][-1]
        return newest

    def drift(self) -> dict[str, Any]:
        """The windows that the server has watched, compared with the baseline."""
        report: dict[str, Any] = self.call("GET", f"/v1/models/{MODEL}/drift")
        return report

    def close_window(self, label: str) -> None:
        """Ends the open window under a name."""
        self.call("POST", f"/v1/models/{MODEL}/drift:close?label={quote(label)}")

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def bodies(table: pl.DataFrame, rows: int) -> Iterator[bytes]:
    """Rows as the JSON that people write, `rows` of them a request.

    A missing value is `null`, a time is RFC 3339.

    Args:
        table: Joined flights.
        rows: Rows a request; the last may have fewer.
    """
    columns = raw(table)
    for part in columns.iter_slices(rows):
        # orjson writes datetime as RFC 3339; a time without a zone is UTC by this option.
        yield orjson.dumps({"instances": part.to_dicts()}, option=orjson.OPT_NAIVE_UTC)


def tensors(table: pl.DataFrame) -> list[Any]:
    """The same rows as the Open Inference Protocol has them: one tensor of `[n, 1]` a column.

    A missing float is NaN. A missing integer or text has some value and is marked in the BOOL
    tensor `<column>.is_null`. A time is INT64, microseconds since 1970.

    Args:
        table: Joined flights.

    Returns:
        `tritonclient.http.InferInput` objects.

    Raises:
        MissingDependencyError: `tritonclient` is not installed.
    """
    try:
        from tritonclient.http import InferInput
    except ImportError:
        raise MissingDependencyError(
            "the demo asks through tritonclient: type: pip install 'tidegate[demo]'"
        ) from None

    def tensor(name: str, datatype: str, values: npt.NDArray[Any]) -> Any:
        sent = InferInput(name, [len(values), 1], datatype)
        sent.set_data_from_numpy(values.reshape(-1, 1))
        return sent

    inputs = []
    for name in RAW:
        column = table[name]
        if name in CLOCK:
            inputs.append(tensor(name, "INT64", column.dt.epoch("us").to_numpy()))
        elif name in CATEGORICAL:
            filled = column.fill_null("").to_numpy().astype(np.object_)
            inputs.append(tensor(name, "BYTES", filled))
        elif column.dtype.is_float():
            inputs.append(tensor(name, "FP64", column.fill_null(float("nan")).to_numpy()))
            continue
        else:
            inputs.append(tensor(name, "INT64", column.fill_null(0).to_numpy().astype(np.int64)))
        if column.null_count():
            inputs.append(tensor(f"{name}.is_null", "BOOL", column.is_null().to_numpy()))
    return inputs


def month_label(month: int) -> str:
    """The name of a month's window.

    >>> month_label(7)
    '2013-07'
    """
    return f"2013-{month:02}"


def replay(client: Client, table: pl.DataFrame, month: int) -> Month:
    """Sends one month in time order and closes its window.

    Args:
        client: A connection to the server.
        table: The flights of that month.
        month: 1 to 12.

    Returns:
        The answers beside what came true.
    """
    answers = [client.ask(body) for body in bodies(table, BATCH_ROWS)]
    label = month_label(month)
    client.close_window(label)
    return Month(
        label=label,
        scores=np.concatenate([scores for _, scores in answers]),
        late=table[LABEL].to_numpy(),
        answers=tuple((answer, scores.size) for answer, scores in answers),
    )


def send_labels(client: Client, month: Month) -> None:
    """Tells the server what came true of a month that it has predicted.

    Args:
        client: A connection to the server.
        month: What was answered, and what came true.

    Raises:
        IntegrityError: A label has not met its prediction.
    """
    late = iter(month.late.astype(np.int64).tolist())
    entries = [
        {"prediction_id": f"{answer}/{row}", "label": next(late)}
        for answer, rows in month.answers
        for row in range(rows)
    ]
    outcome = client.feedback(entries)
    if outcome["joined"] != month.late.size:
        raise IntegrityError(
            f"of {month.late.size:,} labels of {month.label} {outcome['joined']:,} have met their "
            "predictions: give the server more room with runtime.feedback_bytes"
        )
