//! Expressions resolved against a schema: types checked, names made, equal parts shared.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};
use tidegate_schema::{Error, Field, Result, Schema};

use crate::expr::Expr;
use crate::expression::{LIST_KEY, Operation, takes};
use crate::kernel::Kernel;
use crate::operations;
use crate::spec::MAX_DEPTH;
use crate::value::Type;

/// A computation that one or several features use.
pub(crate) struct Node {
    pub source: Source,
    pub kind: Type,
    /// The pass of `fit` in which this node learns, or the latest in which an input of it does:
    /// it can be computed in later passes. 0 for what learns nothing.
    pub level: usize,
    /// How it is written, for messages.
    pub text: String,
}

/// Where a node's values come from.
pub(crate) enum Source {
    /// A column of the pruned schema, or the target behind them.
    Column(usize),
    /// The number of the row in all the data of a fit.
    Row,
    /// An expression of other nodes, which stand before it.
    Apply {
        operation: Box<dyn Operation>,
        inputs: Vec<usize>,
        learns: bool,
        state: Option<Value>,
        /// The code for the rows that were learned from, where it is another.
        training: Option<Arc<Kernel>>,
    },
}

/// How a feature was written, with the node of each part: what serialisation walks.
struct Tree {
    node: usize,
    /// Names given here, innermost first.
    aliases: Vec<String>,
    inputs: Vec<Self>,
    /// The names of the inputs.
    stems: Vec<String>,
}

/// One feature.
pub(crate) struct Feature {
    tree: Tree,
    /// The name of its output, or the beginning of the names of its outputs.
    pub stem: String,
    /// How it is written.
    pub text: String,
}

impl Feature {
    /// The node whose values are the feature.
    pub(crate) const fn node(&self) -> usize {
        self.tree.node
    }
}

/// All features over one schema.
pub(crate) struct Graph {
    /// The columns that the features use, in the order of the schema they were taken from.
    pub schema: Schema,
    /// The columns of that schema that no feature uses.
    pub unread: Vec<String>,
    pub nodes: Vec<Node>,
    pub features: Vec<Feature>,
    /// The node of the target, while it is learned from.
    target: Option<usize>,
    /// The node of row numbers, while rows are those that are learned from.
    row: Option<usize>,
}

struct Builder<'a> {
    schema: &'a Schema,
    nodes: Vec<Node>,
    /// Nodes by what they compute.
    known: HashMap<String, usize>,
    fitted: bool,
}

impl Graph {
    /// Resolves features. `fitted` says whether every part that learns carries its state.
    pub(crate) fn build(schema: &Schema, features: &[Expr], fitted: bool) -> Result<Self> {
        let mut builder = Builder {
            schema,
            nodes: Vec::new(),
            known: HashMap::new(),
            fitted,
        };
        let mut resolved = Vec::with_capacity(features.len());
        for feature in features {
            let (tree, stem) = builder.resolve(feature.value(), 0)?;
            resolved.push(Feature {
                text: feature.to_string(),
                tree,
                stem,
            });
        }
        let mut nodes = builder.nodes;
        let used: BTreeSet<usize> = nodes.iter().filter_map(Node::column).collect();
        let used: Vec<usize> = used.into_iter().collect();
        for node in &mut nodes {
            if let Source::Column(column) = &mut node.source {
                // Every column of a node is among the used ones.
                *column = used.partition_point(|position| position < column);
            }
        }
        let fields = schema.fields().iter().enumerate();
        let unread = fields.filter(|(position, _)| used.binary_search(position).is_err());
        Ok(Self {
            schema: schema.select(&used)?,
            unread: unread.map(|(_, field)| field.name.clone()).collect(),
            nodes,
            features: resolved,
            target: None,
            row: None,
        })
    }

    /// The first expression that learns from a target.
    pub(crate) fn supervised(&self) -> Option<&str> {
        let learns = |node: &&Node| matches!(&node.source, Source::Apply { operation, .. } if operation.supervised());
        self.nodes
            .iter()
            .find(learns)
            .map(|node| node.text.as_str())
    }

