//! The server's own log on standard error, and its settings (`GET` and `POST /v2/logging`).

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tidegate_schema::{Error, Result};

use crate::access_log::now;
use crate::lines::Lines;

/// Most bytes of an answer that the log repeats.
const MOST_SAID: usize = 1024;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A request that failed by our fault.
    Error,
    /// A client that was sent away or cut.
    Warning,
    /// What the server does: it begins to drain.
    Info,
    /// Every request, from `log_verbose_level` 1 on.
    Verbose,
}

/// The names of the settings, in Triton's logging extension.
pub const SETTINGS: [&str; 6] = [
    "log_file",
    "log_info",
    "log_warning",
    "log_error",
    "log_verbose_level",
    "log_format",
];

/// The server's log. Its settings act from the next line on.
#[derive(Debug)]
pub struct Log {
    lines: Option<Lines>,
    info: AtomicBool,
    warning: AtomicBool,
    error: AtomicBool,
    verbose: AtomicU32,
    iso: AtomicBool,
}

/// What a request changes.
#[derive(Default)]
struct Changes {
    info: Option<bool>,
    warning: Option<bool>,
    error: Option<bool>,
    verbose: Option<u32>,
    iso: Option<bool>,
}

/// What is said of a request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Noted<'a> {
    /// The request's id.
    pub id: &'a str,
    /// The method of HTTP.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// How it ended.
    pub status: &'a str,
    /// Did it fail by our fault?
    pub ours: bool,
    /// The answer of a request that failed.
    pub text: &'a [u8],
    /// How long it took.
    pub took: Duration,
}

impl Default for Log {
    /// Errors, warnings and information go to standard error.
    fn default() -> Self {
        Self::to(Lines::to(std::io::stderr()).ok())
    }
}

impl Log {
    fn to(lines: Option<Lines>) -> Self {
        Self {
            lines,
            info: AtomicBool::new(true),
            warning: AtomicBool::new(true),
            error: AtomicBool::new(true),
            verbose: AtomicU32::new(0),
            iso: AtomicBool::new(false),
        }
    }

    /// Are lines of this level written?
    #[must_use]
    pub fn writes(&self, level: Level) -> bool {
        match level {
            Level::Error => self.error.load(Ordering::Relaxed),
            Level::Warning => self.warning.load(Ordering::Relaxed),
            Level::Info => self.info.load(Ordering::Relaxed),
            Level::Verbose => self.verbose.load(Ordering::Relaxed) > 0,
        }
    }

    /// Writes a line, if lines of its level are written; `id` names the request it is about.
    pub fn write(&self, level: Level, id: Option<&str>, message: impl fmt::Display) {
        let Some(lines) = self.lines.as_ref().filter(|_| self.writes(level)) else {
            return;
        };
        let letter = match level {
            Level::Error => 'E',
            Level::Warning => 'W',
            Level::Info | Level::Verbose => 'I',
        };
        let (time, process) = (now(), std::process::id());
        let head = if self.iso.load(Ordering::Relaxed) {
            format!("{time} {process} {letter}")
        } else {
            // As Triton begins its lines: level, month and day, time of day.
            let (date, clock) = time.split_once('T').unwrap_or((&time, ""));
            let (month, day) = (date.get(5..7).unwrap_or(""), date.get(8..10).unwrap_or(""));
            let clock = clock.trim_end_matches('Z');
            format!("{letter}{month}{day} {clock} {process}")
        };
        lines.push(match id {
            Some(id) => format!("{head} server] request {id}: {message}"),
            None => format!("{head} server] {message}"),
        });
    }

    /// Says what failed by our fault, and of every request that it was answered where that is
    /// asked for.
    pub fn request(&self, noted: &Noted<'_>) {
        let Noted {
            method,
            path,
            status,
            ..
        } = noted;
        let id = Some(noted.id);
        if noted.ours && self.writes(Level::Error) {
            let text = noted.text.get(..MOST_SAID).unwrap_or(noted.text);
            let text = String::from_utf8_lossy(text);
            let message = format_args!("{method} {path:?} was answered {status}: {text}");
            self.write(Level::Error, id, message);
        }
        if self.writes(Level::Verbose) {
            let seconds = noted.took.as_secs_f64();
            let message = format_args!("{method} {path:?} was answered {status} in {seconds:.6} s");
            self.write(Level::Verbose, id, message);
        }
    }

