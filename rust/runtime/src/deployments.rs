//! Which deployment answers under which name: read by every request, changed rarely.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tidegate_schema::{Error, Result};

use crate::routing::{Choice, Clues, Deployment, Plan};

#[derive(Clone, Debug, Default)]
struct Table {
    by_name: BTreeMap<String, Arc<Deployment>>,
    /// The claims of tokens that plans choose by. The same object while they are the same.
    claims: Arc<BTreeSet<String>>,
}

impl Table {
    fn changed(&self, change: impl FnOnce(&mut BTreeMap<String, Arc<Deployment>>)) -> Self {
        let mut by_name = self.by_name.clone();
        change(&mut by_name);
        let plans = by_name.values().map(|one| &one.revision().plan);
        let claims: BTreeSet<String> = plans.flat_map(Plan::claims).map(str::to_owned).collect();
        let claims = if claims == *self.claims {
            Arc::clone(&self.claims)
        } else {
            Arc::new(claims)
        };
        Self { by_name, claims }
    }
}

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
            table.changed(|by_name| {
                by_name.insert(deployment.name().to_owned(), Arc::clone(&deployment));
            })
        });
        before.by_name.get(deployment.name()).cloned()
    }

    pub fn remove(&self, name: &str) -> Option<Arc<Deployment>> {
        let before = self.table.rcu(|table| {
            table.changed(|by_name| {
                by_name.remove(name);
            })
        });
        before.by_name.get(name).cloned()
    }

    pub fn clear(&self) -> Vec<Arc<Deployment>> {
        let before = self.table.swap(Arc::default());
        before.by_name.values().cloned().collect()
    }

    pub fn get(&self, name: &str) -> Result<Arc<Deployment>> {
        let table = self.table.load();
        let found = table.by_name.get(name).cloned();
        found.ok_or_else(|| unknown(name, &table))
    }

    /// Chooses an arm for a request. One snapshot is read, so that a request sees one revision.
    pub fn choose(&self, name: &str, version: Option<&str>, clues: &dyn Clues) -> Result<Choice> {
        let table = self.table.load();
        match table.by_name.get(name) {
            Some(deployment) => deployment.choose(version, clues),
            None => Err(unknown(name, &table)),
        }
    }

    pub fn all(&self) -> Vec<Arc<Deployment>> {
        self.table.load().by_name.values().cloned().collect()
    }

    pub fn claims(&self) -> Arc<BTreeSet<String>> {
        Arc::clone(&self.table.load().claims)
    }
}

fn unknown(name: &str, table: &Table) -> Error {
    let known: Vec<&str> = table.by_name.keys().map(String::as_str).collect();
    let hint = if known.is_empty() {
        "nothing is deployed".to_owned()
    } else {
        format!("deployed are {}", known.join(", "))
    };
    Error::not_found(format!("unknown model {name:?}: {hint}"))
}
