//! Rules about data, in the language of features: compiled once, checked over a table, a stream or
//! a row by the engine that computes features.
//!
//! A [`RuleSet`] is what people write: a schema, and rules of a name, a check, a severity and an
//! allowed share. A [`Checker`] is a rule set compiled against the columns that a table has. A
//! [`Run`] is one pass over the data (update, merge, finish) and ends in a [`Report`]. A [`Guard`]
//! holds the rules that one row can break, for the serving path.

mod aggregate;
mod checker;
mod column;
mod describe;
mod distinct;
mod evolution;
mod found;
mod fused;
mod guard;
mod keylog;
mod keys;
mod memo;
mod monotone;
mod outliers;
mod report;
mod rowset;
mod run;
mod sample;
mod spec;
mod spill;

pub use checker::{Checker, References, TableCheck};
pub use distinct::{DISTINCT_BYTES, Distinct};
pub use evolution::{Change, Compatibility, compare};
pub use found::{Finding, FindingKind, FoundColumn};
pub use guard::{Guard, Policy, Verdict};
pub use keylog::{KeyLog, write_keys};
pub use keys::{KeySet, row_keys};
pub use report::{Report, RuleReport, Status};
pub use rowset::RowSet;
pub use run::{Mark, Run, RunOptions, SAMPLES};
pub use spec::{
    Aggregate, Check, Distance, Extra, MAX_RULES, Method, Missing, Rule, RuleSet, Severity,
};
