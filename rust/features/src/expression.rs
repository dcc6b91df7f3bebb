//! The contract that every expression meets, and its erased form that the engine works with.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tidegate_schema::{Error, Result};

use crate::kernel::Kernel;
use crate::value::{Type, Values};

/// Most inputs an expression can have.
pub(crate) const MAX_INPUTS: usize = 256;

/// The inputs of an expression, in JSON and in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inputs {
    /// Each has a key of its own.
    Named(&'static [&'static str]),
    /// At least so many and at most [`MAX_INPUTS`], as an array under the key `inputs`.
    List(usize),
    /// As many as there are keys: each under its own. More, up to [`MAX_INPUTS`]: as an array under
    /// the key `inputs`. For an expression that grew from two inputs to any number of them.
    NamedOrList(&'static [&'static str]),
}

impl Inputs {
    /// The keys of so many inputs that each have one of their own.
    pub(crate) fn keys(self, count: usize) -> Option<&'static [&'static str]> {
        match self {
            Self::Named(keys) => Some(keys),
            Self::NamedOrList(keys) if keys.len() == count => Some(keys),
            Self::NamedOrList(_) | Self::List(_) => None,
        }
    }

    /// Takes the inputs out of an expression's keys.
    pub(crate) fn take(self, map: &mut Map<String, Value>) -> Result<Vec<Value>> {
        let list = map.get(LIST_KEY).is_some();
        let (named, least) = match self {
            Self::Named(keys) => (Some(keys), 0),
            Self::NamedOrList(keys) => ((!list).then_some(keys), 2),
            Self::List(least) => (None, least),
        };
        if let Some(keys) = named {
            let left_out = |key: &str| Error::invalid(format!("{key} is left out"));
            return keys
                .iter()
                .map(|key| map.remove(*key).ok_or_else(|| left_out(key)))
                .collect();
        }
        match map.remove(LIST_KEY) {
            Some(Value::Array(inputs)) if (least..=MAX_INPUTS).contains(&inputs.len()) => {
                Ok(inputs)
            }
            Some(Value::Array(inputs)) => Err(Error::invalid(format!(
                "takes {least} to {MAX_INPUTS} inputs but gets {}",
                inputs.len()
            ))),
            Some(other) => Err(Error::invalid(format!(
                "{LIST_KEY} is {other} where an array of expressions is due"
            ))),
            None => Err(Error::invalid(format!("{LIST_KEY} is left out"))),
        }
    }

    /// The inputs among an expression's keys, without checks.
    pub(crate) fn peek(self, map: &Map<String, Value>) -> Vec<&Value> {
        match (self, map.get(LIST_KEY)) {
            (Self::List(_) | Self::NamedOrList(_), Some(Value::Array(inputs))) => {
                inputs.iter().collect()
            }
            (Self::Named(keys) | Self::NamedOrList(keys), _) => {
                keys.iter().filter_map(|key| map.get(*key)).collect()
            }
            (Self::List(_), _) => Vec::new(),
        }
    }
}

/// The key of inputs that have none of their own.
pub(crate) const LIST_KEY: &str = "inputs";

/// One expression: its parameters are the fields of the implementing struct, and so is their JSON.
/// Parameters that are left out take serde's defaults, which makes this the one home of defaults.
pub(crate) trait Expression: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The value of `op` in JSON.
    const NAME: &'static str;
    /// The inputs.
    const INPUTS: Inputs = Inputs::Named(&["input"]);
    /// Does it learn from the target? Then its [`Fit`] gets the target and the number of the row
    /// as two more inputs, after those of the expression.
    const SUPERVISED: bool = false;
    /// Learns the state; [`Nothing`] where there is nothing to learn.
    type Fit: Fit;

    /// Checks the parameters, once, when the expression is read.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The type of the result, or what is wrong with the inputs.
    fn output(&self, inputs: &[Type]) -> Result<Type>;

    /// Are the values of the target classes, and not numbers to be added up?
    fn learns_classes(&self) -> bool {
        false
    }

    /// Starts to learn; `None` where these parameters leave nothing to learn. The type
    /// of the target, if it learns from one and it is known, stands behind those of the inputs.
    fn fit(&self, _inputs: &[Type]) -> Option<Self::Fit> {
        None
    }

    /// The code that runs, with the state inside. The state may come from a file: it is checked.
    fn kernel(&self, state: <Self::Fit as Fit>::State, inputs: &[Type]) -> Result<Kernel>;

    /// The name of the result, made from the names of the inputs.
    fn name(&self, inputs: &[&str]) -> String {
        inputs.first().copied().unwrap_or_default().to_owned()
    }

    /// What is put behind the name for each column, if the result is [`Type::Columns`].
    fn suffixes(&self, _state: &<Self::Fit as Fit>::State) -> Vec<String> {
        Vec::new()
    }

    /// The names of the columns, if the result is [`Type::Columns`]: the name of the expression
    /// with the suffixes, unless the names of the inputs say more.
    fn columns(
        &self,
        stem: &str,
        _inputs: &[String],
        state: &<Self::Fit as Fit>::State,
    ) -> Vec<String> {
        let suffixes = self.suffixes(state).into_iter();
        suffixes.map(|suffix| format!("{stem}{suffix}")).collect()
    }
}

