//! Work that is dealt to several threads piece by piece.
//!
//! The thread that is called works along. Between its pieces, and while it waits for the others, it
//! calls back, so that whoever called can show how far the work is, or end it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use tidegate_schema::{Error, Result};

use crate::output::{Cell, Sparse};

/// Rows of a block of a matrix: enough to be worth a lock, few enough that the last thread is soon
/// done.
pub(crate) const BLOCK_ROWS: usize = 16 * 1024;
/// Most threads of one call.
const MOST_THREADS: usize = 64;
/// How long a thread that has nothing left to do waits before it calls back again.
const WAIT: Duration = Duration::from_millis(20);

/// What a piece fails with when the caller has ended the work, whose own error is returned.
const ENDED: &str = "the work was ended";

/// Is told, on the thread that was called, how many rows are done so far. An error ends the work.
pub type Pulse<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// As many threads as this process may run at one time, where so many values make several blocks:
/// the system is asked for it, which takes longer than a row.
pub(crate) fn threads_for(rows: usize) -> usize {
    if rows <= BLOCK_ROWS {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What the threads share.
struct Shared<I> {
    pieces: Mutex<std::iter::Enumerate<I>>,
    /// No piece is begun any more: one has failed. Those before it are under way.
    failed: AtomicBool,
    /// Pieces under way are left: the caller has ended the work.
    stopped: AtomicBool,
    done: AtomicU64,
    running: AtomicUsize,
    first: Mutex<Option<(usize, Error)>>,
}

impl<I: Iterator> Shared<I> {
    fn take(&self) -> Option<(usize, I::Item)> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.failed.load(Ordering::Relaxed)).then(|| pieces.next())?
    }

    /// Works until no piece is left. Of several errors the one of the first piece is kept.
    fn run(
        &self,
        work: &impl Fn(I::Item, &mut dyn FnMut(usize) -> Result<()>) -> Result<()>,
        advance: &mut dyn FnMut(u64) -> Result<()>,
    ) {
        while let Some((position, piece)) = self.take() {
            let mut step = |rows: usize| {
                let before = self.done.fetch_add(rows as u64, Ordering::Relaxed);
                advance(before + rows as u64)
            };
            let Err(error) = work(piece, &mut step) else {
                continue;
            };
            self.failed.store(true, Ordering::Relaxed);
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|(other, _)| position < *other) {
                *first = Some((position, error));
            }
        }
    }
}

/// Calls `work` with each piece, on at most so many threads. It says how many rows it has done,
/// again and again, and ends where that is an error. Of several errors the one of the first piece
/// is returned, as one thread would.
pub(crate) fn deal<P: Send>(
    threads: usize,
    pieces: impl ExactSizeIterator<Item = P> + Send,
    pulse: Pulse<'_>,
    work: impl Fn(P, &mut dyn FnMut(usize) -> Result<()>) -> Result<()> + Sync,
) -> Result<()> {
    let threads = threads.min(pieces.len()).min(MOST_THREADS);
    if threads <= 1 {
        let mut done = 0;
        let mut step = |rows: usize| {
            done += rows as u64;
            pulse(done)
        };
        return pieces
            .into_iter()
            .try_for_each(|piece| work(piece, &mut step));
    }
    let shared = Shared {
        pieces: Mutex::new(pieces.enumerate()),
        failed: AtomicBool::new(false),
        stopped: AtomicBool::new(false),
        done: AtomicU64::new(0),
        running: AtomicUsize::new(0),
        first: Mutex::new(None),
    };
    let mut ended = None;
    std::thread::scope(|scope| {
        let caller = std::thread::current();
        for _ in 1..threads {
            let (shared, work, caller) = (&shared, &work, caller.clone());
            // Counted here, so that the caller never sees too few.
            shared.running.fetch_add(1, Ordering::AcqRel);
            let leave = Leave(&shared.running, caller);
            // Where the system gives no thread, the others do the work.
            let _ = std::thread::Builder::new()
                .name("tidegate-table".to_owned())
                .spawn_scoped(scope, move || {
                    let _leave = leave;
                    shared.run(work, &mut |_| {
                        if shared.stopped.load(Ordering::Relaxed) {
                            return Err(Error::internal(ENDED));
                        }
                        Ok(())
                    });
                });
        }
        let mut call = |done: u64| {
            if let Err(error) = pulse(done) {
                shared.failed.store(true, Ordering::Relaxed);
                shared.stopped.store(true, Ordering::Relaxed);
                ended = Some(error);
                return Err(Error::internal(ENDED));
            }
            Ok(())
        };
        shared.run(&work, &mut call);
        while shared.running.load(Ordering::Acquire) > 0 {
            std::thread::park_timeout(WAIT);
            if !shared.stopped.load(Ordering::Relaxed) {
                // What the caller says to it is kept.
                let _ = call(shared.done.load(Ordering::Relaxed));
            }
        }
    });
    let first = shared
        .first
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match ended.or(first.map(|(_, error)| error)) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Calls `work` with each piece of data of so many rows in all, on all cores if they are many. It is
/// given a function to call with the rows that it has done. Of several errors the one of the first
/// piece is returned. `pulse` is called every few milliseconds.
pub fn on_all_cores<P: Send>(
    rows: usize,
    pieces: impl ExactSizeIterator<Item = P> + Send,
    pulse: Pulse<'_>,
    work: impl Fn(P, &mut dyn FnMut(usize) -> Result<()>) -> Result<()> + Sync,
) -> Result<()> {
    deal(threads_for(rows), pieces, pulse, work)
}

/// Says that a thread has ended, also where it panics.
struct Leave<'a>(&'a AtomicUsize, Thread);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
        self.1.unpark();
    }
}

