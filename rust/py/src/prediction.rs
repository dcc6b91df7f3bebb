//! What a prediction gives, in Python's terms. Values are converted when they are asked for.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use tidegate_runtime::Answer;
use tidegate_schema::{Error, ErrorKind, Tensor, TensorData};

use crate::arrow::ArrowTable;
use crate::errors::raise;
use crate::tensors::{element, to_numpy};

/// The output of a classifier that holds its decision.
const LABEL: &str = "label";
/// The output of a classifier that holds one probability a class.
const PROBABILITIES: &str = "probabilities";

fn find<'a>(answer: &'a Answer, name: &str) -> Option<&'a Tensor> {
    answer.outputs.iter().find(|tensor| tensor.name == name)
}

fn no_output(answer: &Answer, wanted: &str) -> PyErr {
    let names: Vec<&str> = answer
        .outputs
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    raise(Error::new(
        ErrorKind::Unsupported,
        format!(
            "model {:?} gives no {wanted}: read outputs, which has {}",
            answer.model.name(),
            names.join(", ")
        ),
    ))
}

/// One element as a Python scalar.
fn scalar<'py>(
    py: Python<'py>,
    data: &TensorData,
    i: usize,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    macro_rules! number {
        ($values:expr) => {
            match $values.get(i) {
                Some(value) => Some(value.into_pyobject(py)?.to_owned().into_any()),
                None => None,
            }
        };
    }
    Ok(match data {
        TensorData::Bytes(values) => values.get(i).map(|bytes| element(py, bytes)),
        TensorData::Bool(values) => match values.get(i) {
            Some(value) => Some((*value != 0).into_pyobject(py)?.to_owned().into_any()),
            None => None,
        },
        TensorData::Uint8(values) => number!(values),
        TensorData::Uint16(values) => number!(values),
        TensorData::Uint32(values) => number!(values),
        TensorData::Uint64(values) => number!(values),
        TensorData::Int8(values) => number!(values),
        TensorData::Int16(values) => number!(values),
        TensorData::Int32(values) => number!(values),
        TensorData::Int64(values) => number!(values),
        TensorData::Fp32(values) => number!(values),
        TensorData::Fp64(values) => number!(values),
        // Half floats have no Python scalar of their own: NumPy's converts them.
        TensorData::Fp16(_) | TensorData::Bf16(_) => {
            let array = to_numpy(py, data, &[data.len()])?;
            Some(array.get_item(i)?.call_method0(intern!(py, "item"))?)
        }
    })
}

/// The prediction for one row.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Prediction {
    answer: Answer,
}

impl Prediction {
    pub fn new(answer: Answer) -> Self {
        Self { answer }
    }
}

#[pymethods]
impl Prediction {
    /// The name of this prediction, for labels that come later.
    #[getter]
    fn id(&self) -> String {
        format!("{}/0", self.answer.prediction_id)
    }

    /// The name of the model that answered.
    #[getter]
    fn model(&self) -> &str {
        self.answer.model.name()
    }

    /// Its version.
    #[getter]
    fn version(&self) -> &str {
        self.answer.model.version()
    }

    /// The revision of the deployment that answered.
    #[getter]
    fn revision(&self) -> u64 {
        self.answer.revision()
    }

    /// The experiment that the call takes part in, if it does; the version is its arm there.
    #[getter]
    fn experiment(&self) -> Option<&str> {
        self.answer.experiment()
    }

