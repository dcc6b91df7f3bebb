//! Parameters: entries of a map from texts to one of five scalars.

use tidegate_schema::{Error, Result};

use super::wire::{Fields, put_bytes, put_number, put_varint};
use crate::json::quote;
use crate::limits::too_many;
use crate::{Limits, Parameter, Parameters};

/// Reads one entry and appends it. A name that comes twice is an error, as over HTTP.
pub(super) fn read(parameters: &mut Parameters, entry: &[u8], limits: &Limits) -> Result<()> {
    if parameters.len() >= limits.parameters {
        return Err(too_many(
            "parameters",
            limits.parameters + 1,
            limits.parameters,
        ));
    }
    let mut name = "";
    let mut value = None;
    let mut fields = Fields(entry);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => name = field.text()?,
            2 => choice(field.bytes()?, &mut value)?,
            _ => {}
        }
    }
    let Some(value) = value else {
        return Err(Error::invalid(format!(
            "parameter {} has no value: set one of its kinds",
            quote(name)
        )));
    };
    if parameters.get(name).is_some() {
        return Err(Error::invalid(format!(
            "parameter {} appears twice: send it once",
            quote(name)
        )));
    }
    parameters.push(name, value);
    Ok(())
}

/// Reads an `InferParameter`; the last of its kinds counts.
fn choice(message: &[u8], value: &mut Option<Parameter>) -> Result<()> {
    let mut fields = Fields(message);
    while let Some((number, field)) = fields.next()? {
        *value = Some(match number {
            1 => Parameter::Bool(field.varint()? != 0),
            2 => Parameter::Int(field.varint()? as i64),
            3 => Parameter::String(field.text()?.to_owned()),
            4 => Parameter::Float(f64::from_bits(field.fixed64()?)),
            5 => {
                let value = field.varint()?;
                i64::try_from(value).map_or(Parameter::Uint(value), Parameter::Int)
            }
            _ => continue,
        });
    }
    Ok(())
}

/// Appends parameters as entries of the map with this number.
pub(super) fn write(out: &mut Vec<u8>, number: u32, parameters: &Parameters) {
    let (mut entry, mut choice) = (Vec::new(), Vec::new());
    for (name, value) in parameters.iter() {
        entry.clear();
        choice.clear();
        match value {
            Parameter::Bool(value) => put_number(&mut choice, 1, u64::from(*value)),
            Parameter::Int(value) => put_number(&mut choice, 2, *value as u64),
            Parameter::String(value) => put_bytes(&mut choice, 3, value.as_bytes()),
            Parameter::Float(value) => {
                put_varint(&mut choice, 4 << 3 | 1);
                choice.extend_from_slice(&value.to_bits().to_le_bytes());
            }
            Parameter::Uint(value) => put_number(&mut choice, 5, *value),
        }
        put_bytes(&mut entry, 1, name.as_bytes());
        put_bytes(&mut entry, 2, &choice);
        put_bytes(out, number, &entry);
    }
}
