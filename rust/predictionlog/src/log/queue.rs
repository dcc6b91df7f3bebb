//! What waits to be written, and what of it becomes the next file.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tidegate_schema::{Result, Schema, TableBuf};

use super::entry::{Answered, Entry, Feedback, Source, sampled};
use super::rules::Rules;
use super::sheet::{Sheet, batch};

/// Most bytes that wait to be written, by default.
pub const QUEUE_BYTES: usize = 64 << 20;

/// When a file is complete.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Bytes of the file.
    pub bytes: usize,
    /// Time since its first row.
    pub age: Duration,
}

impl Default for Rotation {
    /// 32 MiB or a minute.
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            age: Duration::from_secs(60),
        }
    }
}

/// A complete file on its way to storage. Its bytes count among those that wait until it is
/// dropped.
#[derive(Debug)]
pub struct Sealed {
    /// Its key below the log's place.
    pub key: String,
    /// A whole Parquet file.
    pub bytes: Vec<u8>,
    /// Rows in it.
    pub rows: usize,
    held: usize,
    log: Arc<Shared>,
    stored: bool,
}

impl Sealed {
    /// It is stored.
    pub fn stored(mut self) {
        self.stored = true;
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.log.held.fetch_sub(self.held, Relaxed);
        let counters = &self.log.counters;
        if self.stored {
            counters.files.fetch_add(1, Relaxed);
            counters.rows.fetch_add(self.rows as u64, Relaxed);
        } else {
            counters.dropped.fetch_add(self.rows as u64, Relaxed);
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    files: AtomicU64,
    rows: AtomicU64,
    dropped: AtomicU64,
}

/// What the log has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStatistics {
    /// Files that were stored.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Rows that were not, because too much waited or a file could not be made.
    pub dropped: u64,
    /// Bytes that wait.
    pub waiting_bytes: usize,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    closed: bool,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    more: Condvar,
    /// Bytes that wait: entries, files in the making, files on their way.
    held: AtomicUsize,
    limit: usize,
    counters: Counters,
}

/// Files in the making, by folder and columns.
#[derive(Default)]
struct Desk {
    sheets: BTreeMap<(String, u64), Sheet>,
    made: u64,
}

/// The prediction log of a process.
pub struct Log {
    rules: Rules,
    rotation: Rotation,
    shared: Arc<Shared>,
    desk: Mutex<Desk>,
    /// In each file's name, so that no two processes make one name.
    process: String,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// A log whose files are named after `process`, which no other process has.
    ///
    /// # Errors
    /// As [`Rules::check`].
    pub fn new(rules: Rules, rotation: Rotation, limit: usize, process: String) -> Result<Self> {
        rules.check()?;
        Ok(Self {
            rules,
            rotation,
            shared: Arc::new(Shared {
                waiting: Mutex::default(),
                more: Condvar::new(),
                held: AtomicUsize::new(0),
                limit,
                counters: Counters::default(),
            }),
            desk: Mutex::default(),
            process,
        })
    }

    /// What is logged, and what of it nobody may read.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The share of a model's predictions that is logged.
    #[must_use]
    pub fn share(&self, model: &str) -> f64 {
        self.rules.share(model)
    }

    /// Hands predictions over; never waits. What finds no room is dropped and counted.
    pub fn predictions(
        &self,
        source: &Arc<Source>,
        columns: &Arc<Schema>,
        inputs: Option<TableBuf>,
        answers: TableBuf,
        answered: Vec<Answered>,
    ) {
        let rows = answers.rows();
        let share = self.share(&source.model);
        match sampled(&self.rules, share, inputs, answers, answered) {
            Ok(Some((inputs, answers, answered))) => self.push(Entry::Predictions {
                source: Arc::clone(source),
                inputs,
                answers,
                columns: Arc::clone(columns),
                answered,
            }),
            Ok(None) => {}
            Err(_) => self.drop_rows(rows),
        }
    }

    /// Hands feedback over, likewise.
    pub fn feedback(&self, model: &str, time: f64, rows: Vec<Feedback>) {
        if !rows.is_empty() {
            self.push(Entry::Feedback {
                model: model.to_owned(),
                time,
                rows,
            });
        }
    }

    fn drop_rows(&self, rows: usize) {
        let dropped = &self.shared.counters.dropped;
        dropped.fetch_add(rows as u64, Relaxed);
    }

    fn push(&self, entry: Entry) {
        let (bytes, rows) = (entry.bytes(), entry.rows());
        let before = self.shared.held.fetch_add(bytes, Relaxed);
        let mut waiting = self.shared.waiting();
        if before + bytes > self.shared.limit || waiting.closed {
            drop(waiting);
            self.shared.held.fetch_sub(bytes, Relaxed);
            self.drop_rows(rows);
            return;
        }
        let first = waiting.entries.is_empty();
        waiting.entries.push_back(entry);
        drop(waiting);
        if first {
            self.shared.more.notify_one();
        }
    }

