//! The cheapest possible route: nothing is parsed, a fixed body is answered. Benchmarks call what
//! it costs the floor of this server.

use bytes::Bytes;

use crate::reply::{Reply, json};

/// As long as the answer to one row.
const BODY: &[u8] =
    br#"{"model_name":"echo","model_version":"1","outputs":[{"name":"label","datatype":"INT64","shape":[1],"data":[0]},{"name":"probabilities","datatype":"FP32","shape":[1,2],"data":[0.75,0.25]}]}"#;

/// The fixed answer.
pub fn answer() -> Reply {
    json(Bytes::from_static(BODY))
}
