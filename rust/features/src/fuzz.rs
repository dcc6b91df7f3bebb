//! Targets for fuzzing: any plan over any table, nothing panics but a broken promise.
//!
//! Each target is a plain function that a fuzzer or a test can drive. What they promise: whatever
//! is refused is refused with a short message that says where; a plan says the same of a table, of
//! its rows one by one and of its parts; parts that are learned from apart and merged teach what
//! the whole teaches; what is written reads to the same; nothing infinite comes out.

mod choices;
mod growth;

use std::sync::Arc;

use serde_json::Value;
use tidegate_schema::{DType, Error, ErrorKind, Field, Result, Schema, Table};

use self::choices::Choices;
use crate::{Cell, Expr, FeatureSpec, Fitter, Plan, Sparse, Step};

/// How far an input got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No list of expressions at all.
    Malformed,
    /// The expressions, or what is to be learned from the table, make no sense.
    Refused,
    /// Fitted and run.
    Accepted,
}

/// A target as a fuzzer sees it: any bytes in.
pub type Target = fn(&[u8]) -> Stage;

/// Every target by its name, which is the name of its folder in the kept corpus.
pub const TARGETS: &[(&str, Target)] = &[("plan", plan), ("grown", grown)];

/// The column that expressions learn from which learn from a target.
pub(crate) const TARGET: &str = "y";
/// Longest message of a refusal that does not quote the expressions, in bytes.
const MESSAGE: usize = 2_000;
/// Widest matrix that is computed.
const WIDTH: usize = 2_000;
/// Rows of a table that takes several morsels.
const MANY: usize = 2_500;
/// What is said of statistics that are too large.
const OVERFLOW: &str = "exceeds 64-bit floats";
/// How near numbers are that were summed in another order, as a share of the largest of them.
const NEAR: f64 = 1e-9;

/// Drives the target of this name; what a fuzzer calls.
#[must_use]
pub fn drive(name: &str, bytes: &[u8]) -> Stage {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => target(bytes),
        None => broken("a target has this name", name),
    }
}

/// The columns of all tables, one of each type and two of some: those of the examples in the table
/// of expressions.
#[must_use]
pub fn schema() -> Schema {
    let fields = [
        ("x", DType::Float64),
        ("n", DType::Int64),
        ("b", DType::Bool),
        ("s", DType::String),
        ("k", DType::String),
        ("t", DType::Timestamp),
        ("u", DType::Timestamp),
        (TARGET, DType::Bool),
        ("d", DType::Date),
        ("e", DType::Duration),
        ("l", DType::NumberList),
        ("w", DType::TextList),
    ];
    let fields = fields.map(|(name, dtype)| Field::nullable(name, dtype));
    Schema::new(fields.to_vec()).unwrap_or_else(|error| broken("a schema", &error.message))
}

/// A plan as it is written: a list of expressions in JSON up to the end of the line. The bytes
/// after it choose what the tables hold.
#[must_use]
pub fn plan(bytes: &[u8]) -> Stage {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    let Ok(Value::Array(features)) = serde_json::from_slice(text) else {
        return Stage::Malformed;
    };
    hold(
        features,
        &mut Choices::new(rest.get(1..).unwrap_or_default()),
    )
}

/// A plan grown from the examples of all expressions, put into one another as the bytes choose.
#[must_use]
pub fn grown(bytes: &[u8]) -> Stage {
    let mut choices = Choices::new(bytes);
    let features = growth::features(&schema(), &mut choices);
    hold(features, &mut choices)
}

/// What was promised, with the expressions that it is promised of.
struct Promises {
    text: String,
}

impl Promises {
    fn promise(&self, kept: bool, what: &str) {
        if !kept {
            broken(what, &self.text);
        }
    }

    /// The value of what cannot go wrong any more.
    fn due<T>(&self, what: &str, result: Result<T>) -> T {
        result.unwrap_or_else(|error| broken(&format!("{what}: {error}"), &self.text))
    }

