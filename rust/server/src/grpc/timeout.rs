//! The deadline that a client sets for a whole call: the metadata `grpc-timeout`.

use std::time::Duration;

use http::HeaderMap;
use tidegate_schema::{Error, Result};

/// Most digits that the protocol allows.
const MOST_DIGITS: usize = 8;

/// How long the client will wait, counted from when it sent the request.
pub fn timeout(metadata: &HeaderMap) -> Result<Option<Duration>> {
    let Some(value) = metadata.get("grpc-timeout") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    parse(text).map(Some).ok_or_else(|| {
        Error::invalid(format!(
            "grpc-timeout is {text:?}: send at most {MOST_DIGITS} digits and a unit of H, M, S, m, u or n"
        ))
    })
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let plain = !digits.is_empty()
        && digits.len() <= MOST_DIGITS
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value: u64 = digits.parse().ok().filter(|_| plain)?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_anything_else_refused() {
        for (text, micros) in [
            ("1H", 3_600_000_000),
            ("2M", 120_000_000),
            ("3S", 3_000_000),
            ("4m", 4_000),
            ("5u", 5),
            ("6000n", 6),
            ("99999999u", 99_999_999),
        ] {
            assert_eq!(parse(text), Some(Duration::from_micros(micros)), "{text}");
        }
        for text in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "+1S",
            "123456789S",
            "1 S",
            "1.5S",
            "ü",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
