//! Parameters: the named scalars that the protocol lets requests, tensors and replies carry.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use tidegate_schema::Error;

use crate::json::{Context, Result, Text, quote};
use crate::limits::too_many;
use crate::write;

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// True or false.
    Bool(bool),
    /// A whole number that fits 64 signed bits.
    Int(i64),
    /// A whole number above them: `tritonclient` sends `priority` unsigned.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// A text.
    String(String),
}

/// Named parameters in the order they came. There are few of them: look-up is a walk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(Vec<(String, Parameter)>);

impl Parameters {
    /// No parameters; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Appends a parameter, whose name must be new.
    pub fn push(&mut self, name: impl Into<String>, value: Parameter) {
        self.0.push((name.into(), value));
    }

    /// Takes a parameter out.
    pub fn remove(&mut self, name: &str) -> Option<Parameter> {
        let position = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(position).1)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// True without parameters.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of a name as an unsigned number, such as `timeout`; an error for any other type.
    pub fn unsigned(&self, name: &str) -> Result<Option<u64>> {
        let due = |value: &Parameter| {
            value.unsigned().ok_or_else(|| {
                Error::invalid(format!(
                    "parameter {name:?} is {value} where a whole number from 0 on is due"
                ))
            })
        };
        self.get(name).map(due).transpose()
    }

    /// Appends them as an object, with the protocol's own one of that place after them; nothing
    /// at all where there is none.
    pub(crate) fn write(&self, out: &mut Vec<u8>, own: Option<(&str, Parameter)>) {
        if self.is_empty() && own.is_none() {
            return;
        }
        write::key(out, "parameters");
        out.push(b'{');
        for (name, value) in &self.0 {
            write::key(out, name);
            value.write(out);
        }
        if let Some((name, value)) = own {
            write::key(out, name);
            value.write(out);
        }
        out.push(b'}');
    }
}

impl Parameter {
    /// The value as an unsigned number, if it is one.
    #[must_use]
    pub fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Uint(value) => Some(*value),
            Self::Int(value) => u64::try_from(*value).ok(),
            Self::Bool(_) | Self::Float(_) | Self::String(_) => None,
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => write::scalar(out, value),
            Self::Int(value) => write::scalar(out, value),
            Self::Uint(value) => write::scalar(out, value),
            Self::Float(value) => write::scalar(out, value),
            Self::String(value) => write::string(out, value),
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Uint(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::String(value) => f.write_str(&quote(value)),
        }
    }
}

/// Reads a JSON object of parameters, with the protocol's own one of that place set apart: the
/// commonest parameters so cost no allocation.
pub(crate) struct ParametersSeed<'c> {
    pub context: &'c Context<'c>,
    /// The name of the protocol's own parameter.
    pub own: &'static str,
}

/// What came under the protocol's own name, and everything else.
#[derive(Default)]
pub(crate) struct Read {
    pub own: Option<Parameter>,
    pub others: Parameters,
}

impl Read {
    /// The protocol's own parameter as true or false.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>> {
        match &self.own {
            None => Ok(None),
            Some(Parameter::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(Error::invalid(format!(
                "parameter {name:?} is {other} where true or false is due"
            ))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for ParametersSeed<'_> {
    type Value = Read;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Read, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ParametersSeed<'_> {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        let Self { context, own } = self;
        let limit = context.limits.parameters;
        let mut read = Read::default();
        while let Some(name) = map.next_key_seed(Text("the name of a parameter"))? {
            if read.others.len() == limit {
                return Err(context.fail(too_many("parameters", limit + 1, limit)));
            }
            let is_own = name == own;
            if (is_own && read.own.is_some()) || read.others.get(&name).is_some() {
                let message = format!("parameter {} appears twice: send it once", quote(&name));
                return Err(context.fail(Error::invalid(message)));
            }
            let value = map.next_value_seed(Value)?;
            if is_own {
                read.own = Some(value);
            } else {
                read.others.push(name, value);
            }
        }
        Ok(read)
    }
}

struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Parameter;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Parameter, D::Error> {
        reader.deserialize_any(self)
    }
}

impl Visitor<'_> for Value {
    type Value = Parameter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a parameter that is a string, number or boolean")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Parameter, E> {
        Ok(Parameter::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Parameter, E> {
        Ok(Parameter::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Parameter, E> {
        Ok(i64::try_from(value).map_or(Parameter::Uint(value), Parameter::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Parameter, E> {
        Ok(Parameter::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Parameter, E> {
        Ok(Parameter::String(value.to_owned()))
    }
}
