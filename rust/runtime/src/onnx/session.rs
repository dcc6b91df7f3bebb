//! One loaded ONNX model.

use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use ort::AsPointer;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::sys;
use ort::value::{Outlet, ValueType};
use tidegate_schema::{Error, ErrorKind, Result, Tensor};

use super::library::{environment, library_version};
use super::value::{Value, datatype_of};
use super::{check, first_line};
use crate::TensorInfo;
use crate::backend::{Backend, Slab};

/// A session and what one run needs, made once.
///
/// One thread, no spinning, nodes in sequence: a small model loses more to a hand-off between
/// threads than it gains, and several models in one process must not compete with pools of their
/// own. Instances share the session, which runs in several threads at once, and hence the memory of
/// the weights.
pub struct OnnxBackend {
    // Dropped first: values may refer to the session's allocator.
    values: Vec<Value>,
    results: Vec<Value>,
    dimensions: Vec<i64>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    names: Names,
    memory: Memory,
    session: Arc<Session>,
}

/// Names of inputs and outputs as C wants them.
struct Names {
    inputs: Vec<*const c_char>,
    outputs: Vec<*const c_char>,
    /// Owns what the pointers point to; its texts never move.
    _texts: Vec<CString>,
}

// SAFETY: the pointers point into `_texts`, which travels with them and is never changed.
unsafe impl Send for Names {}

impl Names {
    fn new(inputs: &[TensorInfo], outputs: &[TensorInfo]) -> Result<Self> {
        let mut texts = Vec::with_capacity(inputs.len() + outputs.len());
        for info in inputs.iter().chain(outputs) {
            texts.push(CString::new(info.name.as_str()).map_err(|_| {
                Error::state(format!(
                    "the name {:?} in model.onnx has a zero byte",
                    info.name
                ))
            })?);
        }
        let mut pointers = texts.iter().map(|text| text.as_ptr());
        let first = pointers.by_ref().take(inputs.len()).collect();
        Ok(Self {
            inputs: first,
            outputs: pointers.collect(),
            _texts: texts,
        })
    }
}

/// "On the processor": where the numbers of inputs lie.
struct Memory(*mut sys::OrtMemoryInfo);

// SAFETY: an immutable description without ties to a thread.
unsafe impl Send for Memory {}

impl Memory {
    fn new() -> Result<Self> {
        let mut pointer = ptr::null_mut();
        // SAFETY: the out pointer is ours.
        check(unsafe {
            (ort::api().CreateCpuMemoryInfo)(
                sys::OrtAllocatorType::OrtDeviceAllocator,
                sys::OrtMemType::OrtMemTypeDefault,
                &raw mut pointer,
            )
        })?;
        Ok(Self(pointer))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: made by `new`, released once.
        unsafe { (ort::api().ReleaseMemoryInfo)(self.0) };
    }
}

impl OnnxBackend {
    /// Loads a model from the bytes of an ONNX file.
    ///
    /// # Errors
    /// `NotReady` before [`crate::onnx::load_library`]; `State` when the bytes are no ONNX file or
    /// no valid graph; `Unsupported` when the graph has operators, or inputs and outputs, that
    /// cannot be served (sequences and maps, element types that the protocol lacks).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::state(
                "model.onnx is not an ONNX file: it is empty; export the model again",
            ));
        }
        let environment = environment()?;
        // `ort` asserts where a graph has kinds of values that it does not know.
        let session = catch_unwind(AssertUnwindSafe(|| -> ort::Result<Session> {
            options(Session::builder(&environment)?)?.commit_from_memory(bytes)
        }))
        .map_err(|_| unsupported("the graph has inputs or outputs of an unknown kind"))?
        .map_err(|error| load_error(&error))?;
        Self::on(Arc::new(session))
    }

    /// An instance on a session.
    fn on(session: Arc<Session>) -> Result<Self> {
        let inputs = described("input", session.inputs())?;
        let outputs = described("output", session.outputs())?;
        Ok(Self {
            values: Vec::with_capacity(inputs.len()),
            results: Vec::with_capacity(outputs.len()),
            dimensions: Vec::new(),
            names: Names::new(&inputs, &outputs)?,
            inputs,
            outputs,
            memory: Memory::new()?,
            session,
        })
    }
}

impl Backend for OnnxBackend {
    fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        // The values borrow from `inputs`, so they go before this returns, come what may.
        let outcome = self.run_values(inputs);
        self.values.clear();
        self.results.clear();
        outcome
    }

    fn another(&self) -> Result<Option<Box<dyn Backend>>> {
        Ok(Some(Box::new(Self::on(Arc::clone(&self.session))?)))
    }
}

impl OnnxBackend {
    fn run_values(&mut self, inputs: &[Slab<'_>]) -> Result<Vec<Tensor>> {
        if inputs.len() != self.names.inputs.len() {
            return Err(Error::internal(format!(
                "{} inputs where the model takes {}",
                inputs.len(),
                self.names.inputs.len()
            )));
        }
        for slab in inputs {
            let value = Value::borrow(slab, self.memory.0, &mut self.dimensions)?;
            self.values.push(value);
        }
        self.results
            .resize_with(self.names.outputs.len(), Value::none);
        // SAFETY: `Value` is transparent over the pointer; all arrays have the lengths given and
        // live through the call. Other instances may run the session meanwhile: `Run` is safe to
        // call from several threads, and all else that it writes to is this instance's own.
        check(unsafe {
            (ort::api().Run)(
                self.session.ptr().cast_mut(),
                ptr::null(),
                self.names.inputs.as_ptr(),
                self.values.as_ptr().cast::<*const sys::OrtValue>(),
                self.values.len(),
                self.names.outputs.as_ptr(),
                self.names.outputs.len(),
                self.results.as_mut_ptr().cast::<*mut sys::OrtValue>(),
            )
        })?;
        self.results
            .iter()
            .zip(&self.outputs)
            .map(|(value, info)| value.read(&info.name))
            .collect()
    }
}

fn options(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    Ok(builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_log_level(ort::logging::LogLevel::Fatal)?)
}

fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("model.onnx cannot be served: {what}"),
    )
}

fn load_error(error: &ort::Error) -> Error {
    let message = first_line(error.message());
    match error.code() {
        ort::ErrorCode::InvalidProtobuf | ort::ErrorCode::NoModel => Error::state(format!(
            "model.onnx is not an ONNX file ({message}): export the model again"
        )),
        ort::ErrorCode::InvalidGraph | ort::ErrorCode::InvalidArgument => Error::state(format!(
            "model.onnx is not a valid graph ({message}): export the model again"
        )),
        _ => unsupported(format!(
            "ONNX Runtime {} says {message}: export it with an older opset, or install a newer onnxruntime",
            library_version().unwrap_or_default()
        )),
    }
}

fn described(role: &str, outlets: &[Outlet]) -> Result<Vec<TensorInfo>> {
    outlets
        .iter()
        .map(|outlet| match outlet.dtype() {
            ValueType::Tensor { ty, shape, .. } => Ok(TensorInfo {
                name: outlet.name().to_owned(),
                datatype: datatype_of((*ty).into()).ok_or_else(|| {
                    unsupported(format!(
                        "{role} {:?} has elements of type {ty}, which the protocol lacks: cast it in the model",
                        outlet.name()
                    ))
                })?,
                shape: shape.iter().copied().collect(),
            }),
            other => Err(unsupported(format!(
                "{role} {:?} is {other}, not a tensor: export a classifier without ZipMap",
                outlet.name()
            ))),
        })
        .collect()
}
