//! The embedded runtime: predictions for Python callers, in their own thread where possible.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use tidegate_protocol::{Limits, feedback};
use tidegate_runtime::feedback::Received;
use tidegate_runtime::routing::Arm;
use tidegate_runtime::{
    Choice, Deployment, Direct, LoadOptions, Model as CoreModel, Options, Policy,
    Runtime as CoreRuntime, Ticket as CoreTicket,
};
use tidegate_schema::{Error, Result, Schema};

use crate::arrow::import;
use crate::batching::Batching;
use crate::completion::Completions;
use crate::enter::{run, run_attached};
use crate::errors::raise;
use crate::input::{many, one, options};
use crate::prediction::{Prediction, Predictions};
use crate::predictionlog::PredictionLog;
use crate::rows::Extra;
use crate::watching::Watching;

/// Loads ONNX Runtime's shared library, once a process.
#[pyfunction]
pub fn load_onnxruntime(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    run(py, || tidegate_runtime::onnx::load_library(&path))
}

/// One loaded version of a model.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Model {
    inner: Arc<CoreModel>,
}

#[pymethods]
impl Model {
    /// The bundle's name.
    #[getter]
    fn name(&self) -> &str {
        self.inner.name()
    }

    /// Its version.
    #[getter]
    fn version(&self) -> &str {
        self.inner.version()
    }

    /// Its digest; `None` for a bare ONNX file.
    #[getter]
    fn digest(&self) -> Option<&str> {
        self.inner.digest()
    }

    /// Was the manifest held against a digest from outside?
    #[getter]
    fn verified(&self) -> bool {
        self.inner.is_verified()
    }

    /// Says what is done about rows that break the rules of the bundle.
    fn set_guard(&self, policy: &str) -> PyResult<()> {
        run_attached(|| self.inner.set_guard(read_policy(policy)?))
    }

    /// Rows that broke each rule, requests refused and requests repaired; `None` without rules.
    #[getter]
    fn guarded(&self) -> Option<Guarded> {
        let guarded = self.inner.guarded()?;
        Some((guarded.broken, guarded.rejected, guarded.repaired))
    }

    /// The raw columns as JSON; `None` for a model that takes tensors.
    #[getter]
    fn schema(&self) -> Option<String> {
        self.inner.schema().map(Schema::to_json)
    }
}

/// Rows that broke each rule, requests refused and requests repaired.
type Guarded = (Vec<(String, u64)>, u64, u64);

fn read_policy(policy: &str) -> Result<Policy> {
    serde_json::from_value(policy.into()).map_err(|_| {
        Error::invalid(format!(
            "unknown guard {policy:?}: use reject, repair or count"
        ))
    })
}

/// A request on its way.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Ticket {
    inner: Mutex<Option<CoreTicket>>,
}

#[pymethods]
impl Ticket {
    /// Nobody waits any more: the work is dropped unless it runs already.
    fn cancel(&self) {
        let ticket = self
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(ticket) = ticket {
            ticket.cancel();
        }
    }
}

/// Models under their names.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Runtime {
    inner: Arc<CoreRuntime>,
    loading: LoadOptions,
    /// What got work since the last flush, also if it has lost its place in a deployment meanwhile.
    submitted: Mutex<Vec<Arc<Arm>>>,
}