/// Calls `work` with blocks of the rows and their part of a matrix of `width` columns, on at most
/// so many threads.
pub(crate) fn in_blocks<T: Send>(
    threads: usize,
    rows: usize,
    width: usize,
    out: &mut [T],
    pulse: Pulse<'_>,
    work: impl Fn(Range<usize>, &mut [T]) -> Result<()> + Sync,
) -> Result<()> {
    if rows <= BLOCK_ROWS || width == 0 {
        return work(0..rows, out);
    }
    let blocks = out.chunks_mut(BLOCK_ROWS * width).enumerate();
    deal(threads, blocks, pulse, |(block, part), step| {
        let start = block * BLOCK_ROWS;
        let rows = start..start + part.len() / width;
        let count = rows.len();
        work(rows, part)?;
        step(count)
    })
}

/// Appends to a sparse matrix what `work` appends to parts of it, for blocks of the rows, on at most
/// so many threads.
pub(crate) fn in_parts<T: Cell>(
    threads: usize,
    rows: usize,
    out: &mut Sparse<T>,
    pulse: Pulse<'_>,
    work: impl Fn(Range<usize>, &mut Sparse<T>) -> Result<()> + Sync,
) -> Result<()> {
    if threads <= 1 {
        for start in (0..rows).step_by(BLOCK_ROWS) {
            let end = rows.min(start + BLOCK_ROWS);
            work(start..end, out)?;
            pulse(end as u64)?;
        }
        return Ok(());
    }
    // A few blocks a thread at a time, so that the parts are small beside the whole.
    let together = threads * 4;
    let blocks = rows.div_ceil(BLOCK_ROWS);
    for first in (0..blocks).step_by(together) {
        let mut parts: Vec<Sparse<T>> = Vec::new();
        parts.resize_with(together.min(blocks - first), Sparse::new);
        let before = (first * BLOCK_ROWS) as u64;
        let mut pulse = |done| pulse(before + done);
        deal(
            threads,
            parts.iter_mut().enumerate(),
            &mut pulse,
            |(block, part), step| {
                let start = (first + block) * BLOCK_ROWS;
                let rows = start..rows.min(start + BLOCK_ROWS);
                let count = rows.len();
                work(rows, part)?;
                step(count)
            },
        )?;
        parts.into_iter().try_for_each(|part| out.append(&part))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_written_once() {
        for (threads, rows) in [(1, 100_000), (2, 100_000), (4, 16_385), (8, 0), (3, 1)] {
            let mut out = vec![0usize; rows * 3];
            let mut told = 0;
            let mut pulse = |done| {
                told = told.max(done);
                Ok(())
            };
            in_blocks(threads, rows, 3, &mut out, &mut pulse, |range, part| {
                assert_eq!(part.len(), range.len() * 3);
                for (row, cells) in range.zip(part.chunks_mut(3)) {
                    cells.iter_mut().for_each(|cell| *cell += row);
                }
                Ok(())
            })
            .unwrap();
            assert!((0..rows).all(|row| out[3 * row..3 * row + 3] == [row; 3]));
            assert!(told <= rows as u64);
            if threads == 1 && rows > BLOCK_ROWS {
                assert_eq!(told, rows as u64);
            }
        }
    }

    #[test]
    fn the_error_of_the_first_rows_is_told() {
        let mut out = vec![0u8; 20 * BLOCK_ROWS];
        for _ in 0..20 {
            let rows = out.len();
            let told = in_blocks(4, rows, 1, &mut out, &mut |_| Ok(()), |range, _| {
                if range.start < 3 * BLOCK_ROWS {
                    return Ok(());
                }
                Err(Error::invalid(format!("{}", range.start)))
            });
            let due = format!("{}", 3 * BLOCK_ROWS);
            assert_eq!(told.unwrap_err().message, due);
        }
    }

    #[test]
    fn the_caller_ends_the_work_on_any_number_of_threads() {
        for threads in [1, 2, 5] {
            let begun = AtomicUsize::new(0);
            let mut pulse = |_| Err(Error::invalid("enough"));
            let told = deal(
                threads,
                (0..1000).collect::<Vec<_>>().into_iter(),
                &mut pulse,
                |_, step| {
                    begun.fetch_add(1, Ordering::Relaxed);
                    // A piece that never ends by itself.
                    loop {
                        step(1)?;
                        std::thread::yield_now();
                    }
                },
            );
            assert_eq!(told.unwrap_err().message, "enough");
            assert!(begun.into_inner() <= threads);
        }
    }
}
