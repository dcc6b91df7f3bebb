//! What answers under a name: the arms of one revision, swapped as a whole.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tidegate_schema::{Error, Result, Schema};

use super::counts::Chosen;
use super::plan::{ArmPlan, Plan, Role};
use super::policy::Policy;
use crate::Model;
use crate::comparison::{Comparison, Side};
use crate::feedback::segment_column;

/// The plan of a deployment, with its number and what it stands on.
#[derive(Debug)]
pub struct Revision {
    /// The name that is served.
    pub deployment: String,
    /// The number that goes into every answer.
    pub number: u64,
    /// The plan.
    pub plan: Plan,
    /// The name of the plan's experiment, to be kept with predictions.
    pub experiment: Option<Arc<str>>,
    /// What gets copies.
    pub shadow: Option<Shadow>,
}

/// The version that gets copies of requests.
#[derive(Clone, Debug)]
pub struct Shadow {
    /// What computes them.
    pub model: Arc<Model>,
    /// The share of requests that are copied, in basis points.
    pub share: u32,
}

/// One version that gets live traffic, in one revision.
#[derive(Debug)]
pub struct Arm {
    /// What answers.
    pub model: Arc<Model>,
    /// Its weight in basis points.
    pub weight: u32,
    /// What part it plays.
    pub role: Role,
    /// The revision that it is of.
    pub revision: Arc<Revision>,
    /// What is counted of it, where it is compared with others.
    pub(crate) side: Option<Side>,
    pub(crate) chosen: Arc<Chosen>,
}

/// One deployment.
#[derive(Debug)]
pub struct Deployment {
    revision: Arc<Revision>,
    aliases: Vec<String>,
    arms: Vec<Arc<Arm>>,
    stable: Arc<Arm>,
    /// What every request gets, where there is no policy.
    only: Arc<Arm>,
    policy: Option<Policy>,
    /// What is counted of its arms, where they are compared.
    comparison: Option<Arc<Comparison>>,
    /// The comparison of the revision before, for labels that come late.
    previous: Option<Arc<Comparison>>,
    missing: Arc<AtomicU64>,
}

impl Deployment {
    /// A deployment of one version.
    ///
    /// # Errors
    /// `InvalidInput` for a version that no plan can hold, such as an empty one.
    pub fn single(name: &str, number: u64, model: Arc<Model>) -> Result<Self> {
        let plan = Plan::single(model.version(), model.digest());
        Self::new(name, number, plan, vec![model], None, 0.0)
    }

    /// The deployment of a plan: the models of its arms in their order, then that of its shadow.
    /// Counters go on from those of the deployment before; what is counted to compare its arms begins
    /// empty, at `now`.
    ///
    /// # Errors
    /// `InvalidInput` for models that are not those of the plan or do not take and give the same,
    /// and for columns that they do not have.
    pub fn new(
        name: &str,
        number: u64,
        plan: Plan,
        mut models: Vec<Arc<Model>>,
        before: Option<&Self>,
        now: f64,
    ) -> Result<Self> {
        let shadow = check(&plan, &models)?;
        let stable = plan.stable();
        let schema = models.get(stable).and_then(|model| model.schema());
        let missing = before.map(|before| Arc::clone(&before.missing));
        let missing = missing.unwrap_or_default();
        let policy = Policy::new(name, &plan, schema, Arc::clone(&missing))?;
        if let Some(segment) = plan.observe.as_ref().and_then(|seen| seen.segment.as_ref()) {
            segment_column(schema, segment)?;
        }
        let past = before.and_then(Self::comparison);
        let past = past.map(|past| &**past);
        let comparison = Comparison::new(name, number, &plan, &models, past, now)?;
        let shadow = shadow.and_then(|share| {
            let model = models.pop()?;
            Some(Shadow { model, share })
        });
        let revision = Arc::new(Revision {
            deployment: name.to_owned(),
            number,
            experiment: plan.experiment.as_ref().map(|e| e.name.as_str().into()),
            shadow,
            plan,
        });
        let arms: Vec<Arc<Arm>> = revision
            .plan
            .arms
            .iter()
            .zip(models)
            .enumerate()
            .map(|(place, (arm, model))| {
                let known = before.and_then(|before| before.find(&arm.version));
                Arc::new(Arm {
                    model,
                    weight: arm.weight,
                    role: arm.role,
                    revision: Arc::clone(&revision),
                    side: comparison.as_ref().map(|all| all.side(place)),
                    chosen: known.map_or_else(Arc::default, |known| Arc::clone(&known.chosen)),
                })
            })
            .collect();
        let none = || Error::internal("a deployment without arms");
        let stable = arms.get(stable).ok_or_else(none)?;
        let only = policy.only();
        Ok(Self {
            stable: Arc::clone(stable),
            only: Arc::clone(only.and_then(|place| arms.get(place)).unwrap_or(stable)),
            policy: only.is_none().then_some(policy),
            revision,
            aliases: Vec::new(),
            arms,
            comparison,
            previous: None,
            missing,
        })
    }

    /// The same as what comes after another deployment, whose comparison is kept for late labels and whose
    /// shadow gets no more copies.
    #[must_use]
    pub(crate) fn after(mut self, before: &Self) -> Self {
        self.previous = before.comparison.clone();
        self
    }

