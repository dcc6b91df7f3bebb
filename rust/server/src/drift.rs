//! What the windows of watched rows say: `GET …/drift` and `POST …/drift:close`.

use http::StatusCode;
use serde_json::json;
use tidegate_schema::{Error, Result};

use crate::call::Call;
use crate::reply::{Reply, value};
use crate::routes::query_value;
use crate::service::Service;

/// Longest label of a window.
const LONGEST_LABEL: usize = 200;

/// The model's windows compared with its baseline, of one segment with `?segment=…`. Made on a thread of its own: a report counts
/// every cell of every column.
pub async fn report(service: &Service, call: &Call<'_>) -> Result<Reply> {
    let model = call.model(service)?;
    let segment = query_value(call.query, "segment");
    blocking(move || {
        let report = model.drift_report(segment.as_deref())?;
        Ok(value(StatusCode::OK, &report))
    })
    .await
}

/// Closes the open window, with `?label=…` if the caller names it. `closed` is false when the
/// window had no rows, and then it stays open.
pub async fn close(service: &Service, call: &Call<'_>) -> Result<Reply> {
    let model = call.model(service)?;
    let label = query_value(call.query, "label").filter(|label| !label.is_empty());
    if let Some(label) = &label
        && label.chars().count() > LONGEST_LABEL
    {
        return Err(Error::invalid(format!(
            "the label has {} characters, above the limit of {LONGEST_LABEL}: choose a shorter one",
            label.chars().count()
        )));
    }
    blocking(move || {
        let closed = model.close_window(label.as_deref())?;
        Ok(value(
            StatusCode::OK,
            &json!({ "closed": closed, "label": label }),
        ))
    })
    .await
}

/// Does what takes longer than a turn of the event loop on a thread of its own.
pub async fn blocking(work: impl FnOnce() -> Result<Reply> + Send + 'static) -> Result<Reply> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::internal(format!("the report failed: {error}"))))
}
