//! `POST /v1/models/{model}:predict`: rows of named values, for people.

use http::StatusCode;
use tidegate_protocol::Limits;
use tidegate_protocol::predict::{Predictions, encode};
use tidegate_protocol::rows::{self, Extra};
use tidegate_runtime::{Answer, CallOptions, Input, Model};
use tidegate_schema::{Error, Result};

use crate::exchange::{Exchange, exchange};
use crate::reply::{JSON, Reply, typed};
use crate::routes::query_value;
use crate::service::{Call, Service};

/// Answers a request of rows. `?extra=ignore` passes over keys that no column has.
pub async fn answer(service: &Service, call: Call<'_>) -> Result<Reply> {
    exchange::<Rows>(service, call).await
}

struct Rows;

impl Exchange for Rows {
    type Head = Extra;
    type Wanted = ();

    fn head(call: &Call<'_>) -> Result<Extra> {
        match query_value(call.query, "extra").as_deref() {
            None | Some("forbid") => Ok(Extra::Refuse),
            Some("ignore") => Ok(Extra::Ignore),
            Some(other) => Err(Error::invalid(format!(
                "extra is {other:?}: use ignore, or leave it out to refuse unknown keys"
            ))),
        }
    }

    fn read(
        model: &Model,
        extra: Extra,
        body: &[u8],
        limits: &Limits,
    ) -> Result<(Input, CallOptions, ())> {
        let Some(schema) = model.schema() else {
            return Err(Error::invalid(format!(
                "model {:?} has no feature set, so it takes tensors and not rows: use POST /v2/models/{}/infer",
                model.name(),
                model.name()
            )));
        };
        let table = rows::decode(body, schema, extra, limits)?;
        Ok((Input::Table(table), CallOptions::default(), ()))
    }

    fn write(name: &str, (): &(), answer: &Answer) -> Result<Reply> {
        let body = encode(&Predictions {
            model_name: name,
            model_version: answer.model.version(),
            revision: answer.revision,
            prediction_id: &answer.prediction_id,
            outputs: &answer.outputs,
        })?;
        Ok(typed(StatusCode::OK, JSON, body))
    }
}
