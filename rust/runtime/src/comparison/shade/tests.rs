use std::sync::mpsc;

use tidegate_drift::tally::Observe;
use tidegate_schema::{Datatype, TensorData};

use super::*;
use crate::backend::{Backend, Slab};
use crate::id::Ids;
use crate::{LoadOptions, Options, Runtime, TensorInfo};

/// Gives back what it is asked, and says on which thread.
#[derive(Clone)]
struct Echo(Vec<TensorInfo>, mpsc::Sender<i32>);

impl Backend for Echo {
    fn inputs(&self) -> &[TensorInfo] {
        &self.0
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.0
    }

    fn run(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        // SAFETY: the calling thread's policy is read.
        let _ = self.1.send(unsafe { libc::sched_getscheduler(0) });
        let slab = &inputs[0];
        Ok(vec![Tensor::new(
            "x",
            slab.shape.to_vec(),
            slab.data.clone(),
        )?])
    }

    fn another(&self) -> Result<Option<Box<dyn Backend>>> {
        Ok(Some(Box::new(self.clone())))
    }
}

fn copied(rows: usize) -> Copied {
    Copied {
        inputs: CopiedInputs::Blocks(vec![Block {
            shape: vec![rows, 1],
            data: TensorData::Fp32(vec![0.5; rows]),
        }]),
        columns: Arc::default(),
        answers: TableBuf {
            columns: Vec::new(),
        },
        seen: Answered {
            id: Ids::new().next(),
            first_row: 0,
            rows: 0,
            time: 0.0,
            revision: 1,
            experiment: None,
            role: None,
            latency: Duration::ZERO,
            caller: None,
        },
        places: None,
    }
}

#[test]
fn what_finds_no_room_is_not_even_copied_and_counted() {
    let info = TensorInfo {
        name: "x".to_owned(),
        datatype: Datatype::Fp32,
        shape: vec![-1, 1],
    };
    let (ran, runs) = mpsc::channel();
    let runtime = Runtime::new(&Options::default()).unwrap();
    let backend = Box::new(Echo(vec![info], ran));
    let model = runtime.load_backend("m", "2", backend, &LoadOptions::default());
    let scope = Arc::new(Scope::new(Observe::default(), None, false, None).unwrap());
    let shade = Shade::new(&model.unwrap(), WHOLE, scope, None).unwrap();
    let dropped = || shade.totals().dropped.load(Relaxed);
    // The thread cannot count what it has computed, and takes no more.
    let counts = lock(&shade.inner.counts);
    shade.push(copied(1));
    #[cfg(target_os = "linux")]
    assert_eq!(runs.recv().unwrap(), libc::SCHED_IDLE);
    let rows = SHADOW_BYTES / 16;
    let mut added = 0;
    while shade.takes() {
        shade.push(copied(rows));
        added += 1;
    }
    // Three fit, the fourth finds no room, the next is not made.
    assert_eq!((added, dropped()), (4, 2));
    assert!(!shade.takes());
    assert_eq!(dropped(), 3);
    // As soon as one is taken there is room for the next.
    drop(counts);
    for _ in 0..3 {
        runs.recv().unwrap();
    }
    assert!(shade.takes());
    // Nobody who answers waits for the thread, wherever it is stopped.
    let held = lock(&shade.inner.queue);
    shade.push(copied(1));
    assert_eq!(dropped(), 4);
    drop(held);
    shade.stop();
    shade.wait();
}
