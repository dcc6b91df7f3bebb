"""Times: pandas and the standard library are the references."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest

from tidegate.errors import InputError
from tidegate.features import Expr, FeatureSet, Field, Schema, col, lit

MICROS = np.random.default_rng(3).integers(-5 * 10**15, 9 * 10**15, 20_000)
ZONES = ["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]


def ours(micros: npt.NDArray[np.int64], *features: Expr) -> npt.NDArray[np.float32]:
    table = pa.table({"t": pa.array(micros, pa.timestamp("us"))})
    named = [feature.alias(str(place)) for place, feature in enumerate(features)]
    return FeatureSet(Schema.infer(table), named).fit_transform(table)


def test_parts_agree_with_pandas() -> None:
    times = pd.Series(MICROS.astype("datetime64[us]"))
    iso = times.dt.isocalendar()
    expected: dict[str, Any] = {
        "week": iso["week"],
        "iso_year": iso["year"],
        "days_in_month": times.dt.days_in_month,
        "millisecond": times.dt.microsecond // 1000,
        "microsecond": times.dt.microsecond,
        "is_weekend": times.dt.day_of_week >= 5,
        "is_month_start": times.dt.is_month_start,
        "is_month_end": times.dt.is_month_end,
        "is_leap_year": times.dt.is_leap_year,
    }
    matrix = ours(MICROS, *(getattr(col("t").dt, part)() for part in expected))
    for place, (part, values) in enumerate(expected.items()):
        np.testing.assert_array_equal(matrix[:, place], np.asarray(values, dtype=float), part)


@pytest.mark.parametrize("zone", ZONES)
def test_parts_in_a_zone_agree_with_pandas(zone: str) -> None:
    # From 1900 on, before the rules that countries may still change.
    micros = MICROS[(MICROS > -2_208_988_800_000_000) & (MICROS < 1_700_000_000_000_000)]
    hours = np.arange(1_380_000_000, 1_400_000_000, 1_800) * 1_000_000
    for values in (micros, np.sort(micros), hours):
        local = pd.Series(values.astype("datetime64[us]")).dt.tz_localize("UTC").dt.tz_convert(zone)
        parts = ["year", "month", "day", "hour", "minute", "second", "day_of_year"]
        there = col("t").dt.in_zone(zone)
        matrix = ours(values, *(getattr(there, part)() for part in parts), there.epoch())
        for place, part in enumerate(parts):
            np.testing.assert_array_equal(matrix[:, place], getattr(local.dt, part), part)
        np.testing.assert_array_equal(matrix[:, -1], (values / 1e6).astype(np.float32))


def test_the_database_of_zones_is_written_down() -> None:
    schema = Schema([Field("t", "timestamp", nullable=True)])
    features = FeatureSet(schema, [col("t").dt.in_zone("Asia/Tokyo").hour()])
    assert '"database":"20' in features.to_json()
    older = features.to_json().replace('"database":"', '"database":"1')
    assert '"database":"120' in FeatureSet.from_json(older).to_json()
    row = FeatureSet.from_json(features.to_json()).fit(
        pa.table({"t": pa.array([0], pa.timestamp("us"))})
    )
    assert row.transform_row({"t": datetime(2013, 1, 1, 20, tzinfo=UTC)}).tolist() == [5]
    assert np.isnan(row.transform_row({})).all()


def test_since() -> None:
    start = datetime(2013, 1, 1, tzinfo=UTC)
    micros = np.asarray([0, 1, 86_400_000_000, 1_372_636_800_123_456])
    units = {
        "microseconds": 1,
        "milliseconds": 1e3,
        "seconds": 1e6,
        "minutes": 60e6,
        "hours": 3600e6,
        "days": 86_400e6,
        "weeks": 604_800e6,
    }
    since: Any = col("t").dt.since
    matrix = ours(micros, *(since(start, unit=unit) for unit in units))
    begin = int(start.timestamp()) * 1_000_000
    for place, micro in enumerate(units.values()):
        np.testing.assert_allclose(matrix[:, place], (micros - begin) / micro, rtol=1e-6)
    none = ours(micros, col("t").dt.in_zone("Asia/Tokyo").since(col("t")))
    assert (none == 0).all(), "time that passes does not depend on clocks"
    assert str(col("t").dt.since(lit(start))) == 'col("t").since(1356998400000000, unit="days")'


def test_holidays() -> None:
    days = [date(2013, 12, 25), date(2014, 1, 1), date(2013, 7, 4)]
    hours = pd.date_range("2013-06-01", "2014-01-10", freq="5h").to_numpy("datetime64[us]")
    zone = "America/New_York"
    there = pd.Series(hours).dt.tz_localize("UTC").dt.tz_convert(zone).dt.date
    local = col("t").dt.in_zone(zone)
    matrix = ours(
        hours.astype(np.int64), local.is_holiday(days), local.days_to_holiday(map(str, days))
    )
    np.testing.assert_array_equal(matrix[:, 0], there.isin(days))
    to_next = [
        min(((day - today).days for day in days if day >= today), default=np.nan) for today in there
    ]
    np.testing.assert_array_equal(matrix[:, 1], to_next)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (col("t").dt.in_zone("new_york").hour(), 'did you mean "America/New_York"'),
        (col("x").dt.in_zone("UTC").hour(), "takes a timestamp but gets a number"),
        (col("x").dt.since(col("t")), "takes two timestamps but gets a number"),
        (col("t").dt.is_holiday([]), "0 dates: give 1 to 100000"),
        (col("t").dt.is_holiday(["2013-02-29"]), '"2013-02-29" is no date'),
        (col("x").dt.is_weekend(), "takes a timestamp but gets a number"),
    ],
)
def test_bad_input(feature: Expr, message: str) -> None:
    schema = Schema([Field("t", "timestamp", nullable=True), Field("x", "float64", nullable=True)])
    with pytest.raises(InputError, match=message):
        FeatureSet(schema, [feature])
    with pytest.raises(InputError, match="is no date: use"):
        col("t").dt.is_holiday([datetime(2013, 1, 1)])
