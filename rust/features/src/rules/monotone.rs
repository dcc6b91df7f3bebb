//! Values that never fall, or never rise, from row to row.

/// What is known of the order so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Monotone {
    descending: bool,
    strict: bool,
    first: Option<f64>,
    last: Option<f64>,
    pub failures: u64,
    pub missing: u64,
}

impl Monotone {
    pub const fn new(descending: bool, strict: bool) -> Self {
        Self {
            descending,
            strict,
            first: None,
            last: None,
            failures: 0,
            missing: 0,
        }
    }

    fn breaks(&self, before: f64, value: f64) -> bool {
        let (low, high) = if self.descending {
            (value, before)
        } else {
            (before, value)
        };
        if self.strict { low >= high } else { low > high }
    }

    /// Takes in values and calls `each` with the position of each that breaks the order.
    pub fn update(&mut self, values: &[f64], mut each: impl FnMut(usize)) {
        for (row, &value) in values.iter().enumerate() {
            if value.is_nan() {
                self.missing += 1;
                continue;
            }
            match self.last {
                None => self.first = Some(value),
                Some(last) if self.breaks(last, value) => {
                    self.failures += 1;
                    each(row);
                }
                Some(_) => {}
            }
            self.last = Some(value);
        }
    }

    /// Takes in what another has seen in the rows after these. A break between the two is counted,
    /// its row not known.
    pub fn merge(&mut self, other: &Self) {
        if let (Some(last), Some(first)) = (self.last, other.first) {
            self.failures += u64::from(self.breaks(last, first));
        }
        self.first = self.first.or(other.first);
        self.last = other.last.or(self.last);
        self.failures += other.failures;
        self.missing += other.missing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaks(descending: bool, strict: bool, values: &[f64]) -> Vec<usize> {
        let mut rows = Vec::new();
        let mut monotone = Monotone::new(descending, strict);
        monotone.update(values, |row| rows.push(row));
        for cut in 0..=values.len() {
            let mut left = Monotone::new(descending, strict);
            let mut right = left;
            left.update(&values[..cut], |_| {});
            right.update(&values[cut..], |_| {});
            left.merge(&right);
            assert_eq!(left.failures, rows.len() as u64);
        }
        rows
    }

    #[test]
    fn rows_that_break_the_order_are_found() {
        let values = [1.0, f64::NAN, 1.0, 3.0, 2.0];
        assert_eq!(breaks(false, false, &values), [4]);
        assert_eq!(breaks(false, true, &values), [2, 4]);
        assert_eq!(breaks(true, false, &values), [3]);
        assert_eq!(breaks(true, true, &values), [2, 3]);
        assert!(breaks(false, true, &[]).is_empty());
    }
}
