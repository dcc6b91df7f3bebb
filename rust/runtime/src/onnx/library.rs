//! Loading the shared library, once a process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::environment::Environment;
use tidegate_schema::{Error, ErrorKind, Result};

/// The oldest ONNX Runtime whose C API has everything that is called here.
pub const MINIMUM_VERSION: &str = "1.24";

/// Must be set before the library is loaded: official Linux builds from 1.29 on collect telemetry
/// unless it is `1`, and read it while they are loaded.
const TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

struct Loaded {
    path: PathBuf,
    version: String,
    environment: Environment,
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

fn loaded() -> MutexGuard<'static, Option<Loaded>> {
    // Nothing panics while the lock is held in a state that matters: the option is set at once.
    LOADED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Loads ONNX Runtime from this file; a second call with the same file does nothing.
///
/// # Errors
/// `NotFound` without the file; `State` when another file is loaded already (it is never unloaded:
/// start a new process), or when `ORT_DISABLE_TELEMETRY` is not decided: it must be `1`, or
/// `0` by somebody's explicit wish; `Unsupported` when the file is no ONNX Runtime of at least
/// [`MINIMUM_VERSION`].
pub fn load_library(path: &Path) -> Result<()> {
    let real = path.canonicalize().map_err(|error| {
        Error::not_found(format!(
            "ONNX Runtime's library {} cannot be read ({error}): install tidegate[cpu] or tidegate[gpu]",
            path.display()
        ))
    })?;
    let mut slot = loaded();
    if let Some(loaded) = slot.as_ref() {
        if loaded.path == real {
            return Ok(());
        }
        return Err(Error::state(format!(
            "ONNX Runtime is loaded from {} and cannot be exchanged for {}: start a new process",
            loaded.path.display(),
            real.display()
        )));
    }
    if !matches!(std::env::var(TELEMETRY).as_deref(), Ok("0" | "1")) {
        return Err(Error::state(format!(
            "{TELEMETRY} is not set: set it to 1 before the process loads ONNX Runtime (or to 0, to let it collect telemetry)"
        )));
    }
    let builder = ort::init_from(&real).map_err(|error| {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "{} is no ONNX Runtime of at least {MINIMUM_VERSION} ({error}): install onnxruntime>={MINIMUM_VERSION}",
                real.display()
            ),
        )
    })?;
    let environment = builder
        .with_name("tidegate")
        .with_telemetry(false)
        .build()
        .map_err(|error| {
            Error::new(
                ErrorKind::Backend,
                format!("ONNX Runtime does not start: {error}"),
            )
        })?;
    // Errors are returned to whoever asked, hence not logged as well.
    environment.set_log_level(ort::logging::LogLevel::Fatal);
    *slot = Some(Loaded {
        version: version_of(&real),
        path: real,
        environment,
    });
    Ok(())
}

/// The version of the loaded library, as `1.32.0`; `None` before [`load_library`].
#[must_use]
pub fn library_version() -> Option<String> {
    loaded().as_ref().map(|loaded| loaded.version.clone())
}

/// The environment that sessions live in.
pub(super) fn environment() -> Result<Environment> {
    loaded()
        .as_ref()
        .map(|loaded| loaded.environment.clone())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::NotReady,
                "ONNX Runtime is not loaded: call load_library with the path of the installed one",
            )
        })
}

/// Wheels name the file `libonnxruntime.so.1.32.0`; other builds tell their release branch.
fn version_of(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str());
    if let Some((_, version)) = name.and_then(|name| name.split_once(".so."))
        && version.split('.').count() == 3
    {
        return version.to_owned();
    }
    let branch = ort::info().split_once("git-branch=rel-");
    branch.map_or_else(
        || "unknown".to_owned(),
        |(_, rest)| {
            rest.chars()
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_tells_its_version_in_the_file_name() {
        assert_eq!(
            version_of(Path::new("/x/capi/libonnxruntime.so.1.32.0")),
            "1.32.0"
        );
    }
}
