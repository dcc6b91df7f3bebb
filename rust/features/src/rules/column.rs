//! Single values of columns, for reports.

use jiff::SignedDuration;
use serde_json::Value;
use tidegate_schema::Column;

use crate::calendar::civil;

/// Most bytes of a text that a report shows.
const SHOWN: usize = 200;
/// Most items of a list that a report shows.
const ITEMS: usize = 20;
/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

/// A value as JSON: null where it is missing, times in RFC 3339, time spans in ISO 8601, long texts cut.
pub(super) fn json(column: &Column<'_>, row: usize) -> Value {
    match column {
        Column::Bool(values) => values
            .get(row)
            .map_or(Value::Null, |value| (value != 0).into()),
        Column::Int64(values) => values.get(row).map_or(Value::Null, Value::from),
        // NaN and the infinities have no JSON of their own.
        Column::Float64(values) => match values.get(row) {
            Some(value) if value.is_infinite() => value.to_string().into(),
            value => value.map_or(Value::Null, Value::from),
        },
        Column::String(texts) => texts
            .get(row)
            .map_or(Value::Null, |text| shown(text).into()),
        Column::Timestamp(values) => values
            .get(row)
            .map_or(Value::Null, |micros| time(micros).into()),
        Column::Date(values) => values
            .get(row)
            .map_or(Value::Null, |days| date(days).into()),
        Column::Duration(values) => values.get(row).map_or(Value::Null, |micros| {
            SignedDuration::from_micros(micros).to_string().into()
        }),
        Column::NumberList(lists) => lists.get(row).map_or(Value::Null, |items| {
            items
                .iter()
                .take(ITEMS)
                .map(|&item| Value::from(item))
                .collect()
        }),
        Column::TextList(lists) => lists.get(row).map_or(Value::Null, |items| {
            items
                .take(ITEMS)
                .map(|item| item.map_or(Value::Null, |text| shown(text).into()))
                .collect()
        }),
    }
}

fn shown(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let cut = (0..=SHOWN)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    format!("{}…", &text[..cut])
}

/// Days since 1970 as ISO 8601 writes a date.
fn date(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Microseconds since 1970 in RFC 3339, UTC.
pub(super) fn time(micros: i64) -> String {
    let (year, month, day) = civil(micros.div_euclid(DAY));
    let rest = micros.rem_euclid(DAY);
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction == 0 {
        String::new()
    } else {
        format!(".{fraction:06}")
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

#[cfg(test)]
mod tests {
    use tidegate_schema::{Primitive, Strings, Validity};

    use super::*;

    #[test]
    fn values_are_shown_as_json() {
        let floats = Column::Float64(Primitive::all(&[1.5, f64::NAN, f64::INFINITY]));
        assert_eq!(json(&floats, 0), 1.5);
        assert_eq!(json(&floats, 1), Value::Null);
        assert_eq!(json(&floats, 2), "inf");
        let times = [1_372_636_800_000_000, -1];
        let times = Column::Timestamp(Primitive::all(&times));
        assert_eq!(json(&times, 0), "2013-07-01T00:00:00Z");
        assert_eq!(json(&times, 1), "1969-12-31T23:59:59.999999Z");
        let spans = Column::Duration(Primitive::all(&[5_400_500_000, -1]));
        assert_eq!(json(&spans, 0), "PT1H30M0.5S");
        assert_eq!(json(&spans, 1), "-PT0.000001S");
        let long = "é".repeat(300);
        let texts = [long.as_str()];
        let texts = Column::String(Strings::slices(&texts, Validity::ALL));
        assert_eq!(
            json(&texts, 0).as_str().map(|text| text.chars().count()),
            Some(101)
        );
    }
}
