//! The kept corpus of the fuzz targets, its mutations and some thousand grown plans, on stable Rust.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

#[path = "../../protocol/tests/mutate/mod.rs"]
mod mutate;

use std::path::{Path, PathBuf};
use std::{fs, panic};

use mutate::{Random, mutate_bytes, mutate_json};
use tidegate_features::fuzz::{self, Stage, TARGETS};

/// Inputs made from each kept one.
const MUTATIONS: usize = 60;
/// Plans that are grown from random bytes.
const GROWN: usize = 3_000;
/// Bytes that a plan is grown of, and its tables are filled from.
const BYTES: usize = 1_500;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder().join("corpus").join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    found.sort();
    found
}

/// The line with the plan changed as JSON, or the bytes after it.
fn mutated(input: &[u8], random: &mut Random) -> Vec<u8> {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (text, rest) = input.split_at(end);
    match random.below(3) {
        0 => mutate_bytes(input, random),
        1 => [text, &mutate_bytes(rest, random)].concat(),
        _ => [mutate_json(text, random), rest.to_vec()].concat(),
    }
}

#[test]
fn kept_plans_and_their_mutations_break_no_promise() {
    let mut random = Random(7);
    for (target, run) in TARGETS {
        let inputs = kept(target);
        assert!(!inputs.is_empty(), "{target} has no kept inputs");
        let mut accepted = 0;
        for (_, input) in &inputs {
            accepted += usize::from(run(input) == Stage::Accepted);
            for _ in 0..MUTATIONS {
                run(&mutated(input, &mut random));
            }
        }
        assert!(accepted > 0, "{target} accepts none of its kept inputs");
    }
}

#[test]
fn grown_plans_break_no_promise() {
    let mut random = Random(20_130_101);
    let (mut accepted, mut broken) = (0, Vec::new());
    for _ in 0..GROWN {
        let bytes: Vec<u8> = (0..BYTES).map(|_| random.next() as u8).collect();
        // Several at one time are mended faster than one by one.
        match panic::catch_unwind(|| fuzz::grown(&bytes)) {
            Ok(stage) => accepted += usize::from(stage == Stage::Accepted),
            Err(said) => broken.push(said.downcast::<String>().unwrap()),
        }
    }
    assert!(broken.is_empty(), "{} promises broken", broken.len());
    // Or the search only tests what refuses.
    assert!(accepted > GROWN / 3, "{accepted} of {GROWN} are accepted");
}

#[test]
fn hostile_plans_are_refused() {
    let inputs = kept("plan");
    for name in [
        "unknown-column",
        "unknown-expression",
        "unknown-parameter",
        "names-twice",
        "text-as-feature",
        "target-as-feature",
        "too-deep",
        "too-wide",
        "huge-pattern",
        "no-features",
    ] {
        let (_, input) = inputs.iter().find(|(known, _)| known == name).unwrap();
        assert_eq!(fuzz::plan(input), Stage::Refused, "{name}");
    }
}

/// Every target can be searched by hand too: it has a program, and the crate lists it.
#[test]
fn every_target_has_a_program() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for (target, _) in TARGETS {
        let program = format!("fuzz_targets/{target}.rs");
        assert!(manifest.contains(&program), "{program}");
        let text = fs::read_to_string(folder().join(program)).unwrap();
        assert!(text.contains(&format!("drive(\"{target}\"")));
    }
}
