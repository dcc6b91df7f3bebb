//! A detector with its counters and its written form.

use serde::{Deserialize, Serialize};
use tidegate_schema::{Error, Result};

use super::{Adwin, Cusum, Ddm, HddmA, HddmW, Kernel, Kswin, MAX_MAGNITUDE, PageHinkley, Signal};

/// The version written into serialised detectors.
const VERSION: u32 = 1;

/// A method with its parameters and its state. As JSON parameters may be left out, and have their
/// defaults then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A window that shrinks when its halves disagree.
    Adwin(Adwin),
    /// Cumulated deviations from a running mean.
    PageHinkley(PageHinkley),
    /// Cumulated deviations from a mean taken at the start.
    Cusum(Cusum),
    /// An error rate far above its best.
    Ddm(Ddm),
    /// Hoeffding's bound on means.
    HddmA(HddmA),
    /// `McDiarmid`'s bound on exponentially weighted means.
    HddmW(HddmW),
    /// Kolmogorov–Smirnov over a sliding window.
    Kswin(Kswin),
}

/// Runs an expression with the kernel of a method, whichever it is.
macro_rules! with_kernel {
    ($method:expr, $kernel:ident => $body:expr) => {
        match $method {
            Method::Adwin($kernel) => $body,
            Method::PageHinkley($kernel) => $body,
            Method::Cusum($kernel) => $body,
            Method::Ddm($kernel) => $body,
            Method::HddmA($kernel) => $body,
            Method::HddmW($kernel) => $body,
            Method::Kswin($kernel) => $body,
        }
    };
}

impl Method {
    /// The name that [`Detector::from_parameters`] takes.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Adwin(_) => "adwin",
            Self::PageHinkley(_) => "page_hinkley",
            Self::Cusum(_) => "cusum",
            Self::Ddm(_) => "ddm",
            Self::HddmA(_) => "hddm_a",
            Self::HddmW(_) => "hddm_w",
            Self::Kswin(_) => "kswin",
        }
    }
}

/// Where in a slice a detector spoke up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Positions of the values at which it found a change.
    pub drifts: Vec<usize>,
    /// Positions of the values at which a zone of warning began.
    pub warnings: Vec<usize>,
}

