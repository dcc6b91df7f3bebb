//! What batching itself costs: a turn of works through the queue, and a direct call, with a
//! backend that does nothing.

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tidegate_batching::{Batcher, Execute, Limits, Work};

fn main() {
    divan::main();
}

struct Row;

impl Work for Row {
    fn rows(&self) -> usize {
        1
    }

    fn compatible(&self, _: &Self) -> bool {
        true
    }

    fn abandoned(&self) -> bool {
        false
    }
}

struct Nothing;

impl Execute<Row> for Nothing {
    fn execute(&mut self, batch: Vec<Row>) {
        black_box(batch.len());
    }
}

fn batcher() -> Option<Arc<Batcher<Row, Nothing>>> {
    let batcher = Batcher::new("bench", Nothing, Limits::default()).ok()?;
    // Teaches the cost, so that a flush runs here.
    batcher.try_direct(|_| ());
    Some(batcher)
}

#[divan::bench(args = [1, 8, 32, 128])]
fn turn(bencher: Bencher, works: usize) {
    let Some(batcher) = batcher() else { return };
    bencher.counter(ItemsCount::new(works)).bench_local(|| {
        for _ in 0..works {
            let _ = batcher.enqueue(Row);
        }
        batcher.flush();
    });
    batcher.close();
}

#[divan::bench]
fn direct(bencher: Bencher) {
    let Some(batcher) = batcher() else { return };
    bencher.bench_local(|| batcher.try_direct(|_| black_box(1)));
    batcher.close();
}