    /// The outputs by name: arrays without the row dimension.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let outputs = PyDict::new(py);
        for tensor in &self.answer.outputs {
            let shape = if tensor.rows() == 1 {
                tensor.shape.get(1..)
            } else {
                None
            };
            let array = to_numpy(py, &tensor.data, shape.unwrap_or(&tensor.shape))?;
            outputs.set_item(&tensor.name, array)?;
        }
        Ok(outputs)
    }

    /// A classifier's decision, as the label that it was trained with.
    #[getter]
    fn label<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match find(&self.answer, LABEL) {
            Some(tensor) => {
                scalar(py, &tensor.data, 0)?.ok_or_else(|| no_output(&self.answer, "label"))
            }
            None => Err(no_output(&self.answer, "label")),
        }
    }

    /// A classifier's probabilities by class.
    #[getter]
    fn probabilities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tensor = find(&self.answer, PROBABILITIES)
            .ok_or_else(|| no_output(&self.answer, "probabilities"))?;
        let classes = classes(py, &self.answer)?;
        let probabilities = PyDict::new(py);
        for place in 0..tensor.row_width() {
            let class = match classes.as_ref().map(|classes| classes.get_item(place)) {
                Some(class) => class?,
                None => place.into_pyobject(py)?.into_any(),
            };
            probabilities.set_item(class, scalar(py, &tensor.data, place)?)?;
        }
        Ok(probabilities)
    }

    /// The one number: the probability of the second of two classes, or a regressor's prediction.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (tensor, place) = match find(&self.answer, PROBABILITIES) {
            Some(tensor) => (Some(tensor), 1),
            None => (self.answer.outputs.first(), 0),
        };
        let single = tensor.filter(|tensor| tensor.row_width() == place + 1);
        match single {
            Some(tensor) => {
                scalar(py, &tensor.data, place)?.ok_or_else(|| no_output(&self.answer, "value"))
            }
            None => Err(no_output(&self.answer, "single value")),
        }
    }

    fn __repr__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let shown = match find(&self.answer, PROBABILITIES) {
            Some(_) => format!("label={}, ", self.label(py)?.repr()?),
            None => String::new(),
        };
        let value = match self.value(py) {
            Ok(value) => format!("value={}, ", value.repr()?),
            Err(_) => String::new(),
        };
        Ok(PyString::new(
            py,
            &format!(
                "Prediction({shown}{value}model='{}', version='{}', id='{}')",
                self.model(),
                self.version(),
                self.id()
            ),
        ))
    }
}

/// The class labels from the bundle's manifest, in the order of the probabilities.
fn classes<'py>(py: Python<'py>, answer: &Answer) -> PyResult<Option<Bound<'py, PyList>>> {
    match answer.model.classes() {
        None => Ok(None),
        Some(classes) => {
            let text = serde_json::to_string(classes)
                .map_err(|error| raise(Error::internal(format!("class labels: {error}"))))?;
            let list = py
                .import(intern!(py, "json"))?
                .call_method1(intern!(py, "loads"), (text,))?;
            Ok(Some(list.cast_into::<PyList>()?))
        }
    }
}

/// The predictions for many rows, in columnar form.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Predictions {
    answer: Answer,
}

impl Predictions {
    pub fn new(answer: Answer) -> Self {
        Self { answer }
    }
}

#[pymethods]
impl Predictions {
    /// The name of this call; row `i` is `id/i`.
    #[getter]
    fn id(&self) -> String {
        self.answer.prediction_id.text()
    }

    /// The name of each row's prediction.
    #[getter]
    fn ids(&self) -> Vec<String> {
        let id = self.answer.prediction_id;
        (0..self.answer.rows())
            .map(|row| format!("{id}/{row}"))
            .collect()
    }

    /// The name of the model that answered.
    #[getter]
    fn model(&self) -> &str {
        self.answer.model.name()
    }

    /// Its version.
    #[getter]
    fn version(&self) -> &str {
        self.answer.model.version()
    }

    /// The revision of the deployment that answered.
    #[getter]
    fn revision(&self) -> u64 {
        self.answer.revision()
    }

    /// The experiment that the call takes part in, if it does; the version is its arm there.
    #[getter]
    fn experiment(&self) -> Option<&str> {
        self.answer.experiment()
    }

    /// The outputs by name: arrays whose first dimension is the rows.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let outputs = PyDict::new(py);
        for tensor in &self.answer.outputs {
            outputs.set_item(&tensor.name, to_numpy(py, &tensor.data, &tensor.shape)?)?;
        }
        Ok(outputs)
    }

    /// A classifier's decisions, as the labels that it was trained with.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match find(&self.answer, LABEL) {
            Some(tensor) => to_numpy(py, &tensor.data, &[tensor.data.len()]),
            None => Err(no_output(&self.answer, "labels")),
        }
    }

    /// The outputs as an Arrow table with one row a prediction.
    fn to_arrow(&self) -> PyResult<ArrowTable> {
        let (schema, columns) = self.answer.columns().map_err(raise)?;
        let batch = columns
            .view()
            .and_then(|table| tidegate_schema::arrow::record_batch(&table, &schema))
            .map_err(raise)?;
        Ok(ArrowTable::new(batch.schema(), vec![batch]))
    }

    fn __len__(&self) -> usize {
        self.answer.rows()
    }

    fn __repr__(&self) -> String {
        format!(
            "Predictions({} rows, model='{}', version='{}', id='{}')",
            self.answer.rows(),
            self.model(),
            self.version(),
            self.id()
        )
    }
}
