//! Journals of earlier versions are read by this one.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

use tidegate_predictionlog::{Chunk, Journal, Mark, PredictionId, Record};

fn id(count: u64) -> PredictionId {
    PredictionId { prefix: 1, count }
}

#[test]
fn a_journal_of_version_1_is_read() {
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/predictionlog/awaiting-1.log"
    );
    let folder = std::env::temp_dir().join(format!("tidegate-journal-1-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(golden, folder.join("awaiting-000000000001.log")).unwrap();
    let mut found = Vec::new();
    let (_, recovered) = Journal::open(&folder, |_, record| found.push(record)).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!((recovered.records, recovered.damaged_bytes), (6, 0));
    let mark = |count, first_row, rows, time| Mark {
        id: id(count),
        first_row,
        rows,
        time,
    };
    let due = [
        Record::Slot {
            slot: 3,
            text: "{\"model\":\"flight-delay\"}".to_owned(),
        },
        Record::Note {
            slot: 3,
            text: "{\"segment\":\"EWR\"}".to_owned(),
        },
        Record::Chunk(Chunk {
            slot: 3,
            width: 2,
            origin: 0,
            marks: vec![mark(2, 0, 1, 1.5), mark(3, 4, 2, 2.5)],
            values: vec![1.0, 0.25, 0.0, f64::INFINITY, 1.0, -0.5],
        }),
        Record::Label {
            id: id(2),
            row: 0,
            label: 1.0,
        },
        Record::Metric {
            id: id(2),
            row: 0,
            metric: 2,
            value: 2.5,
        },
        Record::State {
            text: "{\"slots\":{}}".to_owned(),
        },
    ];
    assert_eq!(found, due);
}
