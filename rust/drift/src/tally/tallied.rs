//! Counting one version.

use std::sync::Arc;

use tidegate_schema::{Column, Error, Result, Table};

use super::{Cells, Observe, Part, Sample, Segments};
use crate::quality::Task;

/// What is counted, the same for every version of a revision.
#[derive(Clone, Debug)]
pub struct Scope {
    asked: Observe,
    cells: Option<Cells>,
    task: Option<Task>,
    /// Parts of nothing, for all requests and for a segment.
    whole: Part,
    segment: Part,
}

impl Scope {
    /// What is asked for, in the cells of one baseline, for predictions of one task.
    ///
    /// # Errors
    /// As [`Observe::check`].
    pub fn new(
        asked: Observe,
        cells: Option<Cells>,
        probability: bool,
        task: Option<Task>,
    ) -> Result<Self> {
        asked.check()?;
        let prediction = cells.as_ref().and_then(Cells::prediction);
        let shape = prediction.map(|column| (column.none().len(), probability));
        let part = |segment| Part::new(&asked, shape, task.as_ref(), segment);
        Ok(Self {
            whole: part(false)?,
            segment: part(true)?,
            asked,
            cells,
            task,
        })
    }

    /// What is asked for.
    #[must_use]
    pub const fn asked(&self) -> &Observe {
        &self.asked
    }

    /// The cells, where there are some.
    #[must_use]
    pub const fn cells(&self) -> Option<&Cells> {
        self.cells.as_ref()
    }

    /// What is predicted, where it is known.
    #[must_use]
    pub const fn task(&self) -> Option<&Task> {
        self.task.as_ref()
    }
}

/// Requests that were answered, as one table.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// How many rows each has, and its seconds from call to answer; none for a further piece of a
    /// request, whose rows are counted only.
    pub requests: &'a [(usize, Option<f64>)],
    /// The input columns, in the order of the schema.
    pub features: Option<&'a Table<'a>>,
    /// The column that tells the prediction.
    pub prediction: Option<&'a Column<'a>>,
    /// The segment of each row.
    pub segments: Option<(&'a Segments, &'a [usize])>,
}

/// Counts one version in one revision.
#[derive(Clone, Debug)]
pub struct Tally {
    scope: Arc<Scope>,
    sample: Sample,
}

impl Tally {
    /// Nothing yet.
    #[must_use]
    pub fn new(scope: Arc<Scope>) -> Self {
        let mut sample = Sample {
            whole: scope.whole.clone(),
            ..Sample::default()
        };
        if let Some(cells) = scope.cells.as_ref().filter(|_| scope.asked.features) {
            let features = cells.features();
            sample.features = features
                .map(|column| (column.name.clone(), column.none()))
                .collect();
        }
        Self { scope, sample }
    }

    /// What is counted.
    #[must_use]
    pub const fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// What has been counted.
    #[must_use]
    pub const fn sample(&self) -> &Sample {
        &self.sample
    }

    /// Takes in requests that were answered.
    ///
    /// # Errors
    /// `InvalidInput` when the columns are not those of the baseline; the requests are counted then,
    /// their columns are not.
    pub fn answered(&mut self, answered: &Answered<'_>) -> Result<()> {
        let mut row = 0;
        for (rows, latency) in answered.requests {
            let segment = answered
                .segments
                .and_then(|(segments, places)| Some(segments.named(*places.get(row)?)));
            row += rows;
            if let Some(latency) = latency {
                self.each(segment, |part, _| part.request(*latency));
            }
        }
        self.features(answered.features)?;
        let scope = Arc::clone(&self.scope);
        let watched = scope.cells.as_ref().and_then(Cells::prediction);
        let (Some(watched), Some(column)) = (watched, answered.prediction) else {
            return Ok(());
        };
        let count = |part: &mut Part, column: &Column<'_>| {
            if let Some(found) = &mut part.prediction {
                watched.count(column, &mut found.cells);
                if let (Some(mean), Column::Float64(values)) = (&mut found.mean, column) {
                    (0..values.values.len())
                        .filter_map(|row| values.get(row))
                        .for_each(|value| mean.update(value));
                }
            }
        };
        count(&mut self.sample.whole, column);
        if let Some((segments, places)) = answered.segments {
            for (row, place) in places.iter().enumerate().take(column.len()) {
                let part = self.part(segments.named(*place));
                count(part, &column.slice(row, 1));
            }
        }
        Ok(())
    }

    fn features(&mut self, table: Option<&Table<'_>>) -> Result<()> {
        let cells = self.scope.cells.as_ref();
        let (Some(cells), Some(table)) = (cells.filter(|_| self.scope.asked.features), table)
        else {
            return Ok(());
        };
        let due = cells.features().count();
        if table.columns().len() != due {
            return Err(Error::invalid(format!(
                "{} columns where the baseline has {due}: compare versions of one schema",
                table.columns().len()
            )));
        }
        for (watched, column) in cells.features().zip(table.columns()) {
            if let Some(counts) = self.sample.features.get_mut(&watched.name) {
                watched.count(column, counts);
            }
        }
        Ok(())
    }

    /// A request was answered of which nothing more is known.
    pub fn requested(&mut self, segment: Option<&str>) {
        self.each(segment, |part, _| part.requests += 1);
    }

    /// A request failed by fault of the model.
    pub fn failed(&mut self, segment: Option<&str>) {
        self.each(segment, |part, _| {
            part.requests += 1;
            part.errors += 1;
        });
    }

    /// A request was refused.
    pub fn refused(&mut self, segment: Option<&str>) {
        self.each(segment, |part, _| part.refused += 1);
    }

    /// The label of a prediction came, as [`Task::encode`] gave it; `row` are the prediction's numbers.
    pub fn labelled(&mut self, row: &[f64], actual: f64, segment: Option<&str>) {
        self.each(segment, |part, scope| {
            if let Some(task) = &scope.task {
                part.quality.update(task, row, actual);
            }
        });
    }

    /// A named number of a prediction came. What was not asked for is not counted.
    pub fn measured(&mut self, name: &str, value: f64, segment: Option<&str>) {
        self.each(segment, |part, _| {
            if let Some(mean) = part.metrics.get_mut(name) {
                mean.update(value);
            }
        });
    }

    fn each(&mut self, segment: Option<&str>, mut update: impl FnMut(&mut Part, &Scope)) {
        let scope = Arc::clone(&self.scope);
        update(&mut self.sample.whole, &scope);
        if let Some(name) = segment {
            update(self.part(name), &scope);
        }
    }

    fn part(&mut self, segment: &str) -> &mut Part {
        let segments = &mut self.sample.segments;
        if !segments.contains_key(segment) {
            segments.insert(segment.to_owned(), self.scope.segment.clone());
        }
        segments.entry(segment.to_owned()).or_default()
    }
}
