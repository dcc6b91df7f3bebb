//! Cells in words.

use tidegate_schema::DType;

/// An edge in at most six digits, or as a date; the exact edge stands beside the label.
pub(crate) fn edge(dtype: DType, value: f64) -> String {
    if dtype == DType::Timestamp {
        return moment(value);
    }
    if dtype == DType::Date {
        return moment(value.floor() * 86_400e6);
    }
    if value == value.trunc() && value.abs() < 1e15 {
        // Adding zero turns -0 into 0.
        return format!("{}", value + 0.0);
    }
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    if (1e-4..1e15).contains(&rounded.abs()) {
        format!("{rounded}")
    } else {
        format!("{rounded:e}")
    }
}

/// Microseconds since 1970 UTC as ISO 8601, to the second, without the parts that are zero.
fn moment(micros: f64) -> String {
    let seconds = (micros / 1e6).floor() as i64;
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let date = format!("{year:04}-{month:02}-{day:02}");
    match (hour, minute, second) {
        (0, 0, 0) => date,
        (_, _, 0) => format!("{date}T{hour:02}:{minute:02}Z"),
        _ => format!("{date}T{hour:02}:{minute:02}:{second:02}Z"),
    }
}

/// Days since 1970 as year, month and day (Hinnant, "chrono-compatible low-level date algorithms").
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (2454.0, "2454"),
            (0.123_456_789, "0.123457"),
            (1e-7, "1e-7"),
            (1e18, "1e18"),
            (-3.25, "-3.25"),
            (1_234_567.8, "1234570"),
        ] {
            assert_eq!(edge(DType::Float64, value), text);
        }
    }

    #[test]
    fn timestamps_are_dates() {
        for (seconds, text) in [
            (0.0, "1970-01-01"),
            (1_357_041_720.0, "2013-01-01T12:02Z"),
            (1_709_164_799.0, "2024-02-28T23:59:59Z"),
            (1_709_164_800.0, "2024-02-29"),
            (-1.0, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(edge(DType::Timestamp, seconds * 1e6), text);
        }
    }
}
