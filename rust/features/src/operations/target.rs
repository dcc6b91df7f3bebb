//! Learning what the target was for each category, apart by folds, for the expressions that put
//! it in the category's place.
//!
//! Rows are dealt to folds by their number, so that the values of the rows that were learned from
//! can be made of the other folds only: a row does not see its own target. Rows whose target is
//! missing teach nothing.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, ErrorKind, Result};
use tidegate_sketch::{DISTINCT_LIMIT, TextHash};

use super::categories::{Categories, sort_categories};
use super::sums::Stat;
use super::target_classes;
use crate::expression::Fit;
use crate::kernel::Kernel;
use crate::value::{Type, Values, each_key};

/// Most folds.
const MAX_FOLDS: u32 = 64;

/// How rows are dealt to folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Folds(pub u32);

impl Default for Folds {
    fn default() -> Self {
        Self(5)
    }
}

impl Folds {
    pub(super) fn check(self) -> Result<()> {
        if (2..=MAX_FOLDS).contains(&self.0) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{} folds: use 2 to {MAX_FOLDS}",
            self.0
        )))
    }

    /// How many there are.
    pub(super) const fn count(self) -> usize {
        self.0 as usize
    }

    /// Are they as many as where nothing is said?
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The fold of a row: each run of as many rows as there are folds has one of each, beginning
    /// with one that `seed` and the number of the run decide (the finaliser of `SplitMix64`).
    #[inline]
    pub(super) fn of(self, row: u64, seed: u64) -> usize {
        let folds = u64::from(self.0);
        let mut mixed = (row / folds)
            .wrapping_add(seed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ mixed >> 31) % folds + row % folds) % folds) as usize
    }
}

/// What one kind of encoding makes of what was seen.
pub(super) trait Encode: Clone + Send + Sync + 'static {
    /// Checks a value of the target.
    fn check(&self, _target: f64) -> Result<()> {
        Ok(())
    }

    /// The value of a category; without sightings the value of an unknown one.
    fn value(&self, category: &Stat, all: &Stat) -> f64;
}

/// The learned values: of each category, and of the unknown ones.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Encoded {
    pub categories: Vec<String>,
    /// The classes of the target, where each has a column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// What a category is that was not seen; absent where nothing was seen at all.
    pub unknown: Option<f64>,
    /// The values in the order of the categories; with classes those of all classes for each, and
    /// those of unknown categories at the end.
    pub values: Vec<f64>,
}

impl Encoded {
    /// The code that puts values in the place of categories.
    pub(super) fn kernel(self, kind: Type) -> Result<Kernel> {
        if self.categories.len() != self.values.len() {
            return Err(Error::state(format!(
                "{} values for {} categories",
                self.values.len(),
                self.categories.len()
            )));
        }
        let index = Categories {
            categories: self.categories,
        }
        .index(kind)?;
        let mut values = self.values;
        let unknown = values.len() as u32;
        values.push(self.unknown.unwrap_or(f64::NAN));
        Ok(Kernel::Numbers(Box::new(move |inputs, out| {
            let (rows, mut out) = (out.len(), out.iter_mut());
            index.each_place(&inputs[0], rows, unknown, |place| {
                if let Some(out) = out.next() {
                    // A missing value stands beyond all of them.
                    *out = values.get(place as usize).copied().unwrap_or(f64::NAN);
                }
            });
        })))
    }
}

/// Counts and sums of the target for each category and fold.
pub(super) struct Learn<E> {
    kind: Type,
    encode: E,
    folds: Folds,
    seed: u64,
    places: HashMap<Box<str>, usize, TextHash>,
    /// A row of folds for each category, in order of `places`.
    stats: Vec<Stat>,
    /// All rows with a target, also those without a category.
    all: Vec<Stat>,
    key: String,
}

impl<E: Encode> Learn<E> {
    pub(super) fn new(kind: Type, encode: E, folds: Folds, seed: u64) -> Self {
        Self {
            kind,
            encode,
            folds,
            seed,
            places: HashMap::default(),
            stats: Vec::new(),
            all: vec![Stat::default(); folds.0 as usize],
            key: String::new(),
        }
    }

