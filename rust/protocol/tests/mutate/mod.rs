//! Changes to bodies: of their JSON, which mostly stays JSON, and of their bytes.

/// SplitMix64 (Steele, Lea and Flood, 2014): the same bodies on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// The scalars, and the strings, numbers, brackets and words, of a JSON text as ranges.
fn tokens(text: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < text.len() {
        let start = i;
        match text[i] {
            b'"' => {
                i += 1;
                while i < text.len() && text[i] != b'"' {
                    i += if text[i] == b'\\' { 2 } else { 1 };
                }
                i += 1;
            }
            b'-' | b'0'..=b'9' => {
                while i < text.len() && b"+-.eE0123456789".contains(&text[i]) {
                    i += 1;
                }
            }
            byte if byte.is_ascii_alphabetic() => {
                while i < text.len() && text[i].is_ascii_alphabetic() {
                    i += 1;
                }
            }
            _ => {
                i += 1;
                continue;
            }
        }
        found.push((start, i.min(text.len())));
    }
    found
}

const SCALARS: [&str; 36] = [
    "0",
    "-1",
    "1",
    "2",
    "255",
    "256",
    "-129",
    "65536",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-0.0",
    "0.5",
    "1e3",
    "1e39",
    "1e308",
    "1e-400",
    "null",
    "true",
    "false",
    "\"\"",
    "\"x\"",
    "\"\\ud83e\\udd80\"",
    "\"\\ud83e\"",
    "\"\u{e9}\"",
    "[]",
    "[1]",
    "[[1,2],[3]]",
    "{}",
    "{\"a\":1}",
    "\"FP32\"",
    "\"BYTES\"",
    "\"INT64\"",
    "\"2013-07-01T05:15:00Z\"",
];

const KEYS: [&str; 14] = [
    "name",
    "shape",
    "datatype",
    "data",
    "parameters",
    "inputs",
    "outputs",
    "id",
    "instances",
    "binary_data_size",
    "binary_data",
    "binary_data_output",
    "float64",
    "maybe_string",
];

/// Changes a JSON text; mostly it stays one.
pub fn mutate_json(text: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = text.to_vec();
    for _ in 0..=random.below(3) {
        let tokens = tokens(&out);
        if tokens.is_empty() {
            return out;
        }
        let (start, end) = tokens[random.below(tokens.len())];
        let is_key = out.get(end) == Some(&b':');
        let put: Vec<u8> = match random.below(10) {
            0..=4 if is_key => format!("\"{}\"", random.of(&KEYS)).into_bytes(),
            0..=4 => random.of(&SCALARS).as_bytes().to_vec(),
            5 | 6 => {
                // Another token of the same body, of a kind that fits the place.
                let like: Vec<_> = tokens
                    .iter()
                    .filter(|(s, e)| !is_key || (out[*s] == b'"' && e - s > 1))
                    .collect();
                let (s, e) = *like[random.below(like.len())];
                out[s..e].to_vec()
            }
            7 if !is_key => {
                // Two where there was one: a count that no longer fits.
                let token = &out[start..end];
                [token, b",", token].concat()
            }
            8 => {
                let at = random.below(out.len());
                out[at] ^= 1 << random.below(8);
                continue;
            }
            9 if random.below(4) == 0 => {
                out.truncate(random.below(out.len()));
                continue;
            }
            _ => out[start..end].to_vec(),
        };
        out.splice(start..end, put);
    }
    out
}

pub fn mutate_bytes(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    match random.below(6) {
        0 => out.truncate(random.below(out.len() + 1)),
        1 => out.extend((0..random.below(9)).map(|_| random.next() as u8)),
        2 | 3 if !out.is_empty() => {
            let at = random.below(out.len());
            out[at] = random.of(&[&0u8, &1, &4, &127, &128, &255]).to_owned();
        }
        _ if !out.is_empty() => {
            let at = random.below(out.len());
            out[at] ^= 1 << random.below(8);
        }
        _ => {}
    }
    out
}
