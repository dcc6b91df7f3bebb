//! Learning how often each class of the target was seen with each category, apart by folds: the
//! encodings by the target with a column for each class, which is 1 where the row is of it.

use std::collections::HashMap;

use tidegate_schema::{Error, ErrorKind, Result};
use tidegate_sketch::{DISTINCT_LIMIT, TextHash};

use super::categories::{Categories, Index, sort_categories};
use super::sums::Stat;
use super::target::{Encode, Encoded, Folds, Learn};
use crate::expression::Fit;
use crate::kernel::Kernel;
use crate::output::Columns;
use crate::value::{Type, Values, each_key};

/// Most classes of a target: a bound on the width of the matrix.
pub(super) const MAX_CLASSES: usize = 1_000;
/// What is said of them where there are more.
pub(super) const CLASSES: &str = "classes of the target";
/// Most counts that are kept, of categories times classes times folds.
const MAX_COUNTS: usize = 20_000_000;

/// Keys by the order in which they came.
#[derive(Default)]
pub(super) struct Places(HashMap<Box<str>, usize, TextHash>);

impl Places {
    /// The place of a key, which is the next one for a new key; an error beyond a limit.
    pub(super) fn of(&mut self, key: &str, limit: usize, what: &str) -> Result<usize> {
        if let Some(&place) = self.0.get(key) {
            return Ok(place);
        }
        let place = self.0.len();
        if place == limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("more than {limit} {what}: group the rare ones first"),
            ));
        }
        self.0.insert(key.into(), place);
        Ok(place)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The keys in order of their type, with their places.
    pub(super) fn sorted(&self, kind: Type) -> Vec<(&str, usize)> {
        let mut keys: Vec<&str> = self.0.keys().map(|key| &**key).collect();
        sort_categories(kind, &mut keys);
        keys.into_iter()
            .map(|key| (key, self.0.get(key).copied().unwrap_or(0)))
            .collect()
    }

    /// Where the keys of another stand here.
    pub(super) fn join(&mut self, other: &Self, limit: usize, what: &str) -> Result<Vec<usize>> {
        let mut places = vec![0; other.len()];
        let mut keys: Vec<_> = other.0.iter().collect();
        keys.sort_unstable_by_key(|(_, place)| **place);
        for (key, &place) in keys {
            places[place] = self.of(key, limit, what)?;
        }
        Ok(places)
    }
}

/// The classes of a morsel's rows, by their places; `None` where the target is missing.
pub(super) fn labels(
    classes: &mut Places,
    kind: Type,
    target: &Values<'_>,
    key: &mut String,
) -> Result<Vec<Option<usize>>> {
    let (mut found, mut outcome) = (Vec::new(), Ok(()));
    each_key(kind, target, key, |label| {
        let place = label.map(|label| classes.of(label, MAX_CLASSES, CLASSES));
        match place.transpose() {
            Ok(place) => found.push(place),
            Err(error) => outcome = Err(error),
        }
    });
    outcome.map(|()| found)
}

/// Rows of each class and fold: those of one class stand together.
#[derive(Clone, Default)]
struct Tally(Vec<u64>);

impl Tally {
    fn add(&mut self, at: usize, rows: u64) {
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        if let Some(count) = self.0.get_mut(at) {
            *count += rows;
        }
    }

    /// For each of so many classes the rows that are of it, without those of a fold; and all rows.
    fn ones(&self, classes: usize, folds: usize, fold: Option<usize>) -> (Vec<u64>, u64) {
        let mut ones = vec![0; classes];
        for (at, rows) in self.0.iter().enumerate() {
            if Some(at % folds) != fold
                && let Some(count) = ones.get_mut(at / folds)
            {
                *count += rows;
            }
        }
        let all = ones.iter().sum();
        (ones, all)
    }
}

/// Counts of categories by class and fold.
pub(super) struct LearnClasses<E> {
    kind: Type,
    /// The type of the target.
    target: Type,
    encode: E,
    folds: Folds,
    seed: u64,
    places: Places,
    classes: Places,
    tallies: Vec<Tally>,
    all: Tally,
    key: String,
}