    /// Passes a result on, after holding its refusal to the promise.
    fn refusable<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(Error { kind, message, .. }) = &result {
            let callers = matches!(
                kind,
                ErrorKind::InvalidInput | ErrorKind::TooLarge | ErrorKind::Unsupported
            );
            self.promise(callers, "a refusal is the caller's error");
            // It may quote expressions, and one name in them.
            let most = MESSAGE + 4 * self.text.len();
            let short = !message.is_empty() && message.len() <= most;
            self.promise(short, "a refusal has a short message");
        }
        result
    }

    /// The rows of a table in one against its rows one by one, in 32 bits and in 64, dense and
    /// sparse, and against the same plan after it was read.
    fn rows(&self, plan: &Plan, table: &Table<'_>) {
        let whole = self.refusable(plan.transform::<f64>(table));
        let read = self.due("a written plan reads", Plan::from_json(plan.to_json()));
        self.promise(
            read.to_json() == plan.to_json() && read.names() == plan.names(),
            "a plan reads to what was written",
        );
        let one_by_one: Result<Vec<Vec<f64>>> = (0..table.rows())
            .map(|row| plan.transform::<f64>(&table.slice(row, 1)))
            .collect();
        let Ok(whole) = whole else {
            self.promise(
                one_by_one.is_err(),
                "what is wrong in a table is so in a row",
            );
            return;
        };
        let rows = self
            .due("a row of a good table is good", one_by_one)
            .concat();
        self.promise(
            whole.iter().all(|value| !value.is_infinite()),
            "nothing infinite comes out",
        );
        self.promise(bits(&whole) == bits(&rows), "a row equals its table");
        let again = self.due("a plan that was read runs", read.transform::<f64>(table));
        self.promise(
            bits(&whole) == bits(&again),
            "a plan that was read is the same",
        );
        let narrow = self.due("a matrix of 32 bits", plan.transform::<f32>(table));
        let same = whole.iter().zip(&narrow).all(|(wide, narrow)| {
            let due = f32::narrow(*wide);
            due.to_bits() == narrow.to_bits() || (due.is_nan() && narrow.is_nan())
        });
        self.promise(same, "32 bits are 64 bits made narrow");
        let mut sparse = Sparse::<f64>::new();
        self.due(
            "a sparse matrix",
            plan.transform_sparse(table, None, &mut sparse, &mut |_| Ok(())),
        );
        self.promise(
            bits(&dense(&sparse, plan.width())) == bits(&whole),
            "a sparse matrix is the dense one",
        );
    }
}

/// Fits the features on a table and runs them on another, both as the choices say.
fn hold(features: Vec<Value>, choices: &mut Choices<'_>) -> Stage {
    let promises = Promises {
        text: Value::Array(features.clone()).to_string(),
    };
    let features = features.into_iter().map(Expr::from_value).collect();
    let spec = FeatureSpec::new(schema(), features).and_then(|spec| spec.with_target(TARGET));
    let Ok(spec) = promises.refusable(spec) else {
        return Stage::Refused;
    };
    let text = promises.due("a specification is written", spec.to_json());
    let again = promises.due("and read", FeatureSpec::from_json(&text));
    promises.promise(
        again.to_json() == Ok(text),
        "a specification reads to what was written",
    );
    let spec = Arc::new(spec);
    let first = promises.due("a fit begins", Fitter::new(Arc::clone(&spec)));
    let train = choices.table(first.input_schema());
    let train = promises.due("a table", train.view());
    let cut = choices.below(train.rows() + 1);
    let parts = [train.slice(0, cut), train.slice(cut, train.rows() - cut)];
    let whole = promises.refusable(fit(&spec, std::slice::from_ref(&train), false));
    for apart in [false, true] {
        let merged = promises.refusable(fit(&spec, &parts, apart));
        // What learns from what was learned may make a step of a difference of one bit.
        if spec.passes() > 1 {
            continue;
        }
        match (&whole, &merged) {
            (Ok(whole), Ok(merged)) => {
                let read = |plan: &Plan| serde_json::from_str(plan.to_json()).unwrap_or_default();
                promises.promise(
                    near(&read(whole), &read(merged)),
                    "merged parts teach what the whole teaches",
                );
            }
            (Err(_), Err(_)) => {}
            // Sums of squares that just fit may not when they are made of two halves.
            (Ok(_), Err(error)) | (Err(error), Ok(_)) => promises.promise(
                error.message.contains(OVERFLOW),
                &format!("parts are refused as the whole is: {error}"),
            ),
        }
    }
    let Ok(plan) = whole else {
        return Stage::Refused;
    };
    if plan.width() > WIDTH {
        return Stage::Accepted;
    }
    learned(&promises, &plan, &train, cut);
    let live = choices.table(plan.input_schema());
    let live = promises.due("a table", live.view());
    promises.rows(&plan, &live);
    if choices.below(8) == 1 && live.rows() > 0 && plan.width() * MANY <= 100 * WIDTH {
        many(&promises, &plan, &live);
    }
    Stage::Accepted
}

