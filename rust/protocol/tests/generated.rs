//! The messages are generated from `proto/` without `protoc`; what is checked in must be what the
//! files give. `TIDEGATE_GENERATE=1 cargo test -p tidegate-protocol --test generated` writes it.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used)]

use std::path::Path;

const FILES: [(&str, &str); 2] = [
    ("inference.rs", "inference.proto"),
    ("grpc.health.v1.rs", "health.proto"),
];

#[test]
fn the_messages_are_those_of_the_protocol_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = root.join("src/grpc/generated");
    let there = std::env::temp_dir().join(format!("tidegate-generated-{}", std::process::id()));
    std::fs::create_dir_all(&there).unwrap();
    let sources = FILES.map(|(_, source)| source);
    let descriptors = protox::compile(sources, [root.join("proto")]).unwrap();
    prost_build::Config::new()
        .bytes([
            ".inference.ModelInferRequest",
            ".inference.ModelInferResponse",
        ])
        .btree_map(["."])
        .out_dir(&there)
        .compile_fds(descriptors)
        .unwrap();
    for (file, _) in FILES {
        let made = std::fs::read_to_string(there.join(file)).unwrap();
        let kept = here.join(file);
        if std::env::var_os("TIDEGATE_GENERATE").is_some() {
            std::fs::create_dir_all(&here).unwrap();
            std::fs::write(&kept, &made).unwrap();
        }
        let known = std::fs::read_to_string(&kept).unwrap();
        assert!(
            known == made,
            "{file} is not what proto/ gives: see the top of this test"
        );
    }
    std::fs::remove_dir_all(&there).unwrap();
}