    /// Makes a target the last column of the data, under a name that no column has.
    pub(crate) fn add_target(&mut self, mut field: Field) -> Result<()> {
        self.check_target(Type::from(field.dtype))?;
        while self.schema.position(&field.name).is_some() {
            field.name.push('\'');
        }
        let mut fields = self.schema.fields().to_vec();
        self.target = Some(self.nodes.len());
        self.nodes.push(Node {
            source: Source::Column(fields.len()),
            kind: Type::from(field.dtype),
            level: 0,
            text: format!("target {:?}", field.name),
        });
        fields.push(field);
        self.schema = Schema::new(fields)?;
        Ok(())
    }

    /// Checks that what learns from the target can learn from one of this type.
    pub(crate) fn check_target(&self, kind: Type) -> Result<()> {
        if kind.is_number() {
            return Ok(());
        }
        for node in &self.nodes {
            if let Source::Apply { operation, .. } = &node.source
                && operation.supervised()
                && !operation.learns_classes()
            {
                return Err(Error::invalid(format!(
                    "{} learns from a number or a bool, and the target is {kind}: say classes=True for its classes, or compare it with one of them",
                    node.text
                )));
            }
        }
        Ok(())
    }

    /// Says that the rows are those that are learned from.
    pub(crate) fn add_rows(&mut self) {
        self.row = Some(self.nodes.len());
        self.nodes.push(Node {
            source: Source::Row,
            kind: Type::Number,
            level: 0,
            text: "the number of the row".to_owned(),
        });
    }

    /// Takes away what only rows that are learned from need.
    pub(crate) fn forget_rows(&mut self) {
        if let Some(row) = self.row.take() {
            self.nodes.truncate(row);
        }
        for node in &mut self.nodes {
            if let Source::Apply { training, .. } = &mut node.source {
                *training = None;
            }
        }
    }

    /// Do some nodes have other code for the rows that were learned from?
    pub(crate) fn has_training(&self) -> bool {
        let has = |node: &Node| {
            matches!(
                node.source,
                Source::Apply {
                    training: Some(_),
                    ..
                }
            )
        };
        self.nodes.iter().any(has)
    }

    /// Puts what a pass has learned into its node.
    pub(crate) fn learn(&mut self, node: usize, learned: Value, code: Option<Arc<Kernel>>) {
        if let Source::Apply {
            state, training, ..
        } = &mut self.nodes[node].source
        {
            *state = Some(learned);
            *training = code;
        }
    }

    /// What a node learned in earlier passes.
    pub(crate) fn learned(&self, node: usize) -> Option<(Value, Option<Arc<Kernel>>)> {
        match &self.nodes.get(node)?.source {
            Source::Apply {
                state: Some(state),
                training,
                ..
            } => Some((state.clone(), training.clone())),
            _ => None,
        }
    }

    /// The types of a node's inputs.
    fn types(&self, inputs: &[usize]) -> Vec<Type> {
        inputs.iter().map(|&input| self.nodes[input].kind).collect()
    }

    /// The code of a node with the nodes that it reads, or `None` for a column.
    pub(crate) fn kernel(&self, node: usize) -> Result<Option<(Arc<Kernel>, Vec<usize>)>> {
        let node = &self.nodes[node];
        let Source::Apply {
            operation,
            inputs,
            state,
            training,
            ..
        } = &node.source
        else {
            return Ok(None);
        };
        if let (Some(code), Some(row)) = (training, self.row) {
            let inputs = inputs.iter().copied().chain([row]).collect();
            return Ok(Some((Arc::clone(code), inputs)));
        }
        operation
            .kernel(state.as_ref(), &self.types(inputs))
            .map(|code| Some((Arc::new(code), inputs.clone())))
            .map_err(|error| error.at(&node.text))
    }

    /// The nodes that a node reads to compute its values.
    pub(crate) fn reads(&self, node: usize) -> impl Iterator<Item = usize> {
        let (inputs, training) = match &self.nodes[node].source {
            Source::Apply {
                inputs, training, ..
            } => (inputs.as_slice(), training.is_some()),
            Source::Column(_) | Source::Row => (&[][..], false),
        };
        inputs
            .iter()
            .copied()
            .chain(self.row.filter(move |_| training))
    }

