//! The names of predictions and of their rows.

use std::fmt;

/// Digits of a name's beginning.
const PREFIX: usize = 16;
/// Least digits of its counter.
const COUNTER: usize = 8;

/// The name of one prediction: 64 random bits of the runtime that made it, and a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PredictionId {
    /// Of the runtime.
    pub prefix: u64,
    /// Of the prediction.
    pub count: u64,
}

impl PredictionId {
    /// 16 hexadecimal digits of the runtime, then at least 8 of the counter.
    #[must_use]
    pub fn text(self) -> String {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let digits = COUNTER.max(16 - self.count.leading_zeros() as usize / 4);
        let mut text = String::with_capacity(PREFIX + digits);
        // By hand: the formatting machinery costs 80 ns, as much as all else on this path.
        for (number, digits) in [(self.prefix, PREFIX), (self.count, digits)] {
            for place in (0..digits).rev() {
                let digit = (number >> (4 * place)) & 15;
                text.push(char::from(DIGITS[digit as usize]));
            }
        }
        text
    }

    /// Reads a name, `prediction_id`, or that of a row, `prediction_id/row`; without a row it is
    /// meant as the only row of its prediction. `None` for what no runtime makes.
    #[must_use]
    pub fn parse(text: &str) -> Option<(Self, Option<u32>)> {
        let (name, row) = match text.split_once('/') {
            Some((name, row)) => (name, Some(row)),
            None => (text, None),
        };
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !(PREFIX + COUNTER..=PREFIX + 16).contains(&name.len()) || !name.bytes().all(lower) {
            return None;
        }
        let (prefix, count) = name.split_at(PREFIX);
        let id = Self {
            prefix: u64::from_str_radix(prefix, 16).ok()?,
            count: u64::from_str_radix(count, 16).ok()?,
        };
        let row = match row {
            None => None,
            Some(row) if row.bytes().all(|byte| byte.is_ascii_digit()) => Some(row.parse().ok()?),
            Some(_) => return None,
        };
        Some((id, row))
    }
}

impl fmt::Display for PredictionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_read_back(prefix in any::<u64>(), count in any::<u64>(), row in any::<u32>()) {
            let id = PredictionId { prefix, count };
            let text = id.text();
            prop_assert_eq!(PredictionId::parse(&text), Some((id, None)));
            prop_assert_eq!(PredictionId::parse(&format!("{text}/{row}")), Some((id, Some(row))));
        }

        #[test]
        fn nothing_panics(text in ".{0,50}") {
            let _ = PredictionId::parse(&text);
        }
    }

    #[test]
    fn what_no_runtime_makes_is_no_name() {
        let name = "0123456789abcdef00000001";
        assert!(PredictionId::parse(name).is_some());
        for wrong in [
            "".to_owned(),
            name.to_uppercase(),
            name[1..].to_owned(),
            format!("{name}/"),
            format!("{name}/-1"),
            format!("{name}/+1"),
            format!("{name}/0/0"),
            format!("{name}/4294967296"),
            format!("{name}123456789"),
            "0123456789abcdef0000000é".to_owned(),
        ] {
            assert_eq!(
                PredictionId::parse(&wrong).filter(|(_, row)| row.is_some() || wrong.len() != 24),
                None,
                "{wrong}"
            );
        }
    }
}
