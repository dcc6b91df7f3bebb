//! Whether an answer is right. An answer that is fast and wrong must not count.

use memchr::memmem::Finder;

use crate::{Answer, Form, Plan};

/// What must come back for one body. The status must be 200 in every case.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    /// Anything.
    Status,
    /// Exactly these bytes.
    Exact(Vec<u8>),
    /// These numbers within the plan's tolerances: a JSON array, nested or flat, at the plan's place,
    /// or the answer's last bytes.
    Numbers(Vec<f64>),
}

/// Checks answers without parsing their JSON: the place of the array is searched, its numbers are
/// read. That costs some 0.2 µs an answer where a parser would cost two.
#[derive(Debug)]
pub struct Checker {
    place: Vec<Finder<'static>>,
    form: Form,
    rtol: f64,
    atol: f64,
}

impl Checker {
    /// A checker with the tolerances and the place of the plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let finder = |text: &String| Finder::new(text.as_bytes()).into_owned();
        Self {
            place: plan.numbers_after.iter().map(finder).collect(),
            form: plan.form,
            rtol: plan.rtol,
            atol: plan.atol,
        }
    }

    /// Whether the answer is the expected one.
    #[must_use]
    pub fn holds(&self, answer: &Answer<'_>, expect: &Expect) -> bool {
        if answer.status != 200 {
            return false;
        }
        match expect {
            Expect::Status => true,
            Expect::Exact(bytes) => *answer.body == **bytes,
            Expect::Numbers(numbers) => match self.form {
                Form::Json => self.numbers(&answer.body, numbers).is_some(),
                Form::Fp32 => self.tail(&answer.body, numbers),
            },
        }
    }

    /// Written so that NaN is refused.
    fn close(&self, number: f64, expected: f64) -> bool {
        (number - expected).abs() <= self.atol + self.rtol * expected.abs()
    }

    fn tail(&self, body: &[u8], numbers: &[f64]) -> bool {
        let Some(start) = body.len().checked_sub(4 * numbers.len()) else {
            return false;
        };
        let (found, rest) = body.get(start..).unwrap_or(&[]).as_chunks::<4>();
        rest.is_empty()
            && found
                .iter()
                .zip(numbers)
                .all(|(bytes, expected)| self.close(f32::from_le_bytes(*bytes).into(), *expected))
    }

    fn numbers(&self, body: &[u8], numbers: &[f64]) -> Option<()> {
        let mut at = 0;
        for finder in &self.place {
            at += finder.find(body.get(at..)?)? + finder.needle().len();
        }
        let mut rest = body.get(at..)?.trim_ascii_start();
        rest = rest.strip_prefix(b":").unwrap_or(rest).trim_ascii_start();
        rest = rest.strip_prefix(b"[")?;
        for expected in numbers {
            let between = |b: &u8| b.is_ascii_whitespace() || matches!(b, b',' | b'[' | b']');
            rest = rest.get(rest.iter().position(|b| !between(b))?..)?;
            let (text, after) = rest.split_at(rest.iter().position(between)?);
            let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            if !self.close(number, *expected) {
                return None;
            }
            rest = after;
        }
        rest.trim_ascii_start().starts_with(b"]").then_some(())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn holds(body: &str, expect: &Expect) -> bool {
        let checker = Checker::new(&Plan::default());
        let answer = Answer {
            status: 200,
            body: Cow::Borrowed(body.as_bytes()),
            consumed: 0,
            closes: false,
        };
        checker.holds(&answer, expect)
    }

    #[test]
    fn numbers_are_found_and_compared() {
        let expect = Expect::Numbers(vec![0.25, -1e-3]);
        for right in [
            r#"{"outputs":[{"name":"p","data":[0.25,-0.001]}]}"#,
            r#"{"data" : [ 0.250001 , -1.0e-3 ] }"#,
            r#"{"data":[[0.25,-0.001]]}"#,
        ] {
            assert!(holds(right, &expect), "{right}");
        }
        for wrong in [
            r#"{"data":[0.25]}"#,
            r#"{"data":[0.25,-0.001,3]}"#,
            r#"{"data":[0.26,-0.001]}"#,
            r#"{"data":[0.25,null]}"#,
            r#"{"data":[0.25,NaN]}"#,
            r#"{"data":[0.25,-0.001"#,
            r#"{"data":0.25}"#,
            r#"{"error":"no"}"#,
            "",
        ] {
            assert!(!holds(wrong, &expect), "{wrong}");
        }
    }

    #[test]
    fn binary_numbers_are_the_last_bytes() {
        let plan = Plan {
            form: Form::Fp32,
            ..Plan::default()
        };
        let holds = |body: &[u8]| {
            let answer = Answer {
                status: 200,
                body: Cow::Borrowed(body),
                consumed: 0,
                closes: false,
            };
            Checker::new(&plan).holds(&answer, &Expect::Numbers(vec![0.25, -1e-3]))
        };
        let bytes = |numbers: &[f32]| -> Vec<u8> {
            let tail = numbers.iter().flat_map(|number| number.to_le_bytes());
            b"{}".iter().copied().chain(tail).collect()
        };
        assert!(holds(&bytes(&[0.25, -0.001])));
        assert!(holds(&bytes(&[7.0, 0.25, -0.001])));
        assert!(!holds(&bytes(&[0.25, -0.002])));
        assert!(!holds(&bytes(&[f32::NAN, -0.001])));
        assert!(!holds(&bytes(&[])));
    }

    #[test]
    fn exact_bytes_are_exact() {
        let expect = Expect::Exact(b"ok".to_vec());
        assert!(holds("ok", &expect));
        assert!(!holds("ok ", &expect));
        assert!(holds("whatever", &Expect::Status));
    }

    #[test]
    fn a_place_may_have_several_steps() {
        let plan = Plan {
            numbers_after: vec!["\"probabilities\"".into(), "\"data\"".into()],
            ..Plan::default()
        };
        let body = br#"[{"name":"label","data":[1]},{"name":"probabilities","data":[0.5]}]"#;
        let answer = |status| Answer {
            status,
            body: Cow::Borrowed(&body[..]),
            consumed: 0,
            closes: false,
        };
        let expect = Expect::Numbers(vec![0.5]);
        assert!(Checker::new(&plan).holds(&answer(200), &expect));
        assert!(!Checker::new(&plan).holds(&answer(503), &expect));
    }
}
