//! The runtime: loads models, deploys them, and finds them again.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidegate_drift::Role;
use tidegate_predictionlog::log::{LogStatistics, Source};
use tidegate_schema::{Error, Result};

use crate::Model;
use crate::backend::Backend;
use crate::background::in_background;
use crate::bundle::{self, Kind, Parts};
use crate::deployments::{Deployment, Deployments};
use crate::exposition::{Drift, Measured, render};
use crate::feedback::{self, Follow};
use crate::model::{Ingredients, Origin};
use crate::observed::{Observed, Tap};
use crate::onnx::OnnxBackend;
use crate::options::{LoadOptions, Options};
use crate::shared::Shared;
use crate::watch::Watch;

/// Loaded models under their names. Thread-safe; closes once.
pub struct Runtime {
    shared: Arc<Shared>,
    deployments: Deployments,
}

impl Runtime {
    /// A runtime without models.
    ///
    /// # Errors
    /// `Backend` when the system gives no thread.
    pub fn new(options: &Options) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            shared: Arc::new(Shared::new(options)?),
            deployments: Deployments::default(),
        }))
    }

    /// Loads a bundle from its folder: every byte is held against the manifest, the parts against
    /// each other, and the golden rows are computed again. It does not answer before it is
    /// deployed.
    ///
    /// # Errors
    /// As [`bundle::open`]; `State` and `Unsupported` where a part cannot be used; `Integrity`
    /// where golden rows come out differently; `NotReady` before ONNX Runtime is loaded.
    pub fn load(&self, dir: &Path, options: &LoadOptions) -> Result<Arc<Model>> {
        self.shared.check_open()?;
        let (bundle, place, parts) = in_background(|| {
            let bundle = bundle::open(dir, options.digest.as_deref())?;
            let place = format!("{} {}", bundle.manifest().name, bundle.manifest().version);
            let parts = Parts::load(&bundle).map_err(|error| error.at(&place))?;
            Ok((bundle, place, parts))
        })?;
        let manifest = bundle.manifest().clone();
        let watch = match (&parts.plan, &parts.baseline) {
            (Some(plan), Some(baseline)) if options.watch => Some(Watch::new(
                Arc::clone(options.baseline.as_ref().unwrap_or(baseline)),
                plan.input_schema(),
                options,
                self.shared.now(),
            )?),
            _ => None,
        };
        let follow = Follow::new(
            &self.shared.book,
            &manifest,
            bundle.digest(),
            parts.baseline.as_deref(),
            options.segment.as_deref(),
            parts.plan.as_ref().map(|plan| plan.input_schema()),
        )
        .map_err(|error| error.at(&place))?;
        let tap = self.shared.log.as_ref().map(|log| {
            let features = parts.plan.as_ref().map(|plan| plan.input_schema().clone());
            let source = Source {
                model: manifest.name.clone(),
                version: manifest.version.clone(),
                features,
            };
            Tap::new(log, source)
        });
        let binary = manifest.model.kind == Kind::Classifier;
        let plan = parts.plan.clone();
        let ingredients = Ingredients {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            plan: parts.plan,
            guard: parts.guard,
            observed: Observed::new(watch, follow, tap, binary),
            backend: Box::new(parts.backend),
            bundle: Some(Origin {
                digest: bundle.digest().to_owned(),
                verified: bundle.is_verified(),
                manifest,
            }),
        };
        let golden = bundle.manifest().golden.as_ref();
        Model::new(
            Arc::clone(&self.shared),
            ingredients,
            options,
            |executor| match (golden, &plan) {
                (Some(entry), Some(plan)) => {
                    let file = bundle.file("golden.arrow")?;
                    bundle::replay(file, entry, plan, executor).map_err(|error| error.at(&place))
                }
                (Some(_), None) => Err(Error::state(format!(
                    "{place}: golden rows without a feature set cannot be replayed: build the bundle without them"
                ))),
                (None, _) => Ok(()),
            },
        )
    }

    /// Serves a bare ONNX file: its tensors pass as they are, nothing is watched or proven.
    ///
    /// # Errors
    /// `NotFound` without the file; otherwise as [`Runtime::load`].
    pub fn load_onnx(
        &self,
        name: &str,
        version: &str,
        file: &Path,
        options: &LoadOptions,
    ) -> Result<Arc<Model>> {
        let backend = in_background(|| {
            let bytes = std::fs::read(file).map_err(|error| {
                Error::not_found(format!("{} cannot be read: {error}", file.display()))
            })?;
            OnnxBackend::from_bytes(&bytes).map_err(|error| error.at(file.display()))
        })?;
        self.load_backend(name, version, Box::new(backend), options)
    }

    /// Serves anything that computes tensors from tensors.
    ///
    /// # Errors
    /// `Closed`; `Backend` when the system gives no thread.
    pub fn load_backend(
        &self,
        name: &str,
        version: &str,
        backend: Box<dyn Backend>,
        options: &LoadOptions,
    ) -> Result<Arc<Model>> {
        self.shared.check_open()?;
        let ingredients = Ingredients {
            name: name.to_owned(),
            version: version.to_owned(),
            bundle: None,
            plan: None,
            guard: None,
            observed: None,
            backend,
        };
        Model::new(Arc::clone(&self.shared), ingredients, options, |_| Ok(()))
    }

    /// Lets a model answer under a name, from the next request on; gives back what answered
    /// before, which goes on answering those who hold it.
    ///
    /// # Errors
    /// `Closed`.
    pub fn deploy(
        &self,
        name: &str,
        model: Arc<Model>,
        revision: u64,
    ) -> Result<Option<Arc<Deployment>>> {
        self.deploy_as(Deployment {
            name: name.to_owned(),
            revision,
            aliases: Vec::new(),
            model,
        })
    }

    /// As [`Runtime::deploy`], with aliases under which the version is found too.
    ///
    /// # Errors
    /// `Closed`.
    pub fn deploy_as(&self, deployment: Deployment) -> Result<Option<Arc<Deployment>>> {
        self.shared.check_open()?;
        deployment.model.deployed(deployment.revision);
        Ok(self.deployments.set(deployment))
    }

    /// Takes a name away; requests that have been accepted are answered.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn undeploy(&self, name: &str) -> Result<Arc<Deployment>> {
        self.deployments
            .remove(name)
            .ok_or_else(|| Error::not_found(format!("unknown model {name:?}: it is not deployed")))
    }

    /// The model that answers under a name; with a version only if it is that one, by its exact
    /// text or an alias.
    ///
    /// # Errors
    /// `NotFound` that names what is deployed.
    pub fn model(&self, name: &str, version: Option<&str>) -> Result<Arc<Model>> {
        self.deployment(name, version)
            .map(|deployment| Arc::clone(&deployment.model))
    }

    /// As [`Runtime::model`], with revision and aliases.
    ///
    /// # Errors
    /// As [`Runtime::model`]; `Closed`.
    pub fn deployment(&self, name: &str, version: Option<&str>) -> Result<Arc<Deployment>> {
        self.shared.check_open()?;
        self.deployments.get(name, version)
    }

    /// What is deployed, by name.
    #[must_use]
    pub fn index(&self) -> Vec<Arc<Deployment>> {
        self.deployments.all()
    }

    /// The tightest objective of all that is deployed.
    #[must_use]
    pub fn objective(&self) -> Option<Duration> {
        let deployed = self.deployments.all();
        let objectives = deployed.iter().map(|one| one.model.limits().objective);
        objectives.flatten().min()
    }

    /// Does it take requests?
    #[must_use]
    pub fn ready(&self) -> bool {
        self.shared.check_open().is_ok()
    }

    /// Prometheus text of all that is deployed.
    #[must_use]
    pub fn metrics(&self) -> String {
        let deployed = self.deployments.all();
        let measured: Vec<Measured<'_>> = deployed
            .iter()
            .map(|deployment| Measured {
                model: &deployment.name,
                version: deployment.model.version(),
                counters: deployment.model.counters(),
                batches: deployment.model.statistics().batches,
                dropped: deployment.model.observations_dropped(),
                drift: drift_of(&deployment.model),
                guarded: deployment.model.guarded(),
            })
            .collect();
        let mut page = render(&measured);
        if let Some(log) = &self.shared.log {
            page.push_str(&log_metrics(&log.statistics()));
        }
        if self.shared.book.is_on() {
            page.push_str(&feedback::metrics(&self.shared.book));
        }
        page
    }

    /// Refuses new requests, answers those that were accepted, counts what was answered, and ends
    /// all threads. May be called again.
    pub fn close(&self) {
        if !self.shared.close() {
            return;
        }
        for deployment in self.deployments.clear() {
            deployment.model.close();
        }
        self.shared.alarms.close();
        self.shared.observer.close();
        self.shared.book.close();
        if let Some(log) = &self.shared.log {
            log.close();
        }
    }

    /// To be called in the child of a `fork`: its threads are not there, so that every call has
    /// to fail with a clear error, and nothing may wait for them.
    pub fn forked(&self) {
        self.shared.fork();
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.shared.is_forked() {
            std::mem::forget(Arc::clone(&self.shared));
        } else {
            self.close();
        }
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("deployments", &self.deployments)
            .field("ready", &self.ready())
            .finish()
    }
}

