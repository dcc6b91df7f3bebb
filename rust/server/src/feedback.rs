//! What predictions came to: `POST …:feedback` and `GET …/quality`.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use tidegate_protocol::feedback;
use tidegate_runtime::feedback::Received;
use tidegate_schema::Result;

use crate::call::Call;
use crate::drift::blocking;
use crate::exchange::heavy;
use crate::predict::Form;
use crate::reply::{Reply, value};
use crate::service::Service;

/// Takes in labels and named numbers, as JSON or as an Arrow IPC stream. On a thread of its own:
/// a hundred thousand labels are a tenth of a second.
pub async fn take(service: &Service, call: Call<'_>) -> Result<Reply> {
    let model = call.model(service)?;
    let form = Form::of(call.headers, CONTENT_TYPE);
    let (limits, body) = (service.shared.protocol.clone(), call.body);
    heavy(service, move || {
        let received = match form {
            Form::Json => model.feedback(&feedback::decode(&body, &limits)?)?,
            Form::Arrow => {
                let mut received = Received::default();
                feedback::decode_arrow(&body, &limits, |schema, table| {
                    received.merge(model.feedback(&feedback::entries(schema, table)?)?);
                    Ok(())
                })?;
                received
            }
        };
        Ok(value(StatusCode::OK, &received))
    })
    .await
}

/// The quality of all versions of the model.
pub async fn quality(service: &Service, call: &Call<'_>) -> Result<Reply> {
    let model = call.model(service)?;
    blocking(move || Ok(value(StatusCode::OK, &model.quality()?))).await
}
