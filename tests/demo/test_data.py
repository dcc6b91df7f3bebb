from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from tidegate.demo import data
from tidegate.errors import InputError, MissingDependencyError


@pytest.fixture(scope="module")
def sources() -> data.Sources:
    return data.read()


@pytest.fixture(scope="module")
def flights(sources: data.Sources) -> data.Flights:
    return data.join(sources)


def test_every_statement_holds(sources: data.Sources) -> None:
    checks = data.check(sources)
    assert len(checks) >= 8
    assert [check for check in checks if not check.ok] == []


def test_a_wrong_table_is_noticed(sources: data.Sources) -> None:
    def failing(**changed: pl.DataFrame) -> set[str]:
        return {c.what for c in data.check(dataclasses.replace(sources, **changed)) if not c.ok}

    assert "flights of 2013" in failing(flights=sources.flights.head(1000))
    assert "hours of weather twice at one origin" in failing(
        weather=pl.concat([sources.weather, sources.weather.head(1)])
    )
    at_noon_61 = sources.flights.with_columns(sched_dep_time=pl.lit(1261, dtype=pl.Int64))
    assert "schedule outside of the clock" in failing(flights=at_noon_61)


def test_flights_without_arrival_are_counted(flights: data.Flights) -> None:
    assert flights.table.height == 327_346
    assert flights.without_arrival == 9_430
    assert flights.with_weather == pytest.approx(0.995, abs=0.001)
    assert flights.with_plane == pytest.approx(0.852, abs=0.001)


def test_late_is_more_than_fifteen_minutes(flights: data.Flights) -> None:
    table = flights.table
    assert table.filter(pl.col("arr_delay") == 15)["late"].any() is False
    assert table.filter(pl.col("arr_delay") == 16)["late"].all() is True
    rates = table.group_by("month").agg(pl.col("late").mean()).sort("month")["late"].to_list()
    assert rates[8] == pytest.approx(0.132, abs=0.001)
    assert rates[11] == pytest.approx(0.326, abs=0.001)


def test_time_order_and_schedule(flights: data.Flights) -> None:
    table = flights.table
    assert table["scheduled_departure"].is_sorted()
    departure, arrival = table["scheduled_departure"], table["scheduled_arrival"]
    assert ((arrival - departure).dt.total_hours() < 24).all()
    assert (arrival >= departure).all()
    clock = departure.dt.hour().cast(pl.Int64) * 100 + departure.dt.minute()
    assert (clock == table["sched_dep_time"]).all()


def test_weather_is_that_of_the_true_hour(sources: data.Sources, flights: data.Flights) -> None:
    row = flights.table.filter(pl.col("weather_known"))[12_345]
    found = sources.weather.filter(
        (pl.col("origin") == row["origin"][0]) & (pl.col("time_hour") == row["time_hour"][0])
    )
    assert found["temp"].to_list() == row["temp"].to_list()


def test_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "PACKAGE", "no-such-distribution")
    with pytest.raises(MissingDependencyError, match="pip install"):
        data.locate("flights.csv.zip")


def test_no_arrival_at_all(sources: data.Sources) -> None:
    empty = dataclasses.replace(sources, flights=sources.flights.clear())
    with pytest.raises(InputError, match="no flight that arrived"):
        data.join(empty)
