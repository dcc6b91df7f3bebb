//! What the server says of itself and of its models.

use serde::{Serialize, Serializer};
use tidegate_schema::{DType, Datatype, Schema};

/// One input or output of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// The datatype of its elements.
    #[serde(serialize_with = "datatype_name")]
    pub datatype: Datatype,
    /// Its extents with the batch first; -1 for a variable one.
    pub shape: Vec<i64>,
}

fn datatype_name<S: Serializer>(datatype: &Datatype, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(datatype.name())
}

/// The protocol's extensions that this build speaks.
pub const EXTENSIONS: [&str; 8] = [
    "binary_tensor_data",
    "classification",
    "logging",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "parameters",
    "statistics",
];

/// `GET /v2`.
#[derive(Clone, Debug, Serialize)]
pub struct ServerMetadata<'a> {
    /// The server's name.
    pub name: &'a str,
    /// The server's version.
    pub version: &'a str,
    /// The protocol's extensions that it speaks.
    pub extensions: &'a [&'a str],
}

/// `GET /v2/models/{model}[/versions/{version}]`.
#[derive(Clone, Debug, Serialize)]
pub struct ModelMetadata<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The versions that are served; strings, never coerced.
    pub versions: &'a [&'a str],
    /// What runs the model, such as `onnxruntime_onnx`.
    pub platform: &'a str,
    /// What it takes.
    pub inputs: &'a [TensorInfo],
    /// What it gives.
    pub outputs: &'a [TensorInfo],
}

/// One model version of `POST /v2/repository/index`.
#[derive(Clone, Debug, Serialize)]
pub struct IndexEntry<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The version.
    pub version: &'a str,
    /// `READY`, `UNAVAILABLE` and so on.
    pub state: &'a str,
    /// Why it is not ready; empty when it is.
    pub reason: &'a str,
}

/// `GET /v2/models` (KServe's addition).
#[derive(Clone, Debug, Serialize)]
pub struct ModelList<'a> {
    /// The names of the models that are served.
    pub models: &'a [&'a str],
}

/// `GET /v2/health/live`: KServe's client wants this body, Triton's only the status.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Live {
    /// Is the server alive?
    pub live: bool,
}

/// `GET /v2/health/ready`: the protocol's text names the field `live`, KServe's client `ready`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ready {
    /// Is the server ready?
    pub ready: bool,
    /// The same, under the protocol's name.
    pub live: bool,
}

/// `GET /v2/models/{model}[/versions/{version}]/ready`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ModelReady<'a> {
    /// The model's name.
    pub name: &'a str,
    /// Is it ready?
    pub ready: bool,
}

/// `GET /v2/models/{model}/config`: the least of Triton's model configuration that load tools
/// read.
#[derive(Clone, Debug, Serialize)]
pub struct ModelConfig<'a> {
    /// The model's name.
    pub name: &'a str,
    /// What runs the model.
    pub platform: &'a str,
    /// The same by Triton's newer name.
    pub backend: &'a str,
    /// Most rows of a batch; 0 for a model whose first dimension is not a batch of rows.
    pub max_batch_size: usize,
    /// What it takes.
    pub input: Vec<ConfigTensor<'a>>,
    /// What it gives.
    pub output: Vec<ConfigTensor<'a>>,
    /// Present where requests are batched, which they are as they come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_batching: Option<DynamicBatching>,
    /// One reply a request.
    pub model_transaction_policy: TransactionPolicy,
    /// Replies are not cached.
    pub response_cache: ResponseCache,
}

/// One input or output in Triton's model configuration.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigTensor<'a> {
    /// Its name.
    pub name: &'a str,
    /// `TYPE_` and the datatype; BYTES is `TYPE_STRING` there.
    pub data_type: String,
    /// The extents, without the batch where there is one.
    pub dims: &'a [i64],
}

/// How requests are batched: there is no delay to state, an idle model starts at once.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct DynamicBatching {
    /// Always 0.
    pub max_queue_delay_microseconds: u64,
}

/// Whether a request may get many replies.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct TransactionPolicy {
    /// Always false.
    pub decoupled: bool,
}

/// Whether replies are cached.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ResponseCache {
    /// Always false.
    pub enable: bool,
}

impl<'a> ModelConfig<'a> {
    /// The configuration of a model; `max_batch_size` is 0 for one that is not batched.
    #[must_use]
    pub fn new(
        name: &'a str,
        max_batch_size: usize,
        inputs: &'a [TensorInfo],
        outputs: &'a [TensorInfo],
    ) -> Self {
        let tensor = |info| ConfigTensor::new(info, max_batch_size > 0);
        Self {
            name,
            platform: PLATFORM,
            backend: "onnxruntime",
            max_batch_size,
            input: inputs.iter().map(tensor).collect(),
            output: outputs.iter().map(tensor).collect(),
            dynamic_batching: (max_batch_size > 0).then(DynamicBatching::default),
            model_transaction_policy: TransactionPolicy::default(),
            response_cache: ResponseCache::default(),
        }
    }
}

/// The platform of models that ONNX Runtime runs, as Triton names it.
pub const PLATFORM: &str = "onnxruntime_onnx";

impl<'a> ConfigTensor<'a> {
    fn new(info: &'a TensorInfo, batched: bool) -> Self {
        let name = match info.datatype {
            Datatype::Bytes => "STRING",
            other => other.name(),
        };
        Self {
            name: &info.name,
            data_type: format!("TYPE_{name}"),
            dims: info.shape.get(usize::from(batched)..).unwrap_or(&[]),
        }
    }
}

/// The datatype under which a column is announced; others that convert without loss are taken.
#[must_use]
pub const fn datatype_of(dtype: DType) -> Datatype {
    match dtype {
        DType::Bool => Datatype::Bool,
        DType::Int64 | DType::Timestamp | DType::Date | DType::Duration => Datatype::Int64,
        DType::Float64 | DType::NumberList => Datatype::Fp64,
        DType::String | DType::TextList => Datatype::Bytes,
    }
}

/// The inputs of a model with a feature set: one of shape `[n, 1]` for each raw column.
#[must_use]
pub fn signature(schema: &Schema) -> Vec<TensorInfo> {
    let column = |field: &tidegate_schema::Field| TensorInfo {
        name: field.name.clone(),
        datatype: datatype_of(field.dtype),
        // Rows of a list differ in length, which no tensor holds: such a request is refused.
        shape: vec![-1, if field.dtype.is_list() { -1 } else { 1 }],
    };
    schema.fields().iter().map(column).collect()
}

/// Any of these bodies as JSON.
#[must_use]
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // These types are structs of texts, numbers and lists: they always serialise.
    serde_json::to_vec(value).unwrap_or_default()
}