    /// The nodes that a node learns from.
    pub(crate) fn learns_from(&self, node: usize) -> impl Iterator<Item = usize> {
        let (inputs, supervised) = match &self.nodes[node].source {
            Source::Apply {
                operation, inputs, ..
            } => (inputs.as_slice(), operation.supervised()),
            Source::Column(_) | Source::Row => (&[][..], false),
        };
        let beside = [self.target, self.row];
        inputs
            .iter()
            .copied()
            .chain(beside.into_iter().flatten().filter(move |_| supervised))
    }

    /// A running fit for a node that learns.
    pub(crate) fn fit(&self, node: usize) -> Option<Box<dyn crate::expression::AnyFit>> {
        match &self.nodes[node].source {
            Source::Apply {
                operation,
                inputs,
                learns: true,
                ..
            } => {
                let mut types = self.types(inputs);
                let target = self.target.filter(|_| operation.supervised());
                types.extend(target.map(|target| self.nodes[target].kind));
                operation.fit(&types)
            }
            _ => None,
        }
    }

    /// Does it depend on what a feature learns how many columns it has?
    pub(crate) fn learns_columns(&self, feature: &Feature) -> bool {
        let node = &self.nodes[feature.node()];
        node.kind == Type::Columns && matches!(node.source, Source::Apply { learns: true, .. })
    }

    /// The names of a feature's outputs.
    pub(crate) fn names(&self, feature: &Feature) -> Result<Vec<String>> {
        match &self.nodes[feature.node()].source {
            Source::Apply {
                operation, state, ..
            } if self.nodes[feature.node()].kind == Type::Columns => {
                operation.columns(&feature.stem, &feature.tree.stems, state.as_ref())
            }
            _ => Ok(vec![feature.stem.clone()]),
        }
    }

    /// A feature as JSON, with defaults written out and with the states that are known.
    pub(crate) fn document(&self, feature: &Feature) -> Result<Value> {
        self.write(&feature.tree, true)
    }

    /// A feature as JSON, with defaults written out and without states.
    pub(crate) fn specification(&self, feature: &Feature) -> Result<Value> {
        self.write(&feature.tree, false)
    }

    fn write(&self, tree: &Tree, states: bool) -> Result<Value> {
        let mut map;
        match &self.nodes[tree.node].source {
            Source::Column(column) => {
                map = Map::new();
                map.insert("op".to_owned(), "col".into());
                let name = self.schema.fields().get(*column).map(|field| &field.name);
                map.insert("name".to_owned(), name.map(String::as_str).into());
            }
            Source::Row => return Err(Error::internal("a feature of row numbers")),
            Source::Apply {
                operation, state, ..
            } => {
                map = operation.parameters()?;
                map.insert("op".to_owned(), operation.name().into());
                let inputs = tree.inputs.iter().map(|input| self.write(input, states));
                match operation.inputs().keys(tree.inputs.len()) {
                    Some(keys) => {
                        for (key, input) in keys.iter().zip(inputs) {
                            map.insert((*key).to_owned(), input?);
                        }
                    }
                    None => {
                        let inputs = inputs.collect::<Result<_>>()?;
                        map.insert(LIST_KEY.to_owned(), Value::Array(inputs));
                    }
                }
                if let (true, Some(state)) = (states, state) {
                    map.insert("state".to_owned(), state.clone());
                }
            }
        }
        let mut value = Value::Object(map);
        for alias in &tree.aliases {
            value = Expr::from_value(value).alias(alias).value().clone();
        }
        Ok(value)
    }
}

impl Node {
    const fn column(&self) -> Option<usize> {
        match &self.source {
            Source::Column(column) => Some(*column),
            Source::Row | Source::Apply { .. } => None,
        }
    }
}

/// Takes a text out of an expression's keys.
fn take_text(map: &mut Map<String, Value>, key: &str, op: &str) -> Result<String> {
    match map.remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(Error::invalid(format!(
            "{op}: {key} is {other} where a text is due"
        ))),
        None => Err(Error::invalid(format!("{op}: {key} is left out"))),
    }
}

fn refuse_rest(map: &Map<String, Value>, op: &str) -> Result<()> {
    match map.keys().next() {
        None => Ok(()),
        Some(key) => Err(Error::invalid(format!(
            "{op}: there is no parameter {key:?}"
        ))),
    }
}

