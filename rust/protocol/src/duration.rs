//! Time spans on the wire: ISO 8601 texts to microseconds, and back.

use jiff::fmt::temporal::SpanParser;
use jiff::{SignedDuration, SpanRelativeTo};
use tidegate_schema::{Error, Result};

static PARSER: SpanParser = SpanParser::new();

/// Microseconds of an ISO 8601 duration such as `PT1H30M` or `-P1DT0.5S`.
///
/// A day has 24 hours and a week seven days; months and years, which are of no one length, are
/// refused. Digits below a microsecond are cut off.
pub fn parse(text: &str) -> Result<i64> {
    read(text).ok_or_else(|| {
        // The text may be megabytes long: quote the beginning only.
        let shown: String = text.chars().take(40).collect();
        Error::invalid(format!(
            "{shown:?} is not an ISO 8601 duration of weeks, days, hours, minutes and seconds: write it like \"PT1H30M\""
        ))
    })
}

fn read(text: &str) -> Option<i64> {
    // Hours and seconds alone reach as far as 64 bits do; with days there are at most some 20,000
    // years.
    let duration = PARSER.parse_duration(text).or_else(|_| {
        PARSER
            .parse_span(text)
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
    });
    i64::try_from(duration.ok()?.as_micros()).ok()
}

/// The ISO 8601 text of a time span, in hours, minutes and seconds.
#[must_use]
pub fn format(micros: i64) -> String {
    SignedDuration::from_micros(micros).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_durations_are_read() {
        for (text, micros) in [
            ("PT0S", 0),
            ("PT1H30M", 5_400_000_000),
            ("-PT0.25S", -250_000),
            ("P1DT2H", 93_600_000_000),
            ("-P1W", -604_800_000_000),
            ("pt36h", 129_600_000_000),
            ("PT0.0000019S", 1),
            ("P1DT0,5S", 86_400_500_000),
        ] {
            assert_eq!(parse(text), Ok(micros), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "1h",
            "1 day",
            "P1M",
            "P1Y2D",
            "PT1H30",
            "1:30:00",
            "P-1DT23H",
            "PT99999999999999999999S",
            "PT1HS",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains("PT1H30M"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn texts_round_trip(micros: i64) {
            prop_assert_eq!(parse(&format(micros)), Ok(micros));
        }

        #[test]
        fn no_text_panics(text in "[-+]?P[0-9.]{0,8}[DWYM]?T?[0-9.,]{0,22}[HMS]?.{0,4}") {
            let _ = parse(&text);
        }
    }
}