impl<E: Encode> LearnClasses<E> {
    pub(super) fn new(kind: Type, target: Type, encode: E, folds: Folds, seed: u64) -> Self {
        Self {
            kind,
            target,
            encode,
            folds,
            seed,
            places: Places::default(),
            classes: Places::default(),
            tallies: Vec::new(),
            all: Tally::default(),
            key: String::new(),
        }
    }

    fn check_size(&self) -> Result<()> {
        let counts = self.tallies.len() * self.classes.len() * self.folds.count();
        if counts <= MAX_COUNTS {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "{} categories by {} classes by {} folds are more than {MAX_COUNTS} counts: group the rare categories first",
                self.tallies.len(),
                self.classes.len(),
                self.folds.count()
            ),
        ))
    }

    /// The values of all classes for each category in order, and for an unknown one at the end,
    /// learned without a fold.
    fn values(&self, fold: Option<usize>) -> Vec<f64> {
        let (folds, count) = (self.folds.count(), self.classes.len());
        let classes: Vec<usize> = self
            .classes
            .sorted(self.target)
            .iter()
            .map(|(_, at)| *at)
            .collect();
        let (all_ones, all) = self.all.ones(count, folds, fold);
        let all: Vec<Stat> = all_ones
            .iter()
            .map(|&ones| Stat::of_ones(all, ones))
            .collect();
        let unknown = classes
            .iter()
            .map(|&class| self.encode.value(&Stat::default(), &all[class]));
        let mut values = Vec::with_capacity((self.places.len() + 1) * count);
        for (_, place) in self.places.sorted(self.kind) {
            let (ones, rows) = self.tallies[place].ones(count, folds, fold);
            values.extend(classes.iter().map(|&class| {
                let category = Stat::of_ones(rows, ones[class]);
                self.encode.value(&category, &all[class])
            }));
        }
        values.extend(unknown);
        values
    }

    fn categories(&self) -> Vec<String> {
        let sorted = self.places.sorted(self.kind).into_iter();
        sorted.map(|(key, _)| key.to_owned()).collect()
    }
}

/// Writes the values of each row's category, as `row_values` finds them by row and category; a
/// missing category is missing in all columns.
fn write<'a>(
    index: &Index,
    category: &Values<'_>,
    count: usize,
    columns: &mut Columns<'_>,
    row_values: impl Fn(usize, Option<usize>) -> &'a [f64],
) {
    let mut row = 0;
    let mut put = |found: Option<Option<usize>>| {
        match found {
            Some(place) => {
                for (column, &value) in row_values(row, place).iter().enumerate() {
                    columns.set(row, column, value);
                }
            }
            None => (0..count).for_each(|column| columns.set(row, column, f64::NAN)),
        }
        row += 1;
    };
    match index {
        Index::Texts(map) => category
            .texts()
            .for_each(|text| put(text.map(|text| map.get(text)))),
        Index::Numbers(map) => {
            for &number in category.numbers() {
                put((!number.is_nan()).then(|| map.get(number)));
            }
        }
    }
}

/// The values of a category among those of all, `count` for each; an unknown one comes last.
fn part(values: &[f64], count: usize, place: Option<usize>) -> &[f64] {
    let first = place.map_or(values.len().saturating_sub(count), |place| place * count);
    values.get(first..first + count).unwrap_or_default()
}

/// The code that puts the values of all classes in the place of categories.
pub(super) fn kernel(state: Encoded, kind: Type) -> Result<Kernel> {
    let (count, categories) = (state.classes.len(), state.categories.len());
    if count > MAX_CLASSES || state.values.len() != (categories + 1) * count {
        return Err(Error::state(format!(
            "{} values for {categories} categories, and unknown ones, by {count} classes",
            state.values.len()
        )));
    }
    let values = state.values;
    let index = Categories {
        categories: state.categories,
    }
    .index(kind)?;
    Ok(Kernel::Columns {
        count,
        run: Box::new(move |inputs, mut columns| {
            write(&index, &inputs[0], count, &mut columns, |_, place| {
                part(&values, count, place)
            });
        }),
    })
}

