//! Lines of a log on their way to a file: whoever writes one never waits.
//!
//! A bounded queue and a thread that empties it. A line that finds no room, or cannot be written,
//! is dropped and counted.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidegate_schema::{Error, Result};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Most lines that wait to be written.
const MOST_WAITING: usize = 16 * 1024;
/// How long lines gather before they are written together: whoever writes a line then wakes
/// nobody, mostly.
const GATHERING: Duration = Duration::from_millis(20);
/// How long the end of a log waits for its last lines; a pipe that nobody reads takes none.
const LAST_LINES: Duration = Duration::from_secs(2);

/// A log's way to its file. Dropping it writes what waits.
#[derive(Debug)]
pub struct Lines {
    sender: Option<Sender<String>>,
    dropped: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Lines {
    /// Appends to a file; `-` is standard output.
    ///
    /// # Errors
    /// `InvalidInput` for a file that cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Self::to(std::io::stdout());
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| {
            Error::invalid(format!(
                "the log {} cannot be opened ({error}): name a file that this user may write, or - for standard output",
                path.display()
            ))
        })?;
        Self::to(file)
    }

    /// Writes to this.
    ///
    /// # Errors
    /// `Internal` when no thread can be started.
    pub fn to(out: impl Write + Send + 'static) -> Result<Self> {
        let (sender, mut lines) = channel(MOST_WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        let thread = std::thread::Builder::new()
            .name("tidegate-log".to_owned())
            .spawn(move || write_all(&mut lines, out, &lost))
            .map_err(|error| Error::internal(format!("no thread to write a log: {error}")))?;
        Ok(Self {
            sender: Some(sender),
            dropped,
            thread,
        })
    }

    /// Hands a line over, without its end.
    pub fn push(&self, line: String) {
        let sender = self.sender.as_ref();
        if sender.is_none_or(|sender| sender.try_send(line).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that were not written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.sender = None;
        let end = Instant::now() + LAST_LINES;
        while !self.thread.is_finished() && Instant::now() < end {
            std::thread::sleep(GATHERING / 4);
        }
    }
}

/// Writes until no line can come any more.
fn write_all(lines: &mut Receiver<String>, out: impl Write, lost: &AtomicU64) {
    let mut out = BufWriter::new(out);
    while let Some(first) = lines.blocking_recv() {
        let mut count = 0;
        let mut outcome = Ok(());
        let more = std::iter::from_fn(|| lines.try_recv().ok());
        for line in std::iter::once(first).chain(more) {
            count += 1;
            outcome = outcome
                .and_then(|()| out.write_all(line.as_bytes()))
                .and_then(|()| out.write_all(b"\n"));
        }
        if outcome.and_then(|()| out.flush()).is_err() {
            lost.fetch_add(count, Ordering::Relaxed);
        }
        std::thread::sleep(GATHERING);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// Takes no byte until it is told to.
    #[derive(Clone, Default)]
    struct Stuck(Arc<(Mutex<bool>, Condvar)>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let (free, changed) = &*self.0;
            let mut guard = free.lock().unwrap();
            while !*guard {
                guard = changed.wait(guard).unwrap();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_drops_and_counts() {
        let stuck = Stuck::default();
        let lines = Lines::to(stuck.clone()).unwrap();
        // More than the queue, the buffer and the thread's hands hold.
        for _ in 0..3 * MOST_WAITING {
            lines.push("x".repeat(100));
        }
        assert!(lines.dropped() > 0);
        *stuck.0.0.lock().unwrap() = true;
        stuck.0.1.notify_all();
    }

    #[test]
    fn lines_come_in_order_and_the_last_one_too() {
        let folder = std::env::temp_dir().join(format!("tidegate-lines-{}", std::process::id()));
        let lines = Lines::open(&folder).unwrap();
        for i in 0..1000 {
            lines.push(i.to_string());
        }
        drop(lines);
        let text = std::fs::read_to_string(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        let due: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), due);
        let error = Lines::open(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.message.contains("/nowhere/at/all"), "{error}");
    }
}
