//! Places on earth, as latitude and longitude in degrees: distance and bearing between two of them,
//! and whether one lies in a box. The earth is a sphere of the mean radius. Missing where a
//! coordinate is, or where a latitude lies beyond a pole; longitudes go round.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use crate::expression::{Entry, Expression, Inputs, Nothing, number};
use crate::kernel::Kernel;
use crate::value::{Type, Values};

/// The mean radius of the earth of the International Union of Geodesy and Geophysics.
const RADIUS_KM: f64 = 6_371.008_8;
const KM_PER_MILE: f64 = 1.609_344;

/// Two places, in this order.
const PLACES: Inputs = Inputs::Named(&["lat", "lon", "to_lat", "to_lon"]);

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    #[default]
    Km,
    M,
    Miles,
}

impl Unit {
    const fn radius(self) -> f64 {
        match self {
            Self::Km => RADIUS_KM,
            Self::M => RADIUS_KM * 1000.0,
            Self::Miles => RADIUS_KM / KM_PER_MILE,
        }
    }
}

/// A latitude, or missing beyond a pole.
#[inline]
pub(super) fn latitude(value: f64) -> f64 {
    if value.abs() <= 90.0 { value } else { f64::NAN }
}

/// A longitude between −180 and 180.
#[inline]
pub(super) fn longitude(value: f64) -> f64 {
    if value.abs() <= 180.0 {
        value
    } else {
        (value + 180.0).rem_euclid(360.0) - 180.0
    }
}

/// Runs over the rows of two places.
fn each(inputs: &[Values<'_>], out: &mut [f64], f: impl Fn([f64; 2], [f64; 2]) -> f64) {
    let [lat, lon, to_lat, to_lon] = inputs else {
        return;
    };
    let from = lat.numbers().iter().zip(lon.numbers());
    let to = to_lat.numbers().iter().zip(to_lon.numbers());
    for (out, (from, to)) in out.iter_mut().zip(from.zip(to)) {
        let radians = |(lat, lon): (&f64, &f64)| [latitude(*lat).to_radians(), lon.to_radians()];
        *out = f(radians(from), radians(to));
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Haversine {
    #[serde(default)]
    unit: Unit,
}

impl Expression for Haversine {
    const NAME: &'static str = "haversine";
    const INPUTS: Inputs = PLACES;
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let diameter = 2.0 * self.unit.radius();
        Ok(Kernel::Numbers(Box::new(move |inputs, out| {
            each(inputs, out, |[lat, lon], [to_lat, to_lon]| {
                let (north, east) = (((to_lat - lat) / 2.0).sin(), ((to_lon - lon) / 2.0).sin());
                let square = north * north + lat.cos() * to_lat.cos() * east * east;
                // Rounding may lift antipodes above 1.
                diameter * if square > 1.0 { 1.0 } else { square }.sqrt().asin()
            });
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_distance", inputs.first().copied().unwrap_or_default())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bearing {}

impl Expression for Bearing {
    const NAME: &'static str = "bearing";
    const INPUTS: Inputs = PLACES;
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::Numbers(Box::new(|inputs, out| {
            each(inputs, out, |[lat, lon], [to_lat, to_lon]| {
                let turn = to_lon - lon;
                let east = turn.sin() * to_lat.cos();
                let north = lat.cos() * to_lat.sin() - lat.sin() * to_lat.cos() * turn.cos();
                let degrees = east.atan2(north).to_degrees();
                // A tiny negative angle would round up to the whole turn.
                let degrees = if degrees < 0.0 {
                    degrees + 360.0
                } else {
                    degrees
                };
                if degrees >= 360.0 { 0.0 } else { degrees }
            });
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_bearing", inputs.first().copied().unwrap_or_default())
    }
}

/// Its edges are inside. It crosses the date line where `west` is above `east`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InBox {
    south: f64,
    west: f64,
    north: f64,
    east: f64,
}

impl Expression for InBox {
    const NAME: &'static str = "in_box";
    const INPUTS: Inputs = Inputs::Named(&["lat", "lon"]);
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        let known = |value: f64, most: f64| value.abs() <= most;
        if known(self.south, 90.0)
            && known(self.north, 90.0)
            && known(self.west, 180.0)
            && known(self.east, 180.0)
            && self.south <= self.north
        {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the box from {}, {} to {}, {} is none: give south, west, north and east in degrees, with south below north",
            self.south, self.west, self.north, self.east
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Bool)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let Self {
            south,
            west,
            north,
            east,
        } = *self;
        let crosses = west > east;
        Ok(Kernel::zip(move |lat, lon| {
            let (lat, lon) = (latitude(lat), longitude(lon));
            if lat.is_nan() || lon.is_nan() {
                return f64::NAN;
            }
            let (after, before) = (west <= lon, lon <= east);
            let within = if crosses {
                after || before
            } else {
                after && before
            };
            f64::from(within && south <= lat && lat <= north)
        }))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_in_box", inputs.first().copied().unwrap_or_default())
    }
}

macro_rules! example {
    ($op:literal) => {
        concat!(
            r#"{"op":""#,
            $op,
            r#"","lat":{"op":"col","name":"n"},"lon":{"op":"col","name":"x"},"to_lat":{"op":"literal","value":40.6},"to_lon":{"op":"literal","value":-73.8}}"#
        )
    };
}

pub(super) const HAVERSINE: Entry = Entry::of::<Haversine>(&[
    example!("haversine"),
    r#"{"op":"haversine","unit":"miles","lat":{"op":"col","name":"n"},"lon":{"op":"col","name":"n"},"to_lat":{"op":"col","name":"b"},"to_lon":{"op":"col","name":"x"}}"#,
]);
pub(super) const BEARING: Entry = Entry::of::<Bearing>(&[example!("bearing")]);
pub(super) const IN_BOX: Entry = Entry::of::<InBox>(&[
    r#"{"op":"in_box","south":-1,"west":-5.5,"north":9,"east":12,"lat":{"op":"col","name":"n"},"lon":{"op":"col","name":"x"}}"#,
    r#"{"op":"in_box","south":0,"west":5,"north":90,"east":-5,"lat":{"op":"col","name":"n"},"lon":{"op":"col","name":"x"}}"#,
]);
