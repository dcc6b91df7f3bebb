//! NumPy arrays in and out as tensors.

use numpy::ndarray::ArrayD;
use numpy::{
    Element, IntoPyArray, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use tidegate_schema::{Error, Tensor, TensorData};

use crate::errors::raise;

/// An array as a tensor; values are copied once, row-major.
pub fn from_numpy(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let py = value.py();
    let array = match value.cast::<PyUntypedArray>() {
        Ok(array) => array.clone(),
        // Lists and scalars become arrays by NumPy's own rules.
        Err(_) => py
            .import(intern!(py, "numpy"))?
            .call_method1(intern!(py, "asarray"), (value,))?
            .cast_into::<PyUntypedArray>()?,
    };
    let shape = array.shape().to_vec();
    let data = elements(name, &array)?;
    Tensor::new(name, shape, data).map_err(raise)
}

fn elements(name: &str, array: &Bound<'_, PyUntypedArray>) -> PyResult<TensorData> {
    macro_rules! first_match {
        ($($type:ty => $make:expr),* $(,)?) => {
            $(if let Ok(typed) = array.cast::<PyArrayDyn<$type>>() {
                return Ok($make(values(typed.readonly())));
            })*
        };
    }
    first_match!(
        f32 => TensorData::Fp32,
        f64 => TensorData::Fp64,
        i64 => TensorData::Int64,
        i32 => TensorData::Int32,
        bool => |values: Vec<bool>| TensorData::Bool(values.into_iter().map(u8::from).collect()),
        u8 => TensorData::Uint8,
        u16 => TensorData::Uint16,
        u32 => TensorData::Uint32,
        u64 => TensorData::Uint64,
        i8 => TensorData::Int8,
        i16 => TensorData::Int16,
    );
    let py = array.py();
    match array.dtype().kind() {
        b'f' if array.dtype().itemsize() == 2 => {
            // NumPy's half floats cross as their bits.
            let contiguous = py
                .import(intern!(py, "numpy"))?
                .call_method1(intern!(py, "ascontiguousarray"), (array,))?;
            let bits = contiguous.call_method1(intern!(py, "view"), ("uint16",))?;
            let typed = bits.cast_into::<PyArrayDyn<u16>>()?;
            Ok(TensorData::Fp16(values(typed.readonly())))
        }
        b'U' | b'S' | b'O' => {
            let flat = array
                .call_method0(intern!(py, "ravel"))?
                .call_method0("tolist")?;
            let mut texts = Vec::with_capacity(array.len());
            for (row, item) in flat.cast_into::<PyList>()?.iter().enumerate() {
                texts.push(text(name, row, &item)?);
            }
            Ok(TensorData::Bytes(texts))
        }
        _ => Err(raise(Error::invalid(format!(
            "input {name:?} has dtype {}, which no tensor has: cast it to one of bool, (u)int8 to 64, float16 to 64, or text",
            array.dtype()
        )))),
    }
}

fn text(name: &str, row: usize, item: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = item.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes().to_vec());
    }
    if let Ok(bytes) = item.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    Err(raise(Error::invalid(format!(
        "input {name:?}, element {row}: {} where text or bytes are due",
        item.get_type().name()?
    ))))
}

fn values<T: Element + Copy>(array: PyReadonlyArrayDyn<'_, T>) -> Vec<T> {
    match array.as_slice() {
        Ok(values) => values.to_vec(),
        Err(_) => array.as_array().iter().copied().collect(),
    }
}

/// A tensor's elements as an array of the shape given, which must fit them.
pub fn to_numpy<'py>(
    py: Python<'py>,
    data: &TensorData,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    match data {
        TensorData::Bool(values) => {
            dense(py, values.iter().map(|value| *value != 0).collect(), shape)
        }
        TensorData::Uint8(values) => dense(py, values.clone(), shape),
        TensorData::Uint16(values) => dense(py, values.clone(), shape),
        TensorData::Uint32(values) => dense(py, values.clone(), shape),
        TensorData::Uint64(values) => dense(py, values.clone(), shape),
        TensorData::Int8(values) => dense(py, values.clone(), shape),
        TensorData::Int16(values) => dense(py, values.clone(), shape),
        TensorData::Int32(values) => dense(py, values.clone(), shape),
        TensorData::Int64(values) => dense(py, values.clone(), shape),
        TensorData::Fp16(values) => {
            dense(py, values.clone(), shape)?.call_method1(intern!(py, "view"), ("float16",))
        }
        // NumPy has no bfloat16: its bits are the upper half of a float32.
        TensorData::Bf16(values) => {
            let wide = values
                .iter()
                .map(|bits| f32::from_bits(u32::from(*bits) << 16))
                .collect();
            dense(py, wide, shape)
        }
        TensorData::Fp32(values) => dense(py, values.clone(), shape),
        TensorData::Fp64(values) => dense(py, values.clone(), shape),
        TensorData::Bytes(values) => texts(py, values, shape),
    }
}

fn dense<'py, T: Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let array = ArrayD::from_shape_vec(shape.to_vec(), values).map_err(|error| {
        raise(Error::internal(format!(
            "an output of the wrong shape: {error}"
        )))
    })?;
    Ok(array.into_pyarray(py).into_any())
}

/// Text where it is UTF-8, else bytes, in an array of objects.
fn texts<'py>(py: Python<'py>, values: &[Vec<u8>], shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    let items = values
        .iter()
        .map(|bytes| element(py, bytes))
        .collect::<Vec<_>>();
    let array = py
        .import(intern!(py, "numpy"))?
        .call_method1(intern!(py, "array"), (PyList::new(py, items)?, "object"))?;
    array.call_method1(intern!(py, "reshape"), (shape.to_vec(),))
}

/// One BYTES element: `str` where it is UTF-8, else `bytes`.
pub fn element<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyAny> {
    match std::str::from_utf8(bytes) {
        Ok(text) => PyString::new(py, text).into_any(),
        Err(_) => PyBytes::new(py, bytes).into_any(),
    }
}