    /// The current settings.
    #[must_use]
    pub fn settings(&self) -> Value {
        json!({
            "log_file": "",
            "log_info": self.info.load(Ordering::Relaxed),
            "log_warning": self.warning.load(Ordering::Relaxed),
            "log_error": self.error.load(Ordering::Relaxed),
            "log_verbose_level": self.verbose.load(Ordering::Relaxed),
            "log_format": if self.iso.load(Ordering::Relaxed) { "ISO8601" } else { "default" },
        })
    }

    /// Changes settings, all of them or none.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown setting, a value of another type, and `log_file`.
    pub fn change(&self, wanted: &Map<String, Value>) -> Result<()> {
        let mut changes = Changes::default();
        for (name, value) in wanted {
            changes.read(name, value)?;
        }
        let set = |place: &AtomicBool, value: Option<bool>| {
            if let Some(value) = value {
                place.store(value, Ordering::Relaxed);
            }
        };
        set(&self.info, changes.info);
        set(&self.warning, changes.warning);
        set(&self.error, changes.error);
        set(&self.iso, changes.iso);
        if let Some(level) = changes.verbose {
            self.verbose.store(level, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Changes {
    fn read(&mut self, name: &str, value: &Value) -> Result<()> {
        let due = |what: &str| Error::invalid(format!("{name} is {value} where {what} is due"));
        let flag = || value.as_bool().ok_or_else(|| due("true or false"));
        match name {
            "log_info" => self.info = Some(flag()?),
            "log_warning" => self.warning = Some(flag()?),
            "log_error" => self.error = Some(flag()?),
            "log_verbose_level" => {
                let level = value.as_u64().and_then(|level| u32::try_from(level).ok());
                self.verbose = Some(level.ok_or_else(|| due("a whole number from 0 on"))?);
            }
            "log_format" => {
                self.iso = Some(match value.as_str() {
                    Some("default") => false,
                    Some("ISO8601") => true,
                    _ => return Err(due("\"default\" or \"ISO8601\"")),
                });
            }
            "log_file" => {
                return Err(Error::invalid(
                    "log_file cannot be changed over the network, where it would let a caller write files: send the server's standard error where the log should go",
                ));
            }
            _ => {
                return Err(Error::invalid(format!(
                    "unknown log setting {name:?}: the settings are {}",
                    SETTINGS.join(", ")
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn change(log: &Log, wanted: Value) -> Result<()> {
        log.change(wanted.as_object().unwrap())
    }

    #[test]
    fn settings_act_and_are_told() {
        let kept = Kept::default();
        let log = Log::to(Some(Lines::to(kept.clone()).unwrap()));
        log.write(Level::Verbose, None, "unsaid");
        log.write(Level::Error, Some("r-1"), "first");
        change(&log, json!({"log_error": false, "log_format": "ISO8601"})).unwrap();
        change(&log, json!({"log_verbose_level": 1})).unwrap();
        log.write(Level::Error, None, "unsaid");
        log.write(Level::Verbose, None, "second");
        let settings = log.settings();
        for name in SETTINGS {
            assert!(settings.get(name).is_some(), "{name}");
        }
        assert_eq!(settings["log_error"], false);
        assert_eq!(settings["log_verbose_level"], 1);
        drop(log);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with('E') && lines[0].ends_with("server] request r-1: first"));
        assert!(lines[1].starts_with("20") && lines[1].ends_with(" I server] second"));
    }

    #[test]
    fn a_wrong_setting_changes_nothing() {
        let log = Log::to(None);
        for wanted in [
            json!({"log_info": false, "log_warning": 1}),
            json!({"log_info": false, "log_verbose_level": -1}),
            json!({"log_info": false, "log_format": "xml"}),
            json!({"log_info": false, "log_file": "/tmp/x"}),
            json!({"log_info": false, "speed": 1}),
            json!({"log_info": null}),
        ] {
            assert!(change(&log, wanted.clone()).is_err(), "{wanted}");
            assert_eq!(log.settings()["log_info"], true, "{wanted}");
        }
    }
}