/// The families of the prediction log.
fn log_metrics(found: &LogStatistics) -> String {
    let families = [
        (
            "files_total",
            "counter",
            "Files of the prediction log that were stored.",
            found.files,
        ),
        (
            "rows_total",
            "counter",
            "Rows in the stored files of the prediction log.",
            found.rows,
        ),
        (
            "dropped_total",
            "counter",
            "Rows that were not logged, because too much waited or storage failed until the end.",
            found.dropped,
        ),
        (
            "waiting_bytes",
            "gauge",
            "Bytes that wait to be stored in the prediction log.",
            found.waiting_bytes as u64,
        ),
    ];
    let mut page = String::new();
    for (name, kind, help, value) in families {
        let name = format!("tidegate_log_{name}");
        let _ = write!(
            page,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
        );
    }
    page
}

fn drift_of(model: &Model) -> Vec<Drift> {
    let Some((window, alarms)) = model.latest_window() else {
        return Vec::new();
    };
    window
        .columns
        .into_iter()
        .enumerate()
        .filter_map(|(place, column)| {
            Some(Drift {
                psi: column.psi?,
                js: column.js?,
                alarm: alarms.contains(&place),
                role: match column.role {
                    Role::Feature => "feature",
                    Role::Prediction => "prediction",
                }
                .to_owned(),
                column: column.name,
            })
        })
        .collect()
}