    fn place(
        places: &mut HashMap<Box<str>, usize, TextHash>,
        stats: &mut Vec<Stat>,
        folds: usize,
        key: &str,
    ) -> Result<usize> {
        if let Some(&place) = places.get(key) {
            return Ok(place);
        }
        if places.len() == DISTINCT_LIMIT {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "more than {DISTINCT_LIMIT} categories: group the rare ones, or hash them first"
                ),
            ));
        }
        let place = stats.len();
        places.insert(key.into(), place);
        stats.resize(place + folds, Stat::default());
        Ok(place)
    }

    /// The categories in order, with where their folds are.
    fn sorted(&self) -> Vec<(&str, usize)> {
        let mut keys: Vec<&str> = self.places.keys().map(|key| &**key).collect();
        sort_categories(self.kind, &mut keys);
        keys.into_iter()
            .map(|key| (key, self.places.get(key).copied().unwrap_or(0)))
            .collect()
    }

    /// What the folds of one category, or of all, saw, without one of them.
    fn without(stats: &[Stat], fold: Option<usize>) -> Stat {
        let mut sum = Stat::default();
        for (_, stat) in stats
            .iter()
            .enumerate()
            .filter(|(position, _)| Some(*position) != fold)
        {
            sum.merge(stat);
        }
        sum
    }

    /// The values of the categories, and of an unknown one at the end, learned without a fold.
    fn values(&self, sorted: &[(&str, usize)], fold: Option<usize>) -> Vec<f64> {
        let folds = self.all.len();
        let all = Self::without(&self.all, fold);
        let unknown = self.encode.value(&Stat::default(), &all);
        sorted
            .iter()
            .map(|(_, place)| Self::without(&self.stats[*place..*place + folds], fold))
            .map(|stat| {
                if stat.count == 0 {
                    unknown
                } else {
                    self.encode.value(&stat, &all)
                }
            })
            .chain([unknown])
            .collect()
    }
}

