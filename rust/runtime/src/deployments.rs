//! Which model answers under which name: read by every request, changed rarely.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tidegate_schema::{Error, Result};

use crate::Model;

/// One deployment.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The name under which it answers.
    pub name: String,
    /// The revision, which goes into every answer.
    pub revision: u64,
    /// Names of the version, beside the version itself.
    pub aliases: Vec<String>,
    /// What answers.
    pub model: Arc<Model>,
}

impl Deployment {
    /// Is this the version that is asked for? Texts are compared, never interpreted: `1` is not
    /// `1.0.0`.
    #[must_use]
    pub fn is(&self, version: &str) -> bool {
        self.model.version() == version || self.aliases.iter().any(|alias| alias == version)
    }
}

type Table = BTreeMap<String, Arc<Deployment>>;

/// The table of deployments. Readers take a snapshot without a lock.
#[derive(Debug, Default)]
pub(crate) struct Deployments {
    table: ArcSwap<Table>,
}

impl Deployments {
    /// Sets what answers under a name; gives back what did before.
    pub fn set(&self, deployment: Deployment) -> Option<Arc<Deployment>> {
        let deployment = Arc::new(deployment);
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(deployment.name.clone(), Arc::clone(&deployment));
            table
        });
        before.get(&deployment.name).cloned()
    }

    pub fn remove(&self, name: &str) -> Option<Arc<Deployment>> {
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.remove(name);
            table
        });
        before.get(name).cloned()
    }

    pub fn clear(&self) -> Vec<Arc<Deployment>> {
        let before = self.table.swap(Arc::default());
        before.values().cloned().collect()
    }

    pub fn get(&self, name: &str, version: Option<&str>) -> Result<Arc<Deployment>> {
        let table = self.table.load();
        let Some(deployment) = table.get(name) else {
            let known: Vec<&str> = table.keys().map(String::as_str).collect();
            let hint = if known.is_empty() {
                "nothing is deployed".to_owned()
            } else {
                format!("deployed are {}", known.join(", "))
            };
            return Err(Error::not_found(format!("unknown model {name:?}: {hint}")));
        };
        match version {
            Some(version) if !deployment.is(version) => Err(Error::not_found(format!(
                "unknown version {version:?} of model {name:?}: deployed is {}",
                deployment.model.version()
            ))),
            _ => Ok(Arc::clone(deployment)),
        }
    }

    pub fn all(&self) -> Vec<Arc<Deployment>> {
        self.table.load().values().cloned().collect()
    }
}
