//! Bytes as choices: of numbers, and of what a table holds.

use tidegate_schema::{ColumnBuf, DType, MAX_DAYS, Result, Schema, TableBuf};

/// Most rows of a table.
const ROWS: usize = 40;
/// Most items of a list.
const ITEMS: usize = 4;

const FLOATS: [f64; 20] = [
    f64::NAN,
    -0.0,
    0.1,
    -0.1,
    1e-7,
    f64::MIN_POSITIVE,
    5e-324,
    -5e-324,
    f64::MAX,
    -f64::MAX,
    1e154,
    -1e155,
    3.5e38,
    9_007_199_254_740_993.0,
    -9.3e18,
    90.0,
    -180.0,
    360.5,
    f64::EPSILON,
    1e300,
];
const WHOLE: [i64; 14] = [
    i64::MAX,
    i64::MIN,
    1 << 53,
    -(1 << 53) - 1,
    1_357_034_400_000_000,
    -2_208_988_800_000_000,
    9_300_000_000_000_000,
    -62_135_596_800_000_000,
    253_402_300_800_000_000,
    86_400_000_000,
    3_600_000_000,
    -1,
    999_999,
    4_102_444_800_000_000,
];
const TEXTS: [&str; 20] = [
    "a",
    "b",
    "c",
    "",
    "é",
    "more than eight bytes",
    "\u{1f}\0",
    "𝄞",
    "A b  c",
    " ",
    "1",
    "0.5",
    "NaN",
    "true",
    "ß",
    "İ",
    "e\u{301}",
    "a a a b",
    "N14228",
    "\u{feff}x",
];

/// Bytes that choose; beyond their end they choose the first of everything.
pub(super) struct Choices<'a>(std::slice::Iter<'a, u8>);

impl<'a> Choices<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    /// A number below a limit of at least 1.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        let high = if limit > 256 { self.byte() } else { 0 };
        (usize::from(high) << 8 | usize::from(self.byte())) % limit.max(1)
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(self.below(all.len())).copied()
    }

    /// A table of these columns.
    pub(super) fn table(&mut self, schema: &Schema) -> TableBuf {
        let rows = self.below(ROWS);
        let mut table = TableBuf::new(schema, rows);
        for column in &mut table.columns {
            for _ in 0..rows {
                if self.cell(column).is_err() {
                    column.push_null();
                }
            }
        }
        table
    }

    fn cell(&mut self, column: &mut ColumnBuf) -> Result<()> {
        let byte = self.byte();
        if byte % 7 == 6 {
            column.push_null();
            return Ok(());
        }
        match column.dtype() {
            DType::Bool => column.push_bool(byte & 1 == 1),
            DType::Float64 => {
                let value = self.float(byte);
                column.push_f64(value)
            }
            DType::Int64 => column.push_i64(whole(byte, 1)),
            DType::String => column.push_str(text(byte)),
            DType::Timestamp => column.push_timestamp(whole(byte, 5_400_000_000)),
            DType::Date => column.push_date(whole(byte, 30).clamp(-MAX_DAYS, MAX_DAYS)),
            DType::Duration => column.push_duration(whole(byte, 1_500_000)),
            DType::NumberList => {
                let items: Vec<f64> = (0..usize::from(byte) % ITEMS)
                    .map(|_| {
                        let byte = self.byte();
                        self.float(byte)
                    })
                    .collect();
                column.push_numbers(&items)
            }
            DType::TextList => {
                let items: Vec<u8> = (0..usize::from(byte) % ITEMS)
                    .map(|_| self.byte())
                    .collect();
                let items = items
                    .iter()
                    .map(|byte| (byte % 7 != 6).then(|| text(*byte)));
                column.push_texts(items)
            }
        }
    }

    /// Mostly a small number in steps of a quarter, so that values repeat; rarely an infinite one.
    fn float(&mut self, byte: u8) -> f64 {
        match byte {
            255 if self.byte() < 64 => f64::INFINITY,
            254 if self.byte() < 64 => f64::NEG_INFINITY,
            160.. => FLOATS[usize::from(byte - 160) % FLOATS.len()],
            _ => (f64::from(byte) - 80.0) / 4.0,
        }
    }
}

fn whole(byte: u8, step: i64) -> i64 {
    match byte {
        200.. => WHOLE[usize::from(byte - 200) % WHOLE.len()],
        _ => (i64::from(byte % 32) - 4) * step,
    }
}

fn text(byte: u8) -> &'static str {
    match byte {
        // Few texts, so that they repeat.
        0..128 => TEXTS[usize::from(byte) % 4],
        _ => TEXTS[usize::from(byte) % TEXTS.len()],
    }
}
