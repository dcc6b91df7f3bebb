"""Places: scikit-learn and published values are the references."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.metrics.pairwise import haversine_distances

from tidegate.errors import InputError
from tidegate.features import Expr, FeatureSet, Schema, col, point

RADIUS = 6371.0088
PLACES = pd.DataFrame(
    {
        "lat": [45.7597, 40.6925, 0.0, 90.0, -33.9, 12.0],
        "lon": [4.8422, -74.1687, 0.0, 0.0, 151.2, 179.0],
        "lat2": [48.8567, 51.47, 0.0, -90.0, 51.5, 12.0],
        "lon2": [2.3508, -0.4543, 180.0, 0.0, 0.1, -179.0],
    }
)


def ours(frame: pd.DataFrame, *features: Expr) -> npt.NDArray[np.float32]:
    named = [feature.alias(str(place)) for place, feature in enumerate(features)]
    return FeatureSet(Schema.infer(frame, nullable=True), named).fit_transform(frame)


A, B = point(col("lat"), col("lon")), point(col("lat2"), col("lon2"))


def test_distances_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    many = pd.DataFrame(
        {
            "lat": rng.uniform(-90, 90, 3000),
            "lon": rng.uniform(-180, 180, 3000),
            "lat2": rng.uniform(-90, 90, 3000),
            "lon2": rng.uniform(-180, 180, 3000),
        }
    )
    for frame in (PLACES, many):
        left = np.radians(frame[["lat", "lon"]].to_numpy())
        right = np.radians(frame[["lat2", "lon2"]].to_numpy())
        rows = zip(left, right, strict=True)
        expected = np.array([haversine_distances([a], [b])[0, 0] for a, b in rows]) * RADIUS
        matrix = ours(frame, A.distance(B), A.distance(B, unit="m"), A.distance(B, unit="miles"))
        factors = np.array([1.0, 1000.0, 1 / 1.609344])
        np.testing.assert_allclose(matrix, expected[:, None] * factors, rtol=1e-6)
    # Lyon to Paris, as the documentation of the haversine package has it.
    lyon = ours(PLACES, A.distance(B), A.distance(B, unit="miles"))[0]
    np.testing.assert_allclose(lyon, [392.2172595594006, 243.71250609539814], rtol=1e-6)


def test_bearings() -> None:
    frame = pd.DataFrame(
        {
            "lat": [0.0, 0.0, 0.0, 0.0, 39.099912, 10.0],
            "lon": [0.0, 0.0, 0.0, 0.0, -94.581213, 5.0],
            "lat2": [10.0, 0.0, -10.0, 0.0, 38.627089, 10.0],
            "lon2": [0.0, 10.0, 0.0, -10.0, -90.200203, 5.0],
        }
    )
    # Kansas City to St. Louis is a published example.
    np.testing.assert_allclose(
        ours(frame, A.bearing(B))[:, 0], [0, 90, 180, 270, 96.51262423499946, 0], rtol=1e-6
    )


def test_geohashes_are_those_published() -> None:
    frame = pd.DataFrame({"lat": [57.64911, 42.6, 0.0, 95.0], "lon": [10.40744, -5.6, 360.0, 1.0]})
    cells = [
        (11, ["u4pruydqqvj", "ezs42e44yx9", "s0000000000"]),
        (5, ["u4pru", "ezs42", "s0000"]),
        (1, ["u", "e", "s"]),
    ]
    for precision, expected in cells:
        features = FeatureSet(
            Schema.infer(frame), [A.geohash(precision).one_hot(unknown=False).alias("cell")]
        ).fit(frame)
        names = features.get_feature_names_out().tolist()
        assert names == sorted(f"cell={cell}" for cell in expected)
        assert features.transform(frame)[3].sum() == 0, "beyond a pole is nowhere"
    numbers = ours(frame, A.geohash(1, number=True))[:, 0]
    alphabet = "0123456789bcdefghjkmnpqrstuvwxyz"
    assert numbers[:3].tolist() == [alphabet.index(cell) for cell in "ues"]
    assert np.isnan(numbers[3])


def test_boxes() -> None:
    inside = A.inside(-10, 170, north=50, east=-170)
    assert ours(PLACES, inside)[:, 0].tolist() == [0, 0, 0, 0, 0, 1]
    europe = A.inside(35, -10, north=60, east=30)
    assert ours(PLACES, europe)[:, 0].tolist() == [1, 0, 0, 0, 0, 0]
    holes = PLACES.assign(lat=[np.nan, 91.0, 0, 0, 0, 0])
    assert np.isnan(ours(holes, europe)[:2, 0]).all()


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (A.geohash(0), "precision 0: use 1 to 12"),
        (A.geohash(11, number=True), "to 10 as a number"),
        (A.geohash(3), "end it with one_hot"),
        (A.inside(50, 0, north=40, east=1), "the box from 50, 0 to 40, 1 is none"),
        (A.distance(point(col("name"), 3)), "takes a number but gets a string"),
        (A.distance(B, unit="feet"), "unknown variant `feet`"),  # type: ignore[arg-type]
    ],
)
def test_bad_input(feature: Expr, message: str) -> None:
    frame = PLACES.assign(name="x")
    with pytest.raises(InputError, match=message):
        FeatureSet(Schema.infer(frame), [feature])
