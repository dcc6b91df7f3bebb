//! What batching itself costs: a turn of works through the queue, and a direct call, with a
//! backend that does nothing.

use std::time::Instant;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tidegate_benches::batching::{Row, batcher};

fn main() {
    divan::main();
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