    /// What is counted of its arms, where they are compared.
    pub(crate) fn comparison(&self) -> Option<&Arc<Comparison>> {
        self.comparison.as_ref()
    }

    /// The comparison of the revision before.
    pub(crate) fn previous(&self) -> Option<&Arc<Comparison>> {
        self.previous.as_ref()
    }

    /// The same with these names for its stable version, beside the version itself.
    #[must_use]
    pub fn with_aliases(mut self, aliases: Vec<String>) -> Self {
        self.aliases = aliases;
        self
    }

    /// The name under which it answers.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.revision.deployment
    }

    /// Its revision.
    #[must_use]
    pub const fn revision(&self) -> &Arc<Revision> {
        &self.revision
    }

    /// Its arms, in the order of the plan.
    #[must_use]
    pub fn arms(&self) -> &[Arc<Arm>] {
        &self.arms
    }

    /// The arm that the others are held against.
    #[must_use]
    pub const fn stable(&self) -> &Arc<Arm> {
        &self.stable
    }

    /// Every model that it holds, that of its shadow among them.
    pub fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        let shadow = self.revision.shadow.iter().map(|shadow| &shadow.model);
        self.arms.iter().map(|arm| &arm.model).chain(shadow)
    }

    /// The arm of a version or an alias, the stable one without. Texts are compared, never
    /// interpreted: `1` is not `1.0.0`.
    ///
    /// # Errors
    /// `NotFound` that names the versions that there are.
    pub fn arm(&self, version: Option<&str>) -> Result<&Arc<Arm>> {
        let Some(version) = version else {
            return Ok(&self.stable);
        };
        let alias = || self.aliases.iter().any(|alias| alias == version);
        let found = self.find(version);
        found
            .or_else(|| alias().then_some(&self.stable))
            .ok_or_else(|| {
                let versions: Vec<&str> = self.arms.iter().map(|arm| arm.model.version()).collect();
                let verb = if versions.len() == 1 { "is" } else { "are" };
                Error::not_found(format!(
                    "unknown version {version:?} of model {:?}: deployed {verb} {}",
                    self.name(),
                    versions.join(", ")
                ))
            })
    }

    fn find(&self, version: &str) -> Option<&Arc<Arm>> {
        let mut arms = self.arms.iter();
        arms.find(|arm| arm.model.version() == version)
    }

    /// What is live, as a document: the revision's number and the routing.
    #[must_use]
    pub fn to_json(&self) -> String {
        let plan = self.revision.plan.to_json();
        format!(
            r#"{{"revision":{},"routing":{plan}}}"#,
            self.revision.number
        )
    }

    pub(super) const fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    pub(super) const fn only(&self) -> &Arc<Arm> {
        &self.only
    }

    pub(super) fn missing(&self) -> &AtomicU64 {
        &self.missing
    }
}

/// Are these the models of the plan, and do they take and give the same? Gives the shadow's share.
fn check(plan: &Plan, models: &[Arc<Model>]) -> Result<Option<u32>> {
    let shadow = plan.shadow.as_ref().map(|shadow| ArmPlan {
        version: shadow.version.clone(),
        digest: shadow.digest.clone(),
        weight: 0,
        role: Role::Candidate,
    });
    let due = plan.arms.len() + usize::from(shadow.is_some());
    if models.len() != due {
        return Err(Error::invalid(format!(
            "{} models for a routing document of {due} versions: give one for each arm and then that of the shadow",
            models.len()
        )));
    }
    for (arm, model) in plan.arms.iter().chain(&shadow).zip(models) {
        if arm.version != model.version() {
            return Err(Error::invalid(format!(
                "the routing document names version {:?} where the model is {:?} of {:?}: give the models in the order of the arms, then that of the shadow",
                arm.version,
                model.version(),
                model.name()
            )));
        }
        if let Some(digest) = &arm.digest
            && model.digest() != Some(digest)
        {
            return Err(Error::invalid(format!(
                "the routing document names version {:?} with digest {digest} where the loaded bundle has {}: load the bundle that it names",
                arm.version,
                model.digest().unwrap_or("none")
            )));
        }
    }
    if let Some(stable) = models.get(plan.stable()) {
        for model in models {
            check_same(stable, model)?;
        }
    }
    Ok(plan.shadow.as_ref().map(|shadow| shadow.share))
}

/// Whoever calls must not notice which arm answers.
fn check_same(stable: &Model, other: &Model) -> Result<()> {
    let differs = |what: &str| {
        Err(Error::invalid(format!(
            "version {:?} of {:?} {what} than version {:?} of {:?}: versions that share a deployment must be of one model, and take and give the same; deploy it under another name",
            other.version(),
            other.name(),
            stable.version(),
            stable.name()
        )))
    };
    if stable.name() != other.name() {
        return differs("is of another model");
    }
    let columns = |model: &Model| model.schema().map(Schema::fingerprint);
    if columns(stable) != columns(other) || stable.inputs() != other.inputs() {
        return differs("takes other inputs");
    }
    if stable.outputs() != other.outputs() || stable.classes() != other.classes() {
        return differs("gives other outputs");
    }
    Ok(())
}
