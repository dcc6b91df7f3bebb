//! A matrix written by several threads, block of rows by block.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tidegate_schema::{Error, Result};

/// Rows of a block: enough to be worth a lock, few enough that the last thread is soon done.
const BLOCK_ROWS: usize = 16 * 1024;
/// Most threads of one call.
const MOST_THREADS: usize = 64;

/// As many threads as this process may run at one time, where there are several blocks: the system
/// is asked for it, which takes longer than a row.
pub(crate) fn threads_for(rows: usize) -> usize {
    if rows <= BLOCK_ROWS {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Calls `work` with blocks of the rows and their part of a matrix of `width` columns, on at most
/// so many threads. Of several errors the one of the first rows is returned, as one thread would.
pub(crate) fn in_blocks<T: Send>(
    threads: usize,
    rows: usize,
    width: usize,
    out: &mut [T],
    work: impl Fn(Range<usize>, &mut [T]) -> Result<()> + Sync,
) -> Result<()> {
    let threads = threads.min(rows.div_ceil(BLOCK_ROWS)).min(MOST_THREADS);
    if threads <= 1 || width == 0 {
        return work(0..rows, out);
    }
    let blocks = Mutex::new(out.chunks_mut(BLOCK_ROWS * width).enumerate());
    let failed = AtomicBool::new(false);
    let first: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let take = || {
        let mut blocks = blocks.lock().unwrap_or_else(PoisonError::into_inner);
        // Blocks are handed out in order, so all before a failed one are under way.
        (!failed.load(Ordering::Relaxed)).then(|| blocks.next())?
    };
    let run = || {
        while let Some((block, part)) = take() {
            let start = block * BLOCK_ROWS;
            let Err(error) = work(start..start + part.len() / width, part) else {
                continue;
            };
            failed.store(true, Ordering::Relaxed);
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|(other, _)| block < *other) {
                *first = Some((block, error));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Where the system gives no thread, this one does the work.
            let _ = std::thread::Builder::new()
                .name("tidegate-table".to_owned())
                .spawn_scoped(scope, run);
        }
        run();
    });
    let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
    first.map_or(Ok(()), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_written_once() {
        for (threads, rows) in [(1, 100_000), (2, 100_000), (4, 16_385), (8, 0), (3, 1)] {
            let mut out = vec![0usize; rows * 3];
            in_blocks(threads, rows, 3, &mut out, |range, part| {
                assert_eq!(part.len(), range.len() * 3);
                for (row, cells) in range.zip(part.chunks_mut(3)) {
                    cells.iter_mut().for_each(|cell| *cell += row);
                }
                Ok(())
            })
            .unwrap();
            assert!((0..rows).all(|row| out[3 * row..3 * row + 3] == [row; 3]));
        }
    }

    #[test]
    fn the_error_of_the_first_rows_is_told() {
        let mut out = vec![0u8; 20 * BLOCK_ROWS];
        for _ in 0..20 {
            let told = in_blocks(4, out.len(), 1, &mut out, |range, _| {
                if range.start < 3 * BLOCK_ROWS {
                    return Ok(());
                }
                Err(Error::invalid(format!("{}", range.start)))
            });
            let due = format!("{}", 3 * BLOCK_ROWS);
            assert_eq!(told.unwrap_err().message, due);
        }
    }
}
