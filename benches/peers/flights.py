"""The flights' features as a careful engineer writes them by hand: plain Python, one row at a time.

What was learned is read from the bundle's `features.json`; which columns there are, and what is
done to them, stands here.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MINUTE = 60_000_000
"""Microseconds."""

DAY_CYCLE = [
    (math.sin(hour / 24 * 2 * math.pi), math.cos(hour / 24 * 2 * math.pi)) for hour in range(24)
]
THURSDAY = 3
"""The weekday on which 1970 began; Monday is 0."""

STANDARDIZED = ("plane_year", "seats", "temp", "wind_speed", "pressure")
SCALED = ("humid", "visib")
NAMES = ("carrier", "origin", "dest", "manufacturer", "plane_type", "engine_type")

NUMBERS = struct.Struct("=17f")
"""The columns before those of the names; floats are packed, since that is faster than an array."""


class OneHot(dict):
    """The bytes of a name's columns, as Triton or JSON has it; unseen names have the last column."""

    def __init__(self, categories: list[str]) -> None:
        *seen, unseen = np.eye(len(categories) + 1, dtype=np.float32)
        for category, columns in zip(categories, seen, strict=True):
            self[category] = self[category.encode()] = columns.tobytes()
        self[None] = bytes(unseen.nbytes)
        self.unseen = unseen.tobytes()

    def __missing__(self, _: str | bytes) -> bytes:
        return self.unseen


class Features:
    """Rows of raw columns to rows of the model.

    A batch is its rows put together: column by column, NumPy took more than twice as long for 32
    rows and four times as long for 8.
    """

    def __init__(self, path: str) -> None:
        document = json.loads(Path(path).read_text())
        found = learned(document["features"])
        self.fields: list[dict[str, Any]] = document["schema"]["fields"]
        self.width = NUMBERS.size // 4
        self.names = [OneHot(found[name]["one_hot"]["categories"]) for name in NAMES]
        self.width += sum(len(names.unseen) // 4 for names in self.names)
        distance = found["distance"]["standardize"]
        self.distance = distance["mean"], distance["std"]
        self.engines = found["engines"]["fill_null"]["value"]
        self.standardized = []
        for name in STANDARDIZED:
            state = found[name]
            scale = state["standardize"]["mean"], state["standardize"]["std"]
            self.standardized.append((state["fill_null"]["value"], *scale))
        self.scaled = []
        for name in SCALED:
            state = found[name]
            least, most = state["min_max"]["min"], state["min_max"]["max"]
            self.scaled.append((state["fill_null"]["value"], least, most - least))

    def request(self, inputs: Iterable[Mapping[str, Any]]) -> np.ndarray:
        """The row of a V2 request that has an input for each raw column which is not missing."""
        return self.rows([{raw["name"]: raw["data"][0] for raw in inputs}])

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> np.ndarray:
        """`[rows, width]` of rows that hold what is not missing."""
        content = b"".join([self.row(values) for values in rows])
        return np.frombuffer(content, dtype=np.float32).reshape(-1, self.width)

    def row(self, values: Mapping[str, Any]) -> bytes:
        """One row's 32-bit floats."""
        get = values.get
        carriers, origins, dests, manufacturers, plane_types, engine_types = self.names
        distance_mean, distance_std = self.distance
        plane_year, seats, temp, wind, pressure = self.standardized
        humid, visib = self.scaled

        departure = values["scheduled_departure"] // MINUTE
        minute = departure % 1440
        sine, cosine = DAY_CYCLE[minute // 60]
        return (
            NUMBERS.pack(
                sine,
                cosine,
                minute,
                (departure // 1440 + THURSDAY) % 7,
                values["scheduled_arrival"] // MINUTE // 60 % 24,
                (math.log1p(values["distance"]) - distance_mean) / distance_std,
                (get("plane_year", plane_year[0]) - plane_year[1]) / plane_year[2],
                "plane_year" not in values,
                get("engines", self.engines),
                (get("seats", seats[0]) - seats[1]) / seats[2],
                "temp" not in values,
                (get("temp", temp[0]) - temp[1]) / temp[2],
                (get("humid", humid[0]) - humid[1]) / humid[2],
                (min(max(get("wind_speed", wind[0]), 0.0), 60.0) - wind[1]) / wind[2],
                math.log1p(get("precip", 0.0)),
                (get("pressure", pressure[0]) - pressure[1]) / pressure[2],
                (get("visib", visib[0]) - visib[1]) / visib[2],
            )
            + carriers[values["carrier"]]
            + origins[values["origin"]]
            + dests[values["dest"]]
            + manufacturers[get("manufacturer")]
            + plane_types[get("plane_type")]
            + engine_types[get("engine_type")]
        )


def learned(features: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What was learned from each column, by the operation that learned it."""
    found: dict[str, dict[str, Any]] = {}
    for feature in features:
        states, step = {}, feature
        while step is not None and step["op"] != "col":
            if "state" in step:
                states[step["op"]] = step["state"]
            step = step.get("input")
        if step is not None:
            found.setdefault(step["name"], {}).update(states)
    return found
