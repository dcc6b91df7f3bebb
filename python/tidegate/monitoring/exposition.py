"""Reading Prometheus' text format: what `/metrics` says, as samples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from tidegate.errors import StateError

__all__ = ["Labels", "Sample", "labels_of", "parse"]

Labels: TypeAlias = "tuple[tuple[str, str], ...]"
"""Names and values of labels, in the order of their names."""

_LINE: Final = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"\s*,?\s*')
_ESCAPES: Final = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_ESCAPED: Final = re.compile(r'\\[\\"n]')


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of a page of metrics.

    Attributes:
        name: Of the series, such as `tidegate_requests_total`.
        labels: Its labels, in the order of their names.
        value: Also NaN or an infinity.
    """

    name: str
    labels: Labels
    value: float


def labels_of(**labels: str) -> Labels:
    """Labels as they are compared.

    Example:
        >>> labels_of(version="1.0.0", model="m")
        (('model', 'm'), ('version', '1.0.0'))
    """
    return tuple(sorted(labels.items()))


def parse(text: str) -> Iterator[Sample]:
    """Every sample of a page in Prometheus' text format, in its order.

    Args:
        text: The page; comments are passed over.

    Raises:
        StateError: If a line is no sample.

    Example:
        >>> next(parse('rows_total{model="m"} 7')).value
        7.0
    """
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        try:
            if found is None:
                raise ValueError(line)
            yield Sample(found[1], _labels(found[2] or ""), float(found[3]))
        except ValueError:
            raise StateError(f"not a sample of Prometheus' text format: {line[:80]!r}") from None


def _labels(text: str) -> Labels:
    found = {}
    at = 0
    while at < len(text):
        label = _LABEL.match(text, at)
        if label is None:
            raise ValueError(text)
        found[label[1]] = _ESCAPED.sub(lambda escape: _ESCAPES[escape[0]], label[2])
        at = label.end()
    return tuple(sorted(found.items()))
