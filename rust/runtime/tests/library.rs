//! Loading ONNX Runtime: once, from one file, and not before somebody decided about telemetry.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use support::{Folder, model, ort};
use tidegate_runtime::{LoadOptions, Options, Runtime, onnx};
use tidegate_schema::ErrorKind;

/// One test, alone in its process: the environment and the library belong to the process.
#[test]
fn the_library_is_loaded_once_and_silent() {
    let folder = Folder::new();
    let fake = folder.path().join("libonnxruntime.so.9.9.9");
    std::fs::write(&fake, b"not a library").unwrap();
    let runtime = Runtime::new(&Options::default()).unwrap();
    let load = || runtime.load_onnx("m", "1", &model("linear"), &LoadOptions::default());

    // SAFETY: this process has no other thread that reads the environment.
    unsafe { std::env::remove_var("ORT_DISABLE_TELEMETRY") };
    let undecided = onnx::load_library(&fake).unwrap_err();
    assert_eq!(undecided.kind, ErrorKind::State);
    assert!(
        undecided.message.contains("ORT_DISABLE_TELEMETRY"),
        "{undecided}"
    );

    // SAFETY: as above.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    let absent = onnx::load_library(Path::new("/nowhere/libonnxruntime.so")).unwrap_err();
    assert_eq!(absent.kind, ErrorKind::NotFound);
    let no_library = onnx::load_library(&fake).unwrap_err();
    assert_eq!(no_library.kind, ErrorKind::Unsupported);
    assert!(
        no_library.message.contains("onnxruntime>=1.24"),
        "{no_library}"
    );
    assert_eq!(onnx::library_version(), None);
    assert_eq!(load().unwrap_err().kind, ErrorKind::NotReady);

    ort();
    load().unwrap();
    let other = onnx::load_library(&fake).unwrap_err();
    assert_eq!(other.kind, ErrorKind::State);
    assert!(other.message.contains("new process"), "{other}");
    onnx::load_library(Path::new(&std::env::var("TIDEGATE_TEST_ORT").unwrap())).unwrap();
    assert!(onnx::library_version().unwrap().starts_with("1."));
}