    /// The next complete file; `None` when there is none within `patience`. After
    /// [`Log::close`] every file is complete. For one thread at a time: others wait.
    pub fn next(&self, patience: Duration) -> Option<Sealed> {
        let until = Instant::now() + patience;
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (entries, closed) = self.take(&desk, until);
            let idle = entries.is_empty();
            for entry in entries {
                self.lay(&mut desk, &entry);
            }
            if let Some(sealed) = self.complete(&mut desk, closed) {
                return Some(sealed);
            }
            if idle && (closed || Instant::now() >= until) {
                return None;
            }
        }
    }

    /// Entries that wait; waits for some, until the time is over or a file is of age.
    fn take(&self, desk: &Desk, until: Instant) -> (VecDeque<Entry>, bool) {
        let due = desk
            .sheets
            .values()
            .map(|sheet| sheet.begun + self.rotation.age);
        let until = due.min().map_or(until, |due| due.min(until));
        let mut waiting = self.shared.waiting();
        while waiting.entries.is_empty() && !waiting.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.shared.more.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        (std::mem::take(&mut waiting.entries), waiting.closed)
    }

    /// Writes an entry into its file. What cannot be written is dropped and counted.
    fn lay(&self, desk: &mut Desk, entry: &Entry) {
        let bytes = entry.bytes();
        let written = batch(entry, &self.rules).and_then(|batch| {
            let key = (folder(entry), layout(&batch));
            let sheet = match desk.sheets.entry(key) {
                std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(Sheet::new(batch.schema())?)
                }
            };
            sheet.write(&batch, bytes)
        });
        if written.is_err() {
            self.shared.held.fetch_sub(bytes, Relaxed);
            self.drop_rows(entry.rows());
        }
    }

    fn complete(&self, desk: &mut Desk, closed: bool) -> Option<Sealed> {
        loop {
            let full = |sheet: &Sheet| {
                closed
                    || sheet.written() >= self.rotation.bytes
                    || sheet.begun.elapsed() >= self.rotation.age
            };
            let key = desk.sheets.iter().find(|(_, sheet)| full(sheet))?.0.clone();
            let sheet = desk.sheets.remove(&key)?;
            let (rows, held) = (sheet.rows, sheet.bytes);
            desk.made += 1;
            match sheet.seal() {
                Ok(bytes) => {
                    return Some(Sealed {
                        key: format!("{}/{}-{:06}.parquet", key.0, self.process, desk.made),
                        bytes,
                        rows,
                        held,
                        log: Arc::clone(&self.shared),
                        stored: false,
                    });
                }
                Err(_) => {
                    self.shared.held.fetch_sub(held, Relaxed);
                    self.drop_rows(rows);
                }
            }
        }
    }

    /// Takes nothing more. What waits comes out of [`Log::next`] still.
    pub fn close(&self) {
        self.shared.waiting().closed = true;
        self.shared.more.notify_all();
    }

    /// What it has done.
    #[must_use]
    pub fn statistics(&self) -> LogStatistics {
        let counters = &self.shared.counters;
        LogStatistics {
            files: counters.files.load(Relaxed),
            rows: counters.rows.load(Relaxed),
            dropped: counters.dropped.load(Relaxed),
            waiting_bytes: self.shared.held.load(Relaxed),
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an entry's file lies: kind, model and day.
fn folder(entry: &Entry) -> String {
    match entry {
        Entry::Predictions {
            source, answered, ..
        } => {
            let time = answered.first().map_or(0.0, |first| first.time);
            format!(
                "predictions/model={}/day={}",
                safe(&source.model),
                day(time)
            )
        }
        Entry::Feedback { model, time, .. } => {
            format!("feedback/model={}/day={}", safe(model), day(*time))
        }
    }
}

/// The day of a time in UTC; 1970-01-01 for what no calendar has.
fn day(seconds: f64) -> String {
    let time = Timestamp::from_second(seconds as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(TimeZone::UTC).date().to_string()
}

/// A name as a part of a key.
fn safe(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c);
    name.chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect()
}

/// Tells batches of other columns apart: they are in files of their own.
fn layout(batch: &arrow_array::RecordBatch) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    batch.schema().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use tidegate_schema::{ColumnBuf, DType, Field};

    use super::*;
    use crate::PredictionId;

    fn log(rules: Rules, age: f64, limit: usize) -> Log {
        let rotation = Rotation {
            bytes: 1 << 20,
            age: Duration::from_secs_f64(age),
        };
        Log::new(rules, rotation, limit, "me".to_owned()).unwrap()
    }

    fn source() -> (Arc<Source>, Arc<Schema>) {
        let features = Schema::new(vec![
            Field::nullable("name", DType::String),
            Field::nullable("x", DType::Float64),
        ]);
        let columns = Schema::new(vec![Field::nullable("p[1]", DType::Float64)]);
        let source = Source {
            model: "a b/c".to_owned(),
            version: "1.0.0".to_owned(),
            features: Some(features.unwrap()),
        };
        (Arc::new(source), Arc::new(columns.unwrap()))
    }

    fn push(log: &Log, count: u64, rows: u32) {
        let (source, columns) = source();
        let mut names = ColumnBuf::new(DType::String, 0);
        for row in 0..rows {
            match row % 3 {
                0 => names.push_null(),
                _ => names.push_str(&format!("name {row}")).unwrap(),
            }
        }
        let numbers: Vec<f64> = (0..rows).map(f64::from).collect();
        let inputs = TableBuf {
            columns: vec![names, ColumnBuf::from_f64(numbers.clone())],
        };
        let answers = TableBuf {
            columns: vec![ColumnBuf::from_f64(numbers)],
        };
        let answered = Answered {
            id: PredictionId { prefix: 5, count },
            first_row: 0,
            rows,
            time: 86_400.0 * 365.0 + 5.5,
            revision: 3,
            experiment: Some("button".into()),
            role: Some("candidate"),
            latency: Duration::from_millis(2),
            caller: Some("key:ci".into()),
        };
        log.predictions(&source, &columns, Some(inputs), answers, vec![answered]);
    }

    /// Names of the columns and rows of a file.
    fn read(file: &Sealed) -> (Vec<String>, usize) {
        let bytes = bytes::Bytes::from(file.bytes.clone());
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let fields = reader.schema().fields().clone();
        let names = fields.iter().map(|field| field.name().clone()).collect();
        let rows = reader
            .build()
            .unwrap()
            .map(|batch| batch.unwrap().num_rows());
        (names, rows.sum())
    }

    #[test]
    fn files_are_whole_and_named_after_model_and_day() {
        let log = log(Rules::default(), 3_600.0, 1 << 20);
        push(&log, 1, 5);
        push(&log, 2, 1);
        log.feedback(
            "m",
            0.0,
            vec![Feedback {
                id: PredictionId {
                    prefix: 5,
                    count: 1,
                },
                row: 2,
                label: Some("late".to_owned()),
                metric: None,
                outcome: "joined",
            }],
        );
        assert!(log.next(Duration::ZERO).is_none());
        assert!(log.statistics().waiting_bytes > 0);
        log.close();
        let labels = log.next(Duration::ZERO).unwrap();
        assert_eq!(
            labels.key,
            "feedback/model=m/day=1970-01-01/me-000001.parquet"
        );
        assert_eq!(read(&labels).1, 1);
        let file = log.next(Duration::ZERO).unwrap();
        let key = "predictions/model=a_b_c/day=1971-01-01/me-000002.parquet";
        assert_eq!(file.key, key);
        let (names, rows) = read(&file);
        assert_eq!((rows, file.rows), (6, 6));
        let due = [
            "prediction_id",
            "row",
            "time",
            "version",
            "revision",
            "experiment",
            "role",
            "latency_ms",
            "caller",
            "feature_name",
            "feature_x",
            "prediction_p_1",
        ];
        assert_eq!(names, due);
        file.stored();
        drop(labels);
        assert!(log.next(Duration::ZERO).is_none());
        push(&log, 3, 1);
        let due = LogStatistics {
            files: 1,
            rows: 6,
            // The labels that nobody stored, and what came after the end.
            dropped: 2,
            waiting_bytes: 0,
        };
        assert_eq!(log.statistics(), due);
    }

    #[test]
    fn a_file_is_complete_when_it_is_of_age_and_columns_may_be_left_out() {
        let rules = Rules {
            redact: vec!["x".to_owned(), "caller".to_owned()],
            hash: vec!["name".to_owned()],
            ..Rules::default()
        };
        let log = log(rules.with_key(&[1; 16]).unwrap(), 0.0, 1 << 20);
        push(&log, 1, 4);
        let file = log.next(Duration::from_secs(60)).unwrap();
        let (names, _) = read(&file);
        assert!(!names.contains(&"feature_x".to_owned()) && !names.contains(&"caller".to_owned()));
        let text = String::from_utf8_lossy(&file.bytes).into_owned();
        assert!(!text.contains("name 1") && !text.contains("key:ci"));
    }

    #[test]
    fn what_waits_is_bounded_and_what_finds_no_room_is_counted() {
        let limit = 10_000;
        let log = log(Rules::default(), 3_600.0, limit);
        for count in 0..200 {
            push(&log, count, 10);
            assert!(log.statistics().waiting_bytes <= limit);
        }
        let dropped = log.statistics().dropped;
        assert!(dropped > 0 && dropped < 2_000);
        log.close();
        let file = log.next(Duration::ZERO).unwrap();
        assert_eq!(file.rows as u64 + dropped, 2_000);
        // It waits until somebody has stored it.
        assert!(log.statistics().waiting_bytes > 0);
        file.stored();
        assert_eq!(log.statistics().waiting_bytes, 0);
    }

    #[test]
    fn the_share_is_of_predictions_with_all_their_rows() {
        let rules = Rules {
            sample: 0.5,
            ..Rules::default()
        };
        let log = log(rules, 3_600.0, 1 << 24);
        for count in 0..400 {
            push(&log, count, 3);
        }
        log.close();
        let file = log.next(Duration::ZERO).unwrap();
        assert!(
            file.rows.is_multiple_of(3) && (400..800).contains(&file.rows),
            "{}",
            file.rows
        );
    }
}
