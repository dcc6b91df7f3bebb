//! The kept corpus of the fuzz targets and its mutations, on stable Rust.

#![allow(clippy::unwrap_used)] // Functions shared by the tests are not tests to clippy.

mod mutate;

use std::fs;
use std::path::{Path, PathBuf};

use mutate::{Random, mutate_bytes, mutate_json};
use tidegate_protocol::fuzz::{self, Stage, TARGETS};

/// Bodies made from each kept one.
const MUTATIONS: usize = 150;

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

#[test]
fn kept_bodies_and_their_mutations_break_no_promise() {
    let mut random = Random(1);
    for (target, run) in TARGETS {
        let bodies = kept(target);
        assert!(!bodies.is_empty(), "{target} has no kept bodies");
        let mut accepted = 0;
        for (_, body) in &bodies {
            accepted += usize::from(run(body) == Stage::Accepted);
            for _ in 0..MUTATIONS {
                run(&mutate_bytes(body, &mut random));
                run(&mutate_json(body, &mut random));
                // Two bodies in one: the head of this and the tail of another.
                let (_, other) = &bodies[random.below(bodies.len())];
                let (head, tail) = (random.below(body.len()), random.below(other.len()));
                run(&[&body[..head], &other[tail..]].concat());
            }
        }
        assert!(accepted > 0, "{target} accepts none of its kept bodies");
    }
}

#[test]
fn hostile_bodies_are_refused() {
    for (target, names) in [
        (
            "json",
            "deep huge-extent product-overflows negative-extent exponent lone-surrogate not-utf8 \
             key-twice ragged size-overflows",
        ),
        (
            "binary",
            "bytes-length-overflows bytes-too-many left-over too-few length-beyond size-twice",
        ),
        (
            "rows",
            "deep empty unknown-key key-twice time-out-of-range integer-out-of-range",
        ),
        (
            "grpc",
            "flood mixed negative-extent product-overflows not-utf8 length-overflows",
        ),
    ] {
        let bodies = kept(target);
        for name in names.split_whitespace() {
            let (_, body) = bodies.iter().find(|(known, _)| known == name).unwrap();
            assert_ne!(
                fuzz::drive(target, body),
                Stage::Accepted,
                "{target}/{name}"
            );
        }
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
