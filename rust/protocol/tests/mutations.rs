//! Bodies mutated from valid ones: nothing panics, and the promises of `fuzz` hold.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // Functions shared by the tests are not tests to clippy.

mod mutate;

use std::fs;
use std::path::Path;

use mutate::{Random, mutate_bytes, mutate_json};
use tidegate_protocol::fuzz;

const BODIES: usize = 12_000;
/// At least so many bodies must be well-formed, or the mutations only test the JSON reader.
const WELL_FORMED: f64 = 0.5;

#[test]
fn mutated_bodies_break_no_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/protocol/corpus");
    let mut corpus: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    corpus.sort();
    let mut random = Random(20_130_101);
    let mut counts = [0usize; 3];
    for i in 0..BODIES {
        let (name, body) = &corpus[i % corpus.len()];
        let parts: Vec<&str> = name.split('.').collect();
        let stage = match parts.as_slice() {
            [_, "json"] => fuzz::json(&mutate_json(body, &mut random)),
            [_, "rows", "json"] => fuzz::rows(&mutate_json(body, &mut random)),
            [_, "reply", "json"] => fuzz::reply(&mutate_json(body, &mut random), None),
            [_, length, rest @ ..] => {
                let (text, tail) = body.split_at(length.parse().unwrap());
                let (mut text, mut tail) = (text.to_vec(), tail.to_vec());
                if random.below(2) == 0 {
                    text = mutate_json(&text, &mut random);
                } else {
                    tail = mutate_bytes(&tail, &mut random);
                }
                let length = match random.below(20) {
                    0 => random.below(2 * body.len()),
                    _ => text.len(),
                };
                let whole = [text, tail].concat();
                match rest {
                    ["bin"] => fuzz::binary(&whole, length),
                    _ => fuzz::reply(&whole, Some(length)),
                }
            }
            _ => panic!("{name}"),
        };
        fuzz::raw(&mutate_bytes(body, &mut random));
        counts[stage as usize] += 1;
    }
    let [malformed, refused, accepted] = counts;
    println!("{malformed} malformed, {refused} refused, {accepted} accepted");
    let well_formed = (refused + accepted) as f64 / BODIES as f64;
    assert!(well_formed >= WELL_FORMED, "{well_formed}");
    assert!(
        accepted > BODIES / 20 && refused > BODIES / 20,
        "{counts:?}"
    );
}
