//! What batching itself costs: a turn of works through the queue, and a direct call, with a
//! backend that does nothing.

use std::sync::Arc;
use std::time::Instant;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tidegate_batching::{Batcher, Execute, Limits, Refused, Work};

fn main() {
    divan::main();
}

struct Row {
    arrived: Instant,
}

impl Work for Row {
    fn rows(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        8
    }

    fn arrived(&self) -> Instant {
        self.arrived
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn priority(&self) -> u32 {
        0
    }

    fn compatible(&self, _: &Self) -> bool {
        true
    }

    fn abandoned(&self) -> bool {
        false
    }

    fn refuse(_: Refused<Self>) {}
}

struct Nothing;

impl Execute<Row> for Nothing {
    fn execute(&mut self, batch: Vec<Row>) {
        black_box(batch.len());
    }
}

fn batcher() -> Option<Arc<Batcher<Row, Nothing>>> {
    let batcher = Batcher::new("bench", vec![Nothing], Limits::default()).ok()?;
    // Teaches the cost, so that a flush runs here.
    batcher.try_direct(|_| ());
    Some(batcher)
}

#[divan::bench(args = [1, 8, 32, 128])]
fn turn(bencher: Bencher, works: usize) {
    let Some(batcher) = batcher() else { return };
    let arrived = Instant::now();
    bencher.counter(ItemsCount::new(works)).bench_local(|| {
        for _ in 0..works {
            let _ = batcher.enqueue(Row { arrived });
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
