//! The runtime: loads models, deploys them, and finds them again.

use std::collections::BTreeSet;
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
use crate::comparison;
use crate::deployments::Deployments;
use crate::exposition::{Drift, Measured, render};
use crate::feedback::{self, Follow, segment_column};
use crate::id::Ids;
use crate::model::{Ingredients, Origin};
use crate::observed::{Observed, Tap};
use crate::onnx::OnnxBackend;
use crate::options::{LoadOptions, Options};
use crate::routing::{self, Choice, Clues, Deployment, Plan};
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
        let schema = parts.plan.as_ref().map(|plan| plan.input_schema());
        let fits = |name: &&str| segment_column(schema, name).is_ok();
        let segment = options.segment.as_deref();
        let segment = segment
            .filter(|name| !options.segment_for_all || fits(name))
            .or(options.own_segment.as_deref());
        let watch = match (&parts.plan, &parts.baseline) {
            (Some(plan), Some(baseline)) if options.watch => Some(Watch::new(
                Arc::clone(options.baseline.as_ref().unwrap_or(baseline)),
                plan.input_schema(),
                segment,
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
            segment,
            schema,
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
            observed: Observed::new(None, None, None, false),
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
        self.deploy_as(Deployment::single(name, revision, model)?)
    }

    /// As [`Runtime::deploy`], for a deployment that was made before.
    ///
    /// # Errors
    /// `Closed`.
    pub fn deploy_as(&self, deployment: Deployment) -> Result<Option<Arc<Deployment>>> {
        self.shared.check_open()?;
        let before = self.deployments.get(deployment.name()).ok();
        let deployment = match &before {
            Some(before) => deployment.after(before),
            None => deployment,
        };
        if let Some(comparison) = deployment.comparison() {
            self.shared.book.compare(comparison);
        }
        let replaced = self.deployments.set(deployment);
        if let Some(comparison) = replaced.as_ref().and_then(|one| one.comparison()) {
            comparison.stop();
        }
        Ok(replaced)
    }

    /// Lets several versions answer under a name, as a routing document says, from the next request
    /// on: the models of its arms in their order, then that of its shadow. Gives back what answered
    /// before, which goes on answering those who hold it.
    ///
    /// # Errors
    /// `Closed`; `InvalidInput` for a document that cannot be, as [`Plan::from_json`] and
    /// [`Deployment::new`] say. What answered before then still does.
    pub fn route(
        &self,
        name: &str,
        revision: u64,
        document: &str,
        models: Vec<Arc<Model>>,
    ) -> Result<Option<Arc<Deployment>>> {
        self.shared.check_open()?;
        let at = |error: Error| error.at(format_args!("deployment {name:?}"));
        let before = self.deployments.get(name).ok();
        let plan = Plan::from_json(document).map_err(at)?;
        let now = self.shared.now();
        let deployment = Deployment::new(name, revision, plan, models, before.as_deref(), now);
        self.deploy_as(deployment.map_err(at)?)
    }

    /// Chooses which version answers a request: that of the version or alias that it asks for, or
    /// as the deployment's plan says.
    ///
    /// # Errors
    /// As [`Runtime::model`].
    pub fn choose(&self, name: &str, version: Option<&str>, clues: &dyn Clues) -> Result<Choice> {
        self.shared.check_open()?;
        self.deployments.choose(name, version, clues)
    }

    /// What has been counted of the versions of a deployment, as JSON: of its live revision, or of the
    /// one before.
    ///
    /// # Errors
    /// `NotFound` for a deployment of one version without a shadow, and for a revision that is not
    /// kept; `Closed`.
    pub fn samples(&self, name: &str, revision: Option<u64>) -> Result<String> {
        let deployment = self.deployment(name)?;
        let live = deployment.revision().number;
        let found = match revision {
            None => deployment.comparison(),
            Some(number) if number == live => deployment.comparison(),
            Some(number) => deployment
                .previous()
                .filter(|previous| previous.revision() == number),
        };
        let comparison = found.ok_or_else(|| match revision {
            Some(number) if number != live => Error::not_found(format!(
                "no samples of revision {number} of deployment {name:?}: kept are those of the live revision, {live}, and of the one before it"
            )),
            _ => Error::not_found(format!(
                "nothing is compared in deployment {name:?}: its revision {live} has one version and no shadow"
            )),
        })?;
        self.shared.observer.flush();
        Ok(comparison.samples(self.shared.now())?.to_json())
    }

    /// Makes ids for requests that have none.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.shared.ids
    }

    /// Takes a name away; requests that have been accepted are answered.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn undeploy(&self, name: &str) -> Result<Arc<Deployment>> {
        let removed = self.deployments.remove(name).ok_or_else(|| {
            Error::not_found(format!("unknown model {name:?}: it is not deployed"))
        })?;
        if let Some(comparison) = removed.comparison() {
            comparison.stop();
        }
        Ok(removed)
    }

    /// The model of a version of a deployment, by its exact text or an alias; the stable one without.
    ///
    /// # Errors
    /// `NotFound` that names what is deployed; `Closed`.
    pub fn model(&self, name: &str, version: Option<&str>) -> Result<Arc<Model>> {
        let deployment = self.deployment(name)?;
        deployment.arm(version).map(|arm| Arc::clone(&arm.model))
    }

    /// What answers under a name.
    ///
    /// # Errors
    /// `NotFound` that names what is deployed; `Closed`.
    pub fn deployment(&self, name: &str) -> Result<Arc<Deployment>> {
        self.shared.check_open()?;
        self.deployments.get(name)
    }

    /// The names of the claims of tokens that deployments choose versions by.
    #[must_use]
    pub fn claims(&self) -> Arc<BTreeSet<String>> {
        self.deployments.claims()
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
        let arms = deployed.iter().flat_map(|one| one.arms());
        let objectives = arms.map(|arm| arm.model.limits().objective);
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
            .flat_map(|deployment| deployment.arms())
            .map(|arm| Measured {
                model: &arm.revision.deployment,
                version: arm.model.version(),
                counters: arm.model.counters(),
                batches: arm.model.statistics().batches,
                dropped: arm.model.observations_dropped(),
                drift: drift_of(&arm.model),
                guarded: arm.model.guarded(),
                mistyped: arm.model.mistyped_columns(),
            })
            .collect();
        let mut page = render(&measured);
        page.push_str(&routing::render(&deployed));
        page.push_str(&comparison::render(&deployed));
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
            if let Some(comparison) = deployment.comparison() {
                comparison.stop();
            }
            deployment.models().for_each(|model| model.close());
            if let Some(shade) = deployment.comparison().and_then(|all| all.shade()) {
                shade.wait();
            }
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