impl<E: Encode> Fit for LearnClasses<E> {
    type State = Encoded;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        let [categories, target, rows] = inputs else {
            return Err(Error::internal("an encoding by the target without one"));
        };
        let labels = labels(&mut self.classes, self.target, target, &mut self.key)?;
        let (places, tallies, all) = (&mut self.places, &mut self.tallies, &mut self.all);
        let (folds, seed) = (self.folds, self.seed);
        let mut outcome = Ok(());
        let mut targets = labels.iter().zip(rows.numbers());
        each_key(self.kind, categories, &mut self.key, |key| {
            let (Some((Some(class), &row)), true) = (targets.next(), outcome.is_ok()) else {
                return;
            };
            let at = class * folds.count() + folds.of(row as u64, seed);
            all.add(at, 1);
            let Some(key) = key else { return };
            match places.of(key, DISTINCT_LIMIT, "categories") {
                Ok(place) => {
                    if place == tallies.len() {
                        tallies.push(Tally::default());
                    }
                    tallies[place].add(at, 1);
                }
                Err(error) => outcome = Err(error),
            }
        });
        outcome.and_then(|()| self.check_size())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        let folds = self.folds.count();
        let classes = self.classes.join(&other.classes, MAX_CLASSES, CLASSES)?;
        let places = self
            .places
            .join(&other.places, DISTINCT_LIMIT, "categories")?;
        self.tallies.resize(self.places.len(), Tally::default());
        self.check_size()?;
        let join = |to: &mut Tally, from: &Tally| {
            for (at, &rows) in from.0.iter().enumerate() {
                to.add(classes[at / folds] * folds + at % folds, rows);
            }
        };
        for (tally, &place) in other.tallies.iter().zip(&places) {
            join(&mut self.tallies[place], tally);
        }
        join(&mut self.all, &other.all);
        Ok(())
    }

    fn training(&self) -> Result<Option<Kernel>> {
        let index = Categories {
            categories: self.categories(),
        }
        .index(self.kind)?;
        let tables: Vec<Vec<f64>> = (0..self.folds.count())
            .map(|fold| self.values(Some(fold)))
            .collect();
        let (folds, seed, count) = (self.folds, self.seed, self.classes.len());
        Ok(Some(Kernel::Columns {
            count,
            run: Box::new(move |inputs, mut columns| {
                let rows = inputs[1].numbers();
                write(&index, &inputs[0], count, &mut columns, |row, place| {
                    let fold = folds.of(rows[row] as u64, seed);
                    part(&tables[fold], count, place)
                });
            }),
        }))
    }

    fn finish(self) -> Result<Encoded> {
        if self.classes.len() == 0 {
            return Err(only_missing());
        }
        let classes = self.classes.sorted(self.target).into_iter();
        Ok(Encoded {
            categories: self.categories(),
            classes: classes.map(|(key, _)| key.to_owned()).collect(),
            unknown: None,
            values: self.values(None),
        })
    }
}

/// The error of a target without values.
pub(super) fn only_missing() -> Error {
    Error::invalid("saw only missing targets: give the target a value in some rows")
}

/// The fit of an encoding: of one number, or of a column for each class.
pub(super) enum LearnTarget<E> {
    One(Learn<E>),
    Classes(LearnClasses<E>),
}

impl<E: Encode> LearnTarget<E> {
    /// For a column of `inputs`, whose last type is that of the target.
    pub(super) fn new(
        inputs: &[Type],
        classes: bool,
        encode: E,
        folds: Folds,
        seed: u64,
    ) -> Option<Self> {
        let (kind, target) = (inputs.first()?, inputs.last()?);
        Some(if classes {
            Self::Classes(LearnClasses::new(*kind, *target, encode, folds, seed))
        } else {
            Self::One(Learn::new(*kind, encode, folds, seed))
        })
    }
}

impl<E: Encode> Fit for LearnTarget<E> {
    type State = Encoded;

    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        match self {
            Self::One(fit) => fit.update(inputs),
            Self::Classes(fit) => fit.update(inputs),
        }
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        match (self, other) {
            (Self::One(left), Self::One(right)) => left.merge(right),
            (Self::Classes(left), Self::Classes(right)) => left.merge(right),
            _ => Err(Error::internal("two encodings of the target met")),
        }
    }

    fn training(&self) -> Result<Option<Kernel>> {
        match self {
            Self::One(fit) => fit.training(),
            Self::Classes(fit) => fit.training(),
        }
    }

    fn finish(self) -> Result<Encoded> {
        match self {
            Self::One(fit) => fit.finish(),
            Self::Classes(fit) => fit.finish(),
        }
    }
}
