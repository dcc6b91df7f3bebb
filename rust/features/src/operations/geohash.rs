//! The cell of the world that a place lies in (Niemeyer 2008): halves of longitude and latitude in
//! turn, five of them a character. As a text, to be encoded, or as the number that its bits make.
//! Missing where a coordinate is, or where a latitude lies beyond a pole; longitudes go round.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::geo::{latitude, longitude};
use crate::expression::{Entry, Expression, Inputs, Nothing, number};
use crate::kernel::Kernel;
use crate::value::Type;

/// Characters by their five bits.
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
const BITS_PER_CHARACTER: u32 = 5;
/// Most characters: 30 bits a coordinate, a cell of 4 centimetres.
const MAX_PRECISION: u32 = 12;
/// Most characters whose bits a 64-bit float holds exactly.
const MAX_NUMBER_PRECISION: u32 = 10;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Geohash {
    precision: u32,
    /// As a number, not as a text.
    #[serde(default)]
    number: bool,
}

/// Which of `2^bits` equal parts of a range a value lies in; its end lies in the last.
#[inline]
fn part(value: f64, low: f64, width: f64, bits: u32) -> u64 {
    let count = f64::from(1 << bits);
    let step = width / count;
    let guess = ((value - low) / step).floor().clamp(0.0, count - 1.0);
    // Edges are exact as floats and the quotient is not, so it may lie one beside.
    let below = if value < low + guess * step { 1.0 } else { 0.0 };
    let above = if value >= low + (guess + 1.0) * step {
        1.0
    } else {
        0.0
    };
    (guess - below + above).clamp(0.0, count - 1.0) as u64
}

/// The bits of a cell: those of longitude and latitude in turn, longitude first.
#[inline]
fn cell(lat: f64, lon: f64, bits: u32) -> u64 {
    let spread = |mut bits: u64| {
        // Each step halves the groups and doubles the gaps between them.
        for (shift, mask) in [
            (16, 0x0000_ffff_0000_ffff),
            (8, 0x00ff_00ff_00ff_00ff),
            (4, 0x0f0f_0f0f_0f0f_0f0f),
            (2, 0x3333_3333_3333_3333),
            (1, 0x5555_5555_5555_5555),
        ] {
            bits = (bits | bits << shift) & mask;
        }
        bits
    };
    let east = spread(part(lon, -180.0, 360.0, bits.div_ceil(2)));
    let north = spread(part(lat, -90.0, 180.0, bits / 2));
    // The last bit is one of longitude where there is an odd number of them.
    if bits.is_multiple_of(2) {
        east << 1 | north
    } else {
        east | north << 1
    }
}

impl Expression for Geohash {
    const NAME: &'static str = "geohash";
    const INPUTS: Inputs = Inputs::Named(&["lat", "lon"]);
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        let most = if self.number {
            MAX_NUMBER_PRECISION
        } else {
            MAX_PRECISION
        };
        if (1..=most).contains(&self.precision) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "precision {}: use 1 to {MAX_PRECISION} characters, to {MAX_NUMBER_PRECISION} as a number",
            self.precision
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        let kind = if self.number {
            Type::Number
        } else {
            Type::Text
        };
        number(inputs).map(|()| kind)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        let bits = self.precision * BITS_PER_CHARACTER;
        if self.number {
            return Ok(Kernel::zip(move |lat, lon| {
                let (lat, lon) = (latitude(lat), longitude(lon));
                if lat.is_nan() || lon.is_nan() {
                    f64::NAN
                } else {
                    cell(lat, lon, bits) as f64
                }
            }));
        }
        let precision = self.precision;
        Ok(Kernel::Texts(Box::new(move |inputs, _, out| {
            let places = inputs[0].numbers().iter().zip(inputs[1].numbers());
            for (&lat, &lon) in places {
                let (lat, lon) = (latitude(lat), longitude(lon));
                if lat.is_nan() || lon.is_nan() {
                    out.push(None);
                    continue;
                }
                let cell = cell(lat, lon, bits);
                out.push_with(|text| {
                    for character in (0..precision).rev() {
                        let index = (cell >> (character * BITS_PER_CHARACTER)) as usize & 31;
                        text.push(char::from(ALPHABET[index]));
                    }
                    true
                });
            }
        })))
    }

    fn name(&self, inputs: &[&str]) -> String {
        format!("{}_geohash", inputs.first().copied().unwrap_or_default())
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Geohash>(&[
    r#"{"op":"ordinal","input":{"op":"geohash","precision":5,"lat":{"op":"col","name":"n"},"lon":{"op":"col","name":"x"}}}"#,
    r#"{"op":"geohash","precision":7,"number":true,"lat":{"op":"col","name":"x"},"lon":{"op":"col","name":"n"}}"#,
]);

#[cfg(test)]
mod tests {
    use super::*;

    /// Halving as the scheme is usually told.
    fn halved(lat: f64, lon: f64, bits: u32) -> u64 {
        let (mut lats, mut lons) = ([-90.0, 90.0], [-180.0, 180.0]);
        let mut found = 0;
        for bit in 0..bits {
            let (range, value) = if bit % 2 == 0 {
                (&mut lons, lon)
            } else {
                (&mut lats, lat)
            };
            let middle = (range[0] + range[1]) / 2.0;
            let upper = value >= middle;
            range[usize::from(!upper)] = middle;
            found = found << 1 | u64::from(upper);
        }
        found
    }

    #[test]
    fn cells_are_those_of_halving() {
        let edges = [
            -90.0,
            -45.0,
            -0.0,
            11.25,
            42.605,
            57.649_11,
            89.999_999_99,
            90.0,
        ];
        for lat in edges {
            for lon in [-180.0, -135.0, -5.603, 0.0, 10.407_44, 179.999_999_9, 180.0] {
                for bits in (1..=12).map(|precision| precision * BITS_PER_CHARACTER) {
                    assert_eq!(cell(lat, lon, bits), halved(lat, lon, bits), "{lat} {lon}");
                }
            }
        }
        // Every edge of a fine grid belongs to the cell above it.
        for step in 0..4096 {
            let lat = f64::from(step) * (180.0 / 4096.0) - 90.0;
            assert_eq!(cell(lat, lat, 60), halved(lat, lat, 60), "{lat}");
        }
    }
}