/// Learns the state of an expression in one pass: update, merge, finish.
pub(crate) trait Fit: Sized + Send + 'static {
    /// What is learned; its JSON is what a feature set keeps. The default is what an expression
    /// has that learns nothing.
    type State: Serialize + DeserializeOwned + Default;

    /// Takes in one morsel.
    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()>;

    /// Takes in all that another has seen.
    fn merge(&mut self, other: Self) -> Result<()>;

    /// The code for the rows that were learned from, where it is not that of all others: values
    /// made without a row's own target, which the number of the row, one more input after those of
    /// the expression, keeps apart.
    fn training(&self) -> Result<Option<Kernel>> {
        Ok(None)
    }

    /// What was learned.
    fn finish(self) -> Result<Self::State>;
}

/// The fit of an expression that learns nothing.
pub(crate) enum Nothing {}

impl Fit for Nothing {
    type State = ();

    fn update(&mut self, _: &[Values<'_>]) -> Result<()> {
        match *self {}
    }

    fn merge(&mut self, _: Self) -> Result<()> {
        match *self {}
    }

    fn finish(self) -> Result<()> {
        match self {}
    }
}

/// An expression of any kind, as the engine sees it.
pub(crate) trait Operation: Send + Sync {
    fn name(&self) -> &'static str;
    fn inputs(&self) -> Inputs;
    /// The parameters with all defaults written out.
    fn parameters(&self) -> Result<Map<String, Value>>;
    fn output(&self, inputs: &[Type]) -> Result<Type>;
    fn supervised(&self) -> bool;
    fn learns_classes(&self) -> bool;
    fn fit(&self, inputs: &[Type]) -> Option<Box<dyn AnyFit>>;
    /// The code for a state in JSON; `None` for the state of an expression that learns nothing.
    fn kernel(&self, state: Option<&Value>, inputs: &[Type]) -> Result<Kernel>;
    fn label(&self, inputs: &[&str]) -> String;
    fn columns(&self, stem: &str, inputs: &[String], state: Option<&Value>) -> Result<Vec<String>>;
}

fn read_state<E: Expression>(state: Option<&Value>) -> Result<<E::Fit as Fit>::State> {
    match state {
        None => Ok(Default::default()),
        Some(state) => serde_json::from_value(state.clone())
            .map_err(|error| Error::state(format!("the state of {} is wrong: {error}", E::NAME))),
    }
}

impl<E: Expression> Operation for E {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn inputs(&self) -> Inputs {
        E::INPUTS
    }

    fn parameters(&self) -> Result<Map<String, Value>> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(Value::Null) => Ok(Map::new()),
            Ok(_) => Err(Error::internal(format!(
                "{}: parameters are no object",
                E::NAME
            ))),
            Err(error) => Err(Error::internal(format!("{}: {error}", E::NAME))),
        }
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        Expression::output(self, inputs)
    }

    fn supervised(&self) -> bool {
        E::SUPERVISED
    }

    fn learns_classes(&self) -> bool {
        Expression::learns_classes(self)
    }

    fn fit(&self, inputs: &[Type]) -> Option<Box<dyn AnyFit>> {
        let fit = Expression::fit(self, inputs)?;
        Some(Box::new(Running(fit)))
    }

    fn kernel(&self, state: Option<&Value>, inputs: &[Type]) -> Result<Kernel> {
        Expression::kernel(self, read_state::<E>(state)?, inputs)
    }

    fn label(&self, inputs: &[&str]) -> String {
        Expression::name(self, inputs)
    }

    fn columns(&self, stem: &str, inputs: &[String], state: Option<&Value>) -> Result<Vec<String>> {
        let state = read_state::<E>(state)?;
        Ok(Expression::columns(self, stem, inputs, &state))
    }
}

