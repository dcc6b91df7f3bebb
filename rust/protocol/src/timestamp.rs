//! Times on the wire: RFC 3339 texts to microseconds since 1970 UTC, and back.

use tidegate_schema::{Error, Result};

const MICROS: i64 = 1_000_000;

/// Microseconds since 1970-01-01T00:00:00 UTC of an RFC 3339 text.
///
/// The offset is required (`Z` or `±hh:mm`): a time without one is not a point in time. `T`, `t`
/// or a space stands between date and time. Digits below a microsecond are cut off. Leap seconds
/// (`:60`) are refused.
pub fn parse(text: &str) -> Result<i64> {
    read(text.as_bytes()).ok_or_else(|| {
        // The text may be megabytes long: quote the beginning only.
        let shown: String = text.chars().take(40).collect();
        Error::invalid(format!(
            "{shown:?} is not an RFC 3339 time: write it like \"2013-07-01T05:15:00Z\""
        ))
    })
}

/// Days since 1970-01-01 of a date as `YYYY-MM-DD`.
pub fn parse_date(text: &str) -> Result<i64> {
    read_date(text.as_bytes()).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Error::invalid(format!(
            "{shown:?} is not a date: write it like \"2013-07-01\""
        ))
    })
}

fn read_date(text: &[u8]) -> Option<i64> {
    let [_, _, _, _, b'-', _, _, b'-', _, _] = text else {
        return None;
    };
    let (year, month, day) = (
        digits(&text[..4])?,
        digits(&text[5..7])?,
        digits(&text[8..])?,
    );
    let there = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    there.then(|| days_from_civil(year, month, day))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0i64, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}

fn read(text: &[u8]) -> Option<i64> {
    let (clock, rest) = text.split_at_checked(19)?;
    let separators = [clock[4], clock[7], clock[13], clock[16]];
    if separators != *b"--::" || !matches!(clock[10], b'T' | b't' | b' ') {
        return None;
    }
    let year = digits(&clock[..4])?;
    let month = digits(&clock[5..7])?;
    let day = digits(&clock[8..10])?;
    let hour = digits(&clock[11..13])?;
    let minute = digits(&clock[14..16])?;
    let second = digits(&clock[17..19])?;
    if !(1..=12).contains(&month)
        || !(1..=days_in_month(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix(b".") {
        None => (0, rest),
        Some(rest) => {
            let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (places, zone) = rest.split_at_checked(count)?;
            if count == 0 {
                return None;
            }
            let kept = places.get(..6).unwrap_or(places);
            let scale = 10i64.pow(6 - kept.len() as u32);
            (digits(kept)? * scale, zone)
        }
    };
    let offset = match zone {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = digits(&[*h1, *h2])?;
            let minutes = digits(&[*m1, *m2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(seconds * MICROS + fraction)
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + is_leap(year) as i64,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant, "chrono-compatible low-level
/// date algorithms").
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The RFC 3339 text of a time, in UTC, with six decimals where they are not all zero. Years
/// outside 0000 to 9999, which RFC 3339 cannot write, get as many digits as they need.
#[must_use]
pub fn format(micros: i64) -> String {
    let seconds = micros.div_euclid(MICROS);
    let fraction = micros.rem_euclid(MICROS);
    let days = seconds.div_euclid(86_400) + 719_468;
    let clock = seconds.rem_euclid(86_400);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = (shifted + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction != 0 {
        text.push_str(&format!(".{fraction:06}"));
    }
    text.push('Z');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times_are_read() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2013-07-01T05:15:00Z", 1_372_655_700_000_000),
            ("2013-07-01t05:15:00.25z", 1_372_655_700_250_000),
            ("2013-07-01 01:15:00-04:00", 1_372_655_700_000_000),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2000-02-29T00:00:00+00:00", 951_782_400_000_000),
            ("0000-03-01T00:00:00Z", -62_162_035_200_000_000),
        ] {
            assert_eq!(parse(text), Ok(micros), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2013-07-01",
            "2013-07-01T05:15:00",
            "2013-02-29T00:00:00Z",
            "2013-13-01T00:00:00Z",
            "2013-00-01T00:00:00Z",
            "2013-07-00T00:00:00Z",
            "2013-07-01T24:00:00Z",
            "2013-07-01T23:59:60Z",
            "2013-07-01T05:15:00.Z",
            "2013-07-01T05:15:00+0400",
            "2013-07-01T05:15:00+24:00",
            "2013-07-01T05:15:00ZZ",
            "+013-07-01T05:15:00Z",
            "２０13-07-01T05:15Z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn texts_round_trip(micros in -62_167_219_200_000_000i64..253_402_300_800_000_000) {
            prop_assert_eq!(parse(&format(micros)), Ok(micros));
        }

        #[test]
        fn no_text_and_no_time_panics(text in ".{0,40}", micros: i64) {
            let _ = parse(&text);
            let _ = format(micros);
        }
    }
}