/// A detector of change: a method, and what it counted since it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Detector {
    method: Method,
    signal: Signal,
    count: u64,
    missing: u64,
    infinite: u64,
    drifts: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    count: u64,
    drifts: u64,
    infinite: u64,
    method: Method,
    missing: u64,
    signal: Signal,
    version: u32,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(mut method: Method) -> Result<Self> {
        with_kernel!(&mut method, kernel => {
            kernel.restart();
            kernel.check()?;
        });
        Ok(Self {
            method,
            signal: Signal::Steady,
            count: 0,
            missing: 0,
            infinite: 0,
            drifts: 0,
        })
    }

    /// A detector by the name of its method, with parameters as a JSON object.
    pub fn from_parameters(method: &str, parameters: &str) -> Result<Self> {
        let unreadable =
            |error: serde_json::Error| Error::invalid(format!("parameters of {method}: {error}"));
        let parameters: serde_json::Value = serde_json::from_str(parameters).map_err(unreadable)?;
        let tagged = serde_json::json!({ method: parameters });
        Self::new(serde_json::from_value(tagged).map_err(unreadable)?)
    }

    /// Takes in one value. DDM and HDDM take values from 0 (right) to 1 (wrong) only.
    pub fn update(&mut self, value: f64) -> Result<Signal> {
        self.update_many(&[value])?;
        Ok(self.signal)
    }

    /// Takes in many values. After an error none of them was taken in.
    pub fn update_many(&mut self, values: &[f64]) -> Result<Changes> {
        let mut changes = Changes::default();
        let signal = &mut self.signal;
        let unseen =
            with_kernel!(&mut self.method, kernel => many(kernel, values, signal, &mut changes)?);
        self.missing += unseen.missing;
        self.infinite += unseen.infinite;
        self.count += values.len() as u64 - unseen.missing - unseen.infinite;
        self.drifts += changes.drifts.len() as u64;
        Ok(changes)
    }

    /// Forgets what was seen since the last start; counters stay.
    pub fn restart(&mut self) {
        with_kernel!(&mut self.method, kernel => kernel.restart());
        self.signal = Signal::Steady;
    }

    /// What was said of the last value.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// The method, with its parameters and its state.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Values taken in since the detector was made.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// NaN values seen.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// Values seen that are infinite or beyond [`MAX_MAGNITUDE`].
    #[must_use]
    pub const fn infinite(&self) -> u64 {
        self.infinite
    }

    /// Changes found since the detector was made.
    #[must_use]
    pub const fn drifts(&self) -> u64 {
        self.drifts
    }

    /// The figures that decisions come from, by name; of the values since the last start.
    #[must_use]
    pub fn figures(&self) -> Vec<(&'static str, f64)> {
        with_kernel!(&self.method, kernel => kernel.figures())
    }

    /// Canonical, versioned JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // `Value` keeps its keys sorted, which makes the text canonical.
        serde_json::to_value(self)
            .map(|value| value.to_string())
            .unwrap_or_default()
    }

    /// Reads what [`Detector::to_json`] wrote, of this or any earlier version.
    pub fn from_json(text: &str) -> Result<Self> {
        // The version first: a later one may have fields that this one does not know.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let unreadable = |error| Error::state(format!("not a detector: {error}"));
        let Version { version } = serde_json::from_str(text).map_err(unreadable)?;
        if version == 0 || version > VERSION {
            return Err(Error::state(format!(
                "a detector of version {version} where {VERSION} is the newest this tidegate reads: upgrade tidegate"
            )));
        }
        serde_json::from_str(text).map_err(unreadable)
    }
}

/// Values of a slice that no kernel saw.
#[derive(Default)]
struct Unseen {
    missing: u64,
    infinite: u64,
}

fn many<K: Kernel>(
    kernel: &mut K,
    values: &[f64],
    signal: &mut Signal,
    changes: &mut Changes,
) -> Result<Unseen> {
    if K::UNIT {
        let strange = |x: &f64| x.is_finite() && !(0.0..=1.0).contains(x);
        if let Some(at) = values.iter().position(strange) {
            return Err(Error::invalid(format!(
                "value {} at {at} where errors from 0 (right) to 1 (wrong) are due: scale it",
                values[at]
            )));
        }
    }
    let mut unseen = Unseen::default();
    for (at, &value) in values.iter().enumerate() {
        if *signal == Signal::Drift {
            kernel.restart();
            *signal = Signal::Steady;
        }
        if value.abs() <= MAX_MAGNITUDE {
            let before = std::mem::replace(signal, kernel.step(value));
            if *signal == Signal::Drift {
                changes.drifts.push(at);
            } else if *signal == Signal::Warning && before != Signal::Warning {
                changes.warnings.push(at);
            }
        } else if value.is_nan() {
            unseen.missing += 1;
        } else {
            unseen.infinite += 1;
        }
    }
    Ok(unseen)
}

impl From<Detector> for Document {
    fn from(detector: Detector) -> Self {
        Self {
            count: detector.count,
            drifts: detector.drifts,
            infinite: detector.infinite,
            method: detector.method,
            missing: detector.missing,
            signal: detector.signal,
            version: VERSION,
        }
    }
}

impl TryFrom<Document> for Detector {
    type Error = Error;

    fn try_from(mut document: Document) -> Result<Self> {
        with_kernel!(&mut document.method, kernel => kernel.check()?);
        Ok(Self {
            method: document.method,
            signal: document.signal,
            count: document.count,
            missing: document.missing,
            infinite: document.infinite,
            drifts: document.drifts,
        })
    }
}