impl Builder<'_> {
    fn resolve(&mut self, value: &Value, depth: usize) -> Result<(Tree, String)> {
        if depth > MAX_DEPTH {
            return Err(Error::invalid(format!(
                "an expression is nested more than {MAX_DEPTH} deep"
            )));
        }
        let Value::Object(map) = value else {
            return Err(Error::invalid(format!(
                "{value} is no expression: begin with col(\"name\")"
            )));
        };
        let mut map = map.clone();
        let op = take_text(&mut map, "op", "an expression")?;
        match op.as_str() {
            "col" => {
                let name = take_text(&mut map, "name", "col")?;
                refuse_rest(&map, "col")?;
                let node = self.column(&name)?;
                let tree = Tree {
                    node,
                    aliases: Vec::new(),
                    inputs: Vec::new(),
                    stems: Vec::new(),
                };
                Ok((tree, name))
            }
            "alias" => {
                let name = take_text(&mut map, "name", "alias")?;
                if name.is_empty() {
                    return Err(Error::invalid("alias: the name is empty"));
                }
                let input = map.remove("input").unwrap_or(Value::Null);
                refuse_rest(&map, "alias")?;
                let (mut tree, _) = self.resolve(&input, depth + 1)?;
                tree.aliases.push(name.clone());
                Ok((tree, name))
            }
            _ => self.apply(&op, map, value, depth),
        }
    }

    fn column(&mut self, name: &str) -> Result<usize> {
        let column = self.schema.resolve(name)?;
        let kind = Type::from(self.schema.fields()[column].dtype);
        let key = format!("col {column}");
        Ok(self.share(key, || Node {
            source: Source::Column(column),
            kind,
            level: 0,
            text: Expr::column(name).to_string(),
        }))
    }

    fn share(&mut self, key: String, make: impl FnOnce() -> Node) -> usize {
        let next = self.nodes.len();
        let node = *self.known.entry(key).or_insert(next);
        if node == next {
            self.nodes.push(make());
        }
        node
    }

    fn apply(
        &mut self,
        op: &str,
        mut map: Map<String, Value>,
        whole: &Value,
        depth: usize,
    ) -> Result<(Tree, String)> {
        let entry = operations::find(op)?;
        let inputs = entry.inputs.take(&mut map).map_err(|error| error.at(op))?;
        let mut trees = Vec::with_capacity(inputs.len());
        let mut stems = Vec::with_capacity(inputs.len());
        for input in inputs {
            let (tree, stem) = self.resolve(&input, depth + 1)?;
            trees.push(tree);
            stems.push(stem);
        }
        let state = map.remove("state");
        let operation = (entry.read)(map)?;
        let text = Expr::from_value(whole.clone()).to_string();
        let inputs: Vec<usize> = trees.iter().map(|tree| tree.node).collect();
        let types: Vec<Type> = inputs.iter().map(|&node| self.nodes[node].kind).collect();
        let kind = if types.contains(&Type::Columns) {
            Err(takes("one value", Type::Columns))
        } else {
            operation.output(&types)
        }
        .map_err(|error| error.at(&text))?;
        let learns = operation.fit(&types).is_some();
        match (&state, learns && self.fitted) {
            (None, false) | (Some(_), true) => {}
            (None, true) => return Err(Error::state(format!("{text}: the state is left out"))),
            (Some(_), false) => {
                return Err(Error::state(format!(
                    "{text} carries a state where none is due"
                )));
            }
        }
        let before = inputs.iter().map(|&node| self.nodes[node].level).max();
        let level = before.unwrap_or(0) + usize::from(learns && !self.fitted);
        let stem = operation.label(&stems.iter().map(String::as_str).collect::<Vec<_>>());
        let parameters = Value::Object(operation.parameters()?);
        let key = format!("{op} {inputs:?} {parameters} {state:?}");
        let node = self.share(key, || Node {
            source: Source::Apply {
                operation,
                inputs,
                learns,
                state,
                training: None,
            },
            kind,
            level,
            text,
        });
        let tree = Tree {
            node,
            aliases: Vec::new(),
            inputs: trees,
            stems,
        };
        Ok((tree, stem))
    }
}