impl<E: Encode> Fit for Learn<E> {
    type State = Encoded;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        let [categories, target, rows] = inputs else {
            return Err(Error::internal("an encoding by the target without one"));
        };
        let (target, rows) = (target.numbers(), rows.numbers());
        let folds = self.all.len();
        let (places, stats, all) = (&mut self.places, &mut self.stats, &mut self.all);
        let mut outcome = Ok(());
        let mut position = 0;
        each_key(self.kind, categories, &mut self.key, |key| {
            let (value, row) = (target[position], rows[position]);
            position += 1;
            if value.is_nan() || outcome.is_err() {
                return;
            }
            let fold = self.folds.of(row as u64, self.seed);
            if let Err(error) = self.encode.check(value) {
                outcome = Err(error.at(format!("row {row}")));
                return;
            }
            all[fold].add(value);
            let Some(key) = key else { return };
            match Self::place(places, stats, folds, key) {
                Ok(place) => stats[place + fold].add(value),
                Err(error) => outcome = Err(error),
            }
        });
        outcome
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        let folds = self.all.len();
        for (key, from) in other.sorted() {
            let place = Self::place(&mut self.places, &mut self.stats, folds, key)?;
            let (to, from) = (&mut self.stats[place..], &other.stats[from..from + folds]);
            to.iter_mut()
                .zip(from)
                .for_each(|(to, from)| to.merge(from));
        }
        self.all
            .iter_mut()
            .zip(&other.all)
            .for_each(|(to, from)| to.merge(from));
        Ok(())
    }

    fn training(&self) -> Result<Option<Kernel>> {
        let sorted = self.sorted();
        let index = Categories {
            categories: sorted.iter().map(|(key, _)| (*key).to_owned()).collect(),
        }
        .index(self.kind)?;
        let tables: Vec<Vec<f64>> = (0..self.all.len())
            .map(|fold| self.values(&sorted, Some(fold)))
            .collect();
        let (folds, seed, unknown) = (self.folds, self.seed, sorted.len());
        let unknown = unknown as u32;
        Ok(Some(Kernel::Numbers(Box::new(move |inputs, out| {
            let count = out.len();
            let mut out = out.iter_mut().zip(inputs[1].numbers());
            index.each_place(&inputs[0], count, unknown, |place| {
                if let Some((out, &row)) = out.next() {
                    let table = &tables[folds.of(row as u64, seed)];
                    *out = table.get(place as usize).copied().unwrap_or(f64::NAN);
                }
            });
        }))))
    }

    fn finish(self) -> Result<Encoded> {
        if self.all.iter().all(|stat| stat.count == 0) {
            return Err(target_classes::only_missing());
        }
        let sorted = self.sorted();
        let mut values = self.values(&sorted, None);
        let unknown = values.pop().filter(|value| value.is_finite());
        Ok(Encoded {
            classes: Vec::new(),
            categories: sorted.into_iter().map(|(key, _)| key.to_owned()).collect(),
            unknown,
            values,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidegate_schema::{DType, Field, Schema, TableBuf};

    use super::Folds;
    use crate::{Expr, FeatureSpec, Fitter, Plan, Step};

    #[test]
    fn folds_are_even_and_depend_on_row_and_seed() {
        let folds = Folds(5);
        for seed in 0..50 {
            let mut counts = [0; 5];
            for row in 0..1000 {
                counts[folds.of(row, seed)] += 1;
            }
            assert_eq!(counts, [200; 5]);
        }
        let differ = (0..1000).filter(|&row| folds.of(row, 0) != folds.of(row, 1));
        assert!(differ.count() > 500);
        assert!(Folds(1).check().is_err() && Folds(65).check().is_err());
    }

    fn schema() -> Schema {
        Schema::new(vec![
            Field::required("n", DType::Int64),
            Field::nullable("y", DType::Float64),
        ])
        .unwrap()
    }

    /// Rows of a category and a target; the target of every seventh is missing.
    fn data(keep: impl Fn(u64) -> bool) -> TableBuf {
        let mut table = TableBuf::new(&schema(), 0);
        for row in (0..400u64).filter(|&row| keep(row)) {
            table.columns[0].push_i64((row * row % 11) as i64).unwrap();
            match row % 7 {
                0 => table.columns[1].push_null(),
                _ => table.columns[1].push_f64((row as f64).sin()).unwrap(),
            }
        }
        table
    }

    fn fit(table: &TableBuf) -> Plan {
        let target = r#"{"op":"target_mean","folds":4,"seed":9,"input":{"op":"col","name":"n"}}"#;
        let features = vec![Expr::from_json(target).unwrap()];
        let spec = FeatureSpec::new(schema(), features).unwrap();
        let spec = Arc::new(spec.with_target("y").unwrap());
        let mut fitter = Fitter::new(spec).unwrap();
        fitter.update(&table.view().unwrap()).unwrap();
        match fitter.finish().unwrap() {
            Step::Done(plan) => plan,
            Step::Again(_) => panic!("one pass is enough"),
        }
    }

    #[test]
    fn a_row_that_taught_gets_what_a_fit_without_its_fold_learns() {
        let all = data(|_| true);
        let whole = fit(&all);
        let rows = all.view().unwrap().rows();
        let inputs = TableBuf {
            columns: vec![all.columns[0].clone()],
        };
        let mut found = vec![0.0f64; rows];
        // In two tables, as a stream brings them.
        let view = inputs.view().unwrap();
        let (head, tail) = found.split_at_mut(150);
        whole
            .transform_learned_into(&view.slice(0, 150), 0, head)
            .unwrap();
        whole
            .transform_learned_into(&view.slice(150, rows - 150), 150, tail)
            .unwrap();
        for fold in 0..4 {
            let of = |row| Folds(4).of(row, 9) == fold;
            let without: Vec<f64> = fit(&data(|row| !of(row))).transform(&view).unwrap();
            for row in (0..rows).filter(|&row| of(row as u64)) {
                assert!((found[row] - without[row]).abs() < 1e-12, "row {row}");
            }
        }
        assert_ne!(found, whole.transform::<f64>(&view).unwrap());
    }
}