impl Runtime {
    fn submitted(&self) -> MutexGuard<'_, Vec<Arc<Arm>>> {
        self.submitted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime {
    /// The core's runtime, for the server that is started on it.
    pub fn core(&self) -> Arc<CoreRuntime> {
        Arc::clone(&self.inner)
    }

    /// How models are loaded into it.
    pub fn loading(&self) -> &LoadOptions {
        &self.loading
    }
}

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (*, batching=None, watch=true, watching=None, observe_bytes=None,
                        feedback_bytes=None, feedback_folder=None, quality_seconds=None,
                        log=None))]
    #[allow(clippy::too_many_arguments)] // Each stands alone, and all have names.
    fn new(
        batching: Option<Batching>,
        watch: bool,
        watching: Option<Watching>,
        observe_bytes: Option<usize>,
        feedback_bytes: Option<usize>,
        feedback_folder: Option<PathBuf>,
        quality_seconds: Option<f64>,
        log: Option<&PredictionLog>,
    ) -> PyResult<Self> {
        let mut options = Options::default();
        options.observation_bytes = observe_bytes.unwrap_or(options.observation_bytes);
        options.feedback_bytes = feedback_bytes.unwrap_or(options.feedback_bytes);
        options.feedback_folder = feedback_folder;
        options.log = log.map(PredictionLog::core);
        options.quality_seconds = quality_seconds.unwrap_or(options.quality_seconds);
        let loading = LoadOptions {
            watch,
            ..LoadOptions::default()
        };
        let mut loading = watching.unwrap_or_default().over(loading)?;
        loading.segment_for_all = true;
        let loading = batching.unwrap_or_default().over(&loading)?;
        Ok(Self {
            inner: CoreRuntime::new(&options).map_err(raise)?,
            loading,
            submitted: Mutex::default(),
        })
    }

    /// Loads a bundle from its folder and proves it by its golden rows.
    #[pyo3(signature = (directory, digest=None, batching=None, watching=None))]
    fn load(
        &self,
        py: Python<'_>,
        directory: PathBuf,
        digest: Option<String>,
        batching: Option<Batching>,
        watching: Option<Watching>,
    ) -> PyResult<Model> {
        let loading = batching.unwrap_or_default().over(&self.loading)?;
        let options = LoadOptions {
            digest,
            ..watching.unwrap_or_default().over(loading)?
        };
        let inner = run(py, || self.inner.load(&directory, &options))?;
        Ok(Model { inner })
    }

    /// Loads a bare ONNX file under a name and a version.
    #[pyo3(signature = (name, version, file, batching=None))]
    fn load_onnx(
        &self,
        py: Python<'_>,
        name: &str,
        version: &str,
        file: PathBuf,
        batching: Option<Batching>,
    ) -> PyResult<Model> {
        let options = batching.unwrap_or_default().over(&self.loading)?;
        let inner = run(py, || self.inner.load_onnx(name, version, &file, &options))?;
        Ok(Model { inner })
    }

    /// Serves a model under a name, in place of what stood there; gives the revision, from 1.
    fn deploy(&self, py: Python<'_>, name: &str, model: &Model) -> PyResult<u64> {
        run(py, || {
            let before = self.inner.deployment(name);
            let before = before.map_or(0, |before| before.revision().number);
            self.inner
                .deploy(name, Arc::clone(&model.inner), before + 1)?;
            Ok(before + 1)
        })
    }

    /// Serves several models under a name as a routing document says, from the next request on.
    fn route(
        &self,
        py: Python<'_>,
        name: &str,
        revision: u64,
        document: &str,
        models: Vec<Bound<'_, Model>>,
    ) -> PyResult<()> {
        let models = models.iter().map(|model| Arc::clone(&model.get().inner));
        let models: Vec<Arc<CoreModel>> = models.collect();
        run(py, || {
            self.inner.route(name, revision, document, models)?;
            Ok(())
        })
    }

    /// The routing that is live under a name, with its revision, as JSON.
    fn routing(&self, name: &str) -> PyResult<String> {
        run_attached(|| Ok(self.inner.deployment(name)?.to_json()))
    }

    /// What has been counted of the versions of a deployment, in its live revision or the one
    /// before, as JSON.
    #[pyo3(signature = (name, revision=None))]
    fn samples(&self, py: Python<'_>, name: &str, revision: Option<u64>) -> PyResult<String> {
        run(py, || self.inner.samples(name, revision))
    }

    /// Stops serving a name.
    fn undeploy(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        run(py, || self.inner.undeploy(name).map(|_| ()))
    }

    /// What is served, by its stable version: (name, model, version, digest, revision).
    fn deployments(&self) -> Vec<(String, String, String, Option<String>, u64)> {
        let index = self.inner.index();
        let row = |deployment: &Arc<Deployment>| {
            let (name, model, version, digest, revision, ..) = row(deployment.stable());
            (name, model, version, digest, revision)
        };
        index.iter().map(row).collect()
    }

    /// Every version that gets traffic: (name, model, version, digest, revision, role, weight).
    fn arms(&self) -> Vec<ArmRow> {
        let index = self.inner.index();
        let arms = index.iter().flat_map(|deployment| deployment.arms());
        arms.map(|arm| row(arm)).collect()
    }

    /// Predicts one row.
    #[pyo3(signature = (name, row, version=None, extra=None, key=None))]
    #[allow(clippy::too_many_arguments)] // Each stands alone, and all have names.
    fn predict(
        &self,
        py: Python<'_>,
        name: &str,
        row: &Bound<'_, PyAny>,
        version: Option<&str>,
        extra: Option<&str>,
        key: Option<&str>,
    ) -> PyResult<Prediction> {
        let mut choice = self.choose(name, version, key)?;
        let input = one(choice.routed().model(), row, Extra::parse(extra)?)?;
        let answer = run(py, || {
            let input = choice.settle_input(input)?;
            choice.routed().model().predict(input, &options(&choice))
        })?;
        Ok(Prediction::new(answer))
    }

    /// Predicts many rows: dicts, an Arrow table, or a matrix.
    #[pyo3(signature = (name, rows, version=None, extra=None, key=None))]
    #[allow(clippy::too_many_arguments)] // Each stands alone, and all have names.
    fn predict_many(
        &self,
        py: Python<'_>,
        name: &str,
        rows: &Bound<'_, PyAny>,
        version: Option<&str>,
        extra: Option<&str>,
        key: Option<&str>,
    ) -> PyResult<Predictions> {
        let choice = self.choose(name, version, key)?;
        let answer = many(py, choice, rows, Extra::parse(extra)?)?;
        Ok(Predictions::new(answer))
    }

    /// Starts one row on its way to an event loop; call `flush` at the end of the loop's turn.
    #[pyo3(signature = (completions, token, name, row, version=None, extra=None, key=None))]
    #[allow(clippy::too_many_arguments)] // The arguments of `predict`, and where the answer goes.
    fn submit(
        &self,
        py: Python<'_>,
        completions: &Completions,
        token: u64,
        name: &str,
        row: &Bound<'_, PyAny>,
        version: Option<&str>,
        extra: Option<&str>,
        key: Option<&str>,
    ) -> PyResult<Ticket> {
        let mut choice = self.choose(name, version, key)?;
        let input = one(choice.routed().model(), row, Extra::parse(extra)?)?;
        let mailbox = completions.mailbox();
        let ticket = run(py, || {
            let input = choice.settle_input(input)?;
            let arm = choice.routed().arm();
            let ticket = arm.model.submit(input, &options(&choice), move |outcome| {
                mailbox.push(token, move |py| {
                    let prediction = Prediction::new(outcome.map_err(raise)?);
                    Ok(Py::new(py, prediction)?.into_any())
                });
            });
            // Once it is queued, so that no flush of another loop comes in between.
            let mut submitted = self.submitted();
            if !submitted.iter().any(|known| Arc::ptr_eq(known, arm)) {
                submitted.push(Arc::clone(arm));
            }
            Ok(ticket)
        })?;
        Ok(Ticket {
            inner: Mutex::new(Some(ticket)),
        })
    }

    /// The end of an event loop's turn: what was submitted for a name may run now.
    fn flush(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        run(py, || {
            let due: Vec<Arc<Arm>> = self
                .submitted()
                .extract_if(.., |arm| arm.revision.deployment == name)
                .collect();
            due.iter().for_each(|arm| arm.model.flush());
            Ok(())
        })
    }

    /// The drift report as JSON, of all rows or of one segment.
    #[pyo3(signature = (name, version=None, segment=None))]
    fn drift(
        &self,
        py: Python<'_>,
        name: &str,
        version: Option<&str>,
        segment: Option<&str>,
    ) -> PyResult<String> {
        run(py, || {
            let model = self.inner.model(name, version)?;
            serde_json::to_string(&model.drift_report(segment)?)
                .map_err(|error| Error::internal(format!("a drift report: {error}")))
        })
    }

    /// The windows of observations as text, for reports of several replicas.
    #[pyo3(signature = (name, version=None))]
    fn drift_snapshot(
        &self,
        py: Python<'_>,
        name: &str,
        version: Option<&str>,
    ) -> PyResult<String> {
        run(py, || self.inner.model(name, version)?.drift_snapshot())
    }

    /// The drift report of several replicas as JSON, and what is wrong with snapshots left out.
    #[pyo3(signature = (name, snapshots, version=None, segment=None))]
    fn merged_drift(
        &self,
        py: Python<'_>,
        name: &str,
        snapshots: Vec<String>,
        version: Option<&str>,
        segment: Option<&str>,
    ) -> PyResult<(String, Vec<String>)> {
        run(py, || {
            let model = self.inner.model(name, version)?;
            let (report, faults) = model.merged_drift(&snapshots, segment)?;
            Ok((report.to_json(), faults))
        })
    }

    /// Rows that failed or broke a rule lately, of all versions under a name: the version, when,
    /// why, and the row as JSON.
    fn failed_rows(
        &self,
        py: Python<'_>,
        name: &str,
    ) -> PyResult<Vec<(String, f64, String, String)>> {
        run(py, || {
            let deployment = self.inner.deployment(name)?;
            let models = deployment.arms().iter().map(|arm| &arm.model);
            let found = models.flat_map(|model| {
                let version = model.version().to_owned();
                let rows = model.failed_rows().into_iter();
                rows.map(move |row| (version.clone(), row.at, row.reason, row.row))
            });
            Ok(found.collect())
        })
    }

    /// Closes the open window of observations; false when it has no rows.
    #[pyo3(signature = (name, label=None, version=None))]
    fn close_window(
        &self,
        py: Python<'_>,
        name: &str,
        label: Option<&str>,
        version: Option<&str>,
    ) -> PyResult<bool> {
        run(py, || self.inner.model(name, version)?.close_window(label))
    }

    /// Takes in feedback as JSON; gives what became of it as JSON.
    fn feedback(&self, py: Python<'_>, name: &str, body: PyBackedBytes) -> PyResult<String> {
        run(py, || {
            let model = self.inner.model(name, None)?;
            let entries = feedback::decode(&body, &Limits::default())?;
            received(&model.feedback(&entries)?)
        })
    }

    /// Takes in feedback as a table with the columns `prediction_id`, `label` and numbers by name.
    fn feedback_table(
        &self,
        py: Python<'_>,
        name: &str,
        table: &Bound<'_, PyAny>,
    ) -> PyResult<String> {
        let batches = import(table)?;
        run(py, || {
            let model = self.inner.model(name, None)?;
            let schema = batches.infer()?;
            let mut all = Received::default();
            batches.for_each(&schema, |table| {
                all.merge(model.feedback(&feedback::entries(&schema, table)?)?);
                Ok(())
            })?;
            received(&all)
        })
    }

    /// The quality of all versions of a model as JSON.
    fn quality(&self, py: Python<'_>, name: &str) -> PyResult<String> {
        run(py, || {
            let quality = self.inner.model(name, None)?.quality()?;
            serde_json::to_string(&quality)
                .map_err(|error| Error::internal(format!("a report of quality: {error}")))
        })
    }

    /// Prometheus text.
    fn metrics(&self, py: Python<'_>) -> PyResult<String> {
        run(py, || Ok(self.inner.metrics()))
    }

    /// Refuses new work, finishes what is accepted, ends the threads.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        run(py, || {
            self.inner.close();
            Ok(())
        })
    }

    /// To be called in a child process: every call fails from now on, and nothing waits.
    fn forked(&self) -> PyResult<()> {
        run_attached(|| {
            self.inner.forked();
            Ok(())
        })
    }
}

impl Runtime {
    /// Chooses the version for a call.
    fn choose(&self, name: &str, version: Option<&str>, key: Option<&str>) -> PyResult<Choice> {
        let clues = Direct::new(self.inner.ids(), key);
        self.inner.choose(name, version, &clues).map_err(raise)
    }
}

/// Name, model, version, digest, revision, role and weight.
type ArmRow = (
    String,
    String,
    String,
    Option<String>,
    u64,
    &'static str,
    u32,
);

fn row(arm: &Arm) -> ArmRow {
    let model = &arm.model;
    (
        arm.revision.deployment.clone(),
        model.name().to_owned(),
        model.version().to_owned(),
        model.digest().map(str::to_owned),
        arm.revision.number,
        arm.role.name(),
        arm.weight,
    )
}

fn received(received: &Received) -> Result<String> {
    serde_json::to_string(received)
        .map_err(|error| Error::internal(format!("what became of feedback: {error}")))
}