/// Rows that were learned from: in one table as in two.
fn learned(promises: &Promises, plan: &Plan, train: &Table<'_>, cut: usize) {
    // The target comes last, and is not there to serve.
    let columns = train.columns().get(..plan.input_schema().len());
    let inputs = Table::new(columns.unwrap_or_default().to_vec(), train.rows());
    let inputs = promises.due("the columns of a fit", inputs);
    let mut whole = vec![0.0_f64; inputs.rows() * plan.width()];
    let mut parts = whole.clone();
    promises.due(
        "rows that were learned from are good",
        plan.transform_learned_into(&inputs, 0, &mut whole),
    );
    let (head, tail) = parts.split_at_mut(cut * plan.width());
    for (part, first, rows) in [(head, 0, cut), (tail, cut, inputs.rows() - cut)] {
        let table = inputs.slice(first, rows);
        promises.due(
            "and so are their parts",
            plan.transform_learned_into(&table, first as u64, part),
        );
    }
    promises.promise(bits(&whole) == bits(&parts), "rows have their own numbers");
    promises.promise(
        whole.iter().all(|value| !value.is_infinite()),
        "nothing infinite comes out for rows that were learned from",
    );
}

/// The same rows again and again, over several morsels: each time they are the same.
fn many(promises: &Promises, plan: &Plan, live: &Table<'_>) {
    let mut table = tidegate_schema::TableBuf::new(plan.input_schema(), MANY);
    for _ in 0..MANY / live.rows() {
        for (to, from) in table.columns.iter_mut().zip(live.columns()) {
            promises.due("a column grows", to.extend_from(from));
        }
    }
    let table = promises.due("a table", table.view());
    let (Ok(once), Ok(often)) = (plan.transform::<f64>(live), plan.transform::<f64>(&table)) else {
        return;
    };
    for part in often.chunks(once.len().max(1)) {
        promises.promise(bits(part) == bits(&once), "a row is the same in any morsel");
    }
}

/// Fits on tables, each in a fitter of its own if `apart`.
fn fit(spec: &Arc<FeatureSpec>, tables: &[Table<'_>], apart: bool) -> Result<Plan> {
    let mut fitter = Fitter::new(Arc::clone(spec))?;
    loop {
        let (mut whole, mut first) = (fitter.fork(), 0);
        for table in tables {
            if apart {
                let mut piece = fitter.fork_at(first);
                first += table.rows() as u64;
                piece.update(table)?;
                whole.merge(piece)?;
            } else {
                whole.update(table)?;
            }
        }
        match whole.finish()? {
            Step::Again(next) => fitter = next,
            Step::Done(plan) => return Ok(plan),
        }
    }
}

/// Numbers as bits; all NaN are one, and so are both zeros.
fn bits(values: &[f64]) -> Vec<u64> {
    let one = |value: &f64| {
        if value.is_nan() {
            f64::NAN
        } else {
            *value + 0.0
        }
    };
    values.iter().map(|value| one(value).to_bits()).collect()
}

/// A sparse matrix as a dense one.
fn dense(sparse: &Sparse<f64>, width: usize) -> Vec<f64> {
    let mut out = vec![0.0; sparse.starts.len().saturating_sub(1) * width];
    for (row, bounds) in sparse.starts.windows(2).enumerate() {
        let places = bounds[0] as usize..bounds[1] as usize;
        for (&column, &value) in sparse.columns[places.clone()]
            .iter()
            .zip(&sparse.values[places])
        {
            out[row * width + column as usize] = value;
        }
    }
    out
}

/// Are two documents equal, numbers within a share of the largest of their list?
fn near(left: &Value, right: &Value) -> bool {
    fn largest(value: &Value) -> f64 {
        match value {
            Value::Number(number) => number.as_f64().unwrap_or(0.0).abs(),
            Value::Array(values) => values.iter().map(largest).fold(0.0, f64::max),
            Value::Object(map) => map.values().map(largest).fold(0.0, f64::max),
            _ => 0.0,
        }
    }
    fn within(left: &Value, right: &Value, size: f64) -> bool {
        match (left, right) {
            (Value::Number(left), Value::Number(right)) => {
                let (left, right) = (left.as_f64(), right.as_f64());
                left.zip(right)
                    .is_some_and(|(left, right)| (left - right).abs() <= NEAR * size.max(1.0))
            }
            (Value::Array(left), Value::Array(right)) => {
                let pairs = left.iter().zip(right);
                left.len() == right.len()
                    && pairs.fold(true, |all, (l, r)| all & within(l, r, size))
            }
            (Value::Object(left), Value::Object(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(key, value)| {
                        let size = if key == "state" { largest(value) } else { size };
                        right
                            .get(key)
                            .is_some_and(|other| within(value, other, size))
                    })
            }
            (left, right) => left == right,
        }
    }
    within(left, right, 0.0)
}

#[allow(clippy::panic)] // The one purpose of this file is to stop the fuzzer here.
fn broken(what: &str, of: &str) -> ! {
    panic!("broken promise: {what}, of {of}")
}