/// A running fit of any kind.
pub(crate) trait AnyFit: Send {
    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()>;
    fn merge(&mut self, other: Box<dyn AnyFit>) -> Result<()>;
    fn training(&self) -> Result<Option<Kernel>>;
    fn finish(self: Box<Self>) -> Result<Value>;
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any>;
}

struct Running<F>(F);

impl<F: Fit> AnyFit for Running<F> {
    fn update(&mut self, inputs: &[Values<'_>]) -> Result<()> {
        self.0.update(inputs)
    }

    fn merge(&mut self, other: Box<dyn AnyFit>) -> Result<()> {
        match other.into_any().downcast::<Self>() {
            Ok(other) => self.0.merge(other.0),
            Err(_) => Err(Error::internal("two fits of different kinds met")),
        }
    }

    fn training(&self) -> Result<Option<Kernel>> {
        self.0.training()
    }

    fn finish(self: Box<Self>) -> Result<Value> {
        serde_json::to_value(self.0.finish()?)
            .map_err(|error| Error::internal(format!("a state has no JSON: {error}")))
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

type Read = fn(Map<String, Value>) -> Result<Box<dyn Operation>>;

/// One line of the table of expressions.
pub(crate) struct Entry {
    /// The value of `op`.
    pub name: &'static str,
    /// The inputs.
    pub inputs: Inputs,
    /// Does it learn from the target?
    #[cfg_attr(not(test), allow(dead_code))]
    pub supervised: bool,
    /// Reads the parameters.
    pub read: Read,
    /// JSON of expressions over the columns that the property tests make: what every test of all
    /// expressions walks, so that a new one is tested from its first day.
    #[cfg_attr(not(test), allow(dead_code))]
    pub examples: &'static [&'static str],
}

impl Entry {
    /// The line of an expression.
    pub(crate) const fn of<E: Expression>(examples: &'static [&'static str]) -> Self {
        Self {
            name: E::NAME,
            inputs: E::INPUTS,
            supervised: E::SUPERVISED,
            read: read::<E>,
            examples,
        }
    }
}

fn read<E: Expression>(parameters: Map<String, Value>) -> Result<Box<dyn Operation>> {
    let operation: E = serde_json::from_value(Value::Object(parameters))
        .map_err(|error| Error::invalid(format!("{}: {error}", E::NAME)))?;
    operation.check().map_err(|error| error.at(E::NAME))?;
    Ok(Box::new(operation))
}

/// Checks that an input is a number.
pub(crate) fn number(inputs: &[Type]) -> Result<()> {
    match inputs.iter().find(|kind| !kind.is_number()) {
        None => Ok(()),
        Some(kind) => Err(takes("a number", *kind)),
    }
}

/// Checks that every input is a text.
pub(crate) fn text(inputs: &[Type]) -> Result<()> {
    match inputs.iter().find(|kind| **kind != Type::Text) {
        None => Ok(()),
        Some(kind) => Err(takes("a string", *kind)),
    }
}

/// The error of an expression that gets a type it does not take.
pub(crate) fn takes(due: &str, found: Type) -> Error {
    let mend = match found {
        Type::Text => "encode text first, with one_hot, ordinal or hash",
        Type::Timestamp => "take a part of the time first, as in .dt.hour()",
        Type::NumberList | Type::TextList => "take a number or an item first, as in .list.mean()",
        Type::Columns => "several columns can only be the end of an expression",
        Type::Bool | Type::Number => "declare the column as what it is",
    };
    Error::invalid(format!("takes {due} but gets {found}: {mend}"))
}

/// The error of a summary as the shared error.
pub(crate) fn sketch(error: tidegate_sketch::Error) -> Error {
    use tidegate_sketch::ErrorKind;
    match error.kind {
        ErrorKind::Argument => Error::invalid(error.message),
        ErrorKind::Limit => Error::new(tidegate_schema::ErrorKind::TooLarge, error.message),
        ErrorKind::State => Error::state(error.message),
    }
}
