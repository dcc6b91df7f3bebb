"""Places on earth, as latitude and longitude in degrees."""

from __future__ import annotations

from typing import Literal

from tidegate.features.expression import Expr
from tidegate.features.tree import operand

__all__ = ["Point", "point"]


class Point:
    """A place, made by `point`. What is computed from it is an expression."""

    __slots__ = ("_lat", "_lon")

    def __init__(self, lat: object, lon: object) -> None:
        self._lat = operand(lat)
        self._lon = operand(lon)

    def _to(self, op: str, other: Point) -> Expr:
        there = {"to_lat": other._lat, "to_lon": other._lon}
        return Expr({"op": op, "lat": self._lat, "lon": self._lon, **there})

    def distance(self, other: Point, *, unit: Literal["km", "m", "miles"] | None = None) -> Expr:
        """The great-circle distance, by the haversine formula on a sphere of the mean radius.

        Args:
            other: the other place.
            unit: `"km"`, which is the default, `"m"` or `"miles"`.

        >>> from tidegate.features import col
        >>> newark = point(40.6925, -74.1687)
        >>> far = newark.distance(point(col("lat"), col("lon")), unit="miles")
        """
        tree = self._to("haversine", other)
        return tree if unit is None else Expr({**tree.to_dict(), "unit": unit})

    def bearing(self, other: Point) -> Expr:
        """The direction in which the other place lies: degrees from north over east, below 360."""
        return self._to("bearing", other)

    def geohash(self, precision: int, *, number: bool | None = None) -> Expr:
        """The cell of the world that the place lies in.

        Args:
            precision: how many characters, 1 (a continent) to 12 (a hand).
            number: as the number of the cell's bits, for up to 10 characters; a text, which is to
                be encoded, by default.

        >>> from tidegate.features import col
        >>> cell = point(col("lat"), col("lon")).geohash(5).one_hot(min_count=10)
        """
        tree = Expr({"op": "geohash", "lat": self._lat, "lon": self._lon, "precision": precision})
        return tree if number is None else Expr({**tree.to_dict(), "number": number})

    def inside(self, south: float, west: float, *, north: float, east: float) -> Expr:
        """1 within a box, its edges included, else 0; across the date line if west is above east.

        >>> from tidegate.features import col
        >>> near = point(col("lat"), col("lon")).inside(40, -75, north=42, east=-73)
        """
        edges = {"south": south, "west": west, "north": north, "east": east}
        return Expr({"op": "in_box", "lat": self._lat, "lon": self._lon, **edges})


def point(lat: object, lon: object) -> Point:
    """A place by its latitude and longitude.

    Args:
        lat: degrees north of the equator, -90 to 90; an expression or a number.
        lon: degrees east of Greenwich; an expression or a number.

    >>> from tidegate.features import col
    >>> home = point(col("lat"), col("lon"))
    """
    return Point(lat, lon)
