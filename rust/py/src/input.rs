//! Rows of Python callers as what a model is asked with.

use std::sync::Arc;

use numpy::{PyArray2, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping};
use tidegate_runtime::{Answer, CallOptions, Choice, Input, Model as CoreModel};
use tidegate_schema::{DType, Error, Schema, TableBuf};

use crate::arrow::import;
use crate::enter::run;
use crate::errors::raise;
use crate::rows::{Extra, Refusal, Taken, from_dict, from_dicts};
use crate::tensors::from_numpy;

/// How a call is to be answered whose version was chosen.
pub fn options(choice: &Choice) -> CallOptions {
    CallOptions {
        routed: Some(choice.routed().clone()),
        ..CallOptions::default()
    }
}

/// One row: a mapping of raw columns, or of tensors for a model without a feature set.
pub fn one(model: &CoreModel, row: &Bound<'_, PyAny>, extra: Extra) -> PyResult<Input> {
    let row = dict(row)?;
    match model.schema() {
        Some(schema) => Ok(Input::Table(counted(
            model,
            from_dict(schema, &row, extra),
        )?)),
        None => tensors(&row),
    }
}

/// Rows for a model, which counts a refusal for a value of a wrong type: it does not see the rows.
fn counted(model: &CoreModel, taken: Taken<TableBuf>) -> PyResult<TableBuf> {
    taken.map_err(|refusal| {
        if let Some(column) = &refusal.mistyped {
            model.mistyped(column);
        }
        refusal.into()
    })
}

fn dict<'py>(row: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(row) = row.cast::<PyDict>() {
        return Ok(row.clone());
    }
    match row.cast::<PyMapping>() {
        Ok(mapping) => {
            let dict = PyDict::new(row.py());
            dict.update(mapping)?;
            Ok(dict)
        }
        Err(_) => Err(raise(Error::invalid(format!(
            "a row is a dict of columns, not {}: many rows go to predict_many",
            row.get_type().name()?
        )))),
    }
}

fn tensors(inputs: &Bound<'_, PyDict>) -> PyResult<Input> {
    let mut tensors = Vec::with_capacity(inputs.len());
    for (name, value) in inputs.iter() {
        tensors.push(from_numpy(&name.extract::<String>()?, &value)?);
    }
    Ok(Input::Tensors(tensors))
}

/// Answers many rows: dicts, an Arrow table, a matrix, or tensors.
pub fn many(
    py: Python<'_>,
    mut choice: Choice,
    rows: &Bound<'_, PyAny>,
    extra: Extra,
) -> PyResult<Answer> {
    let model = Arc::clone(choice.routed().model());
    let input = match model.schema() {
        Some(schema) => {
            if let Ok(list) = rows.cast::<PyList>() {
                Input::Table(counted(&model, from_dicts(schema, list, extra))?)
            } else if let Ok(array) = rows.cast::<PyUntypedArray>() {
                Input::Table(counted(&model, matrix(schema, array))?)
            } else {
                let batches = import(rows)?;
                return run(py, || {
                    let mut asked = false;
                    let answer = batches.with_table(schema, |table| {
                        asked = true;
                        choice.settle(table);
                        let model = choice.routed().model();
                        model.predict_table(table, &options(&choice))
                    });
                    // What a model is asked with it counts by itself.
                    answer.inspect_err(|error| {
                        if !asked {
                            model.refused_value(error);
                        }
                    })
                });
            }
        }
        None => match rows.cast::<PyDict>() {
            Ok(inputs) => tensors(inputs)?,
            Err(_) => Input::Tensors(vec![single(&model, rows)?]),
        },
    };
    run(py, || {
        let input = choice.settle_input(input)?;
        choice.routed().model().predict(input, &options(&choice))
    })
}

/// An array for a model that takes one tensor.
fn single(model: &CoreModel, array: &Bound<'_, PyAny>) -> PyResult<tidegate_schema::Tensor> {
    match model.inputs() {
        [input] => from_numpy(&input.name, array),
        inputs => {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            Err(raise(Error::invalid(format!(
                "model {:?} takes several inputs: pass a dict of arrays for {}",
                model.name(),
                names.join(", ")
            ))))
        }
    }
}

/// A numeric matrix as raw columns in the schema's order; NaN is missing.
fn matrix(schema: &Schema, array: &Bound<'_, PyUntypedArray>) -> Taken<TableBuf> {
    let shape = array.shape().to_vec();
    if shape.len() != 2 || shape.get(1) != Some(&schema.len()) {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name.as_str()).collect();
        return Err(Refusal::from(raise(Error::invalid(format!(
            "a matrix of shape {shape:?} where [rows, {}] is due, with the columns {}",
            schema.len(),
            names.join(", ")
        )))));
    }
    let other = |dtype: DType| dtype == DType::String || dtype.is_list();
    if let Some(field) = schema.fields().iter().find(|f| other(f.dtype)) {
        let message = format!(
            "column {:?} is {}, which no numeric matrix holds: pass a table or dicts",
            field.name, field.dtype
        );
        return Err(Refusal::of(&field.name, Error::invalid(message)));
    }
    let floats = array.call_method1("astype", ("float64",))?;
    let floats = floats
        .cast_into::<PyArray2<f64>>()
        .map_err(PyErr::from)?
        .readonly();
    let floats = floats.as_array();
    let mut table = TableBuf::new(schema, floats.nrows());
    for ((column, field), values) in table
        .columns
        .iter_mut()
        .zip(schema.fields())
        .zip(floats.columns())
    {
        for (row, value) in values.iter().enumerate() {
            let pushed = match field.dtype {
                _ if value.is_nan() => {
                    column.push_null();
                    Ok(())
                }
                DType::Bool if *value == 0.0 || *value == 1.0 => column.push_bool(*value == 1.0),
                DType::Timestamp => column.push_timestamp(*value as i64),
                DType::Date => column.push_date(*value as i64),
                DType::Duration => column.push_duration(*value as i64),
                _ => column.push_f64(*value),
            };
            pushed.map_err(|error| {
                let error = error.at(format!("column {:?}, row {row}", field.name));
                Refusal::of(&field.name, error)
            })?;
        }
    }
    Ok(table)
}
