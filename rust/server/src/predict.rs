//! `POST /v1/models/{model}:predict`: rows of named values, as JSON for people or as an Arrow IPC
//! stream for large batches.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, StatusCode};
use tidegate_protocol::predict::{Predictions, encode};
use tidegate_protocol::rows::{self, Extra};
use tidegate_protocol::{Limits, arrow};
use tidegate_runtime::{Answer, CallOptions, Input, Model};
use tidegate_schema::{Error, Result, Schema};

use crate::call::Call;
use crate::exchange::{Exchange, exchange};
use crate::reply::{ARROW, JSON, Reply, typed};
use crate::routes::query_value;
use crate::service::Service;

/// Answers a request of rows. `?extra=ignore` passes over keys that no column has.
pub async fn answer(service: &Service, call: Call<'_>) -> Result<Reply> {
    exchange::<Rows>(service, call).await
}

/// How rows stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As JSON.
    Json,
    /// As an Arrow IPC stream.
    Arrow,
}

impl Form {
    /// Arrow where the header names its type, JSON in every other case: `curl` sends a form's
    /// type, many clients none.
    pub fn of(headers: &HeaderMap, name: HeaderName) -> Self {
        let named = headers.get_all(name).iter().any(|value| {
            let kinds = value.to_str().unwrap_or_default().split(',');
            kinds
                .map(|kind| kind.split(';').next().unwrap_or_default().trim())
                .any(|kind| kind.eq_ignore_ascii_case(arrow::MEDIA_TYPE))
        });
        if named { Self::Arrow } else { Self::Json }
    }
}

/// What the head of a request says of its rows.
pub struct Head {
    extra: Extra,
    sent: Form,
    wanted: Form,
}

/// Rows of named values.
pub struct Rows;

impl Rows {
    /// The raw columns of a model.
    ///
    /// # Errors
    /// `InvalidInput` for a model without a feature set, which takes tensors.
    pub fn check(model: &Model) -> Result<&Schema> {
        model.schema().ok_or_else(|| {
            Error::invalid(format!(
                "model {:?} has no feature set, so it takes tensors and not rows: use POST /v2/models/{}/infer",
                model.name(),
                model.name()
            ))
        })
    }
}

/// What the query says of keys that no column has.
pub fn extra(query: Option<&str>) -> Result<Extra> {
    match query_value(query, "extra").as_deref() {
        None | Some("forbid") => Ok(Extra::Refuse),
        Some("ignore") => Ok(Extra::Ignore),
        Some(other) => Err(Error::invalid(format!(
            "extra is {other:?}: use ignore, or leave it out to refuse unknown keys"
        ))),
    }
}

impl Exchange for Rows {
    type Head = Head;
    type Wanted = Form;

    fn head(call: &Call<'_>) -> Result<Head> {
        Ok(Head {
            extra: extra(call.query)?,
            sent: Form::of(call.headers, CONTENT_TYPE),
            wanted: Form::of(call.headers, ACCEPT),
        })
    }

    fn read(
        model: &Model,
        head: Head,
        body: &[u8],
        limits: &Limits,
    ) -> Result<(Input, CallOptions, Form)> {
        let schema = Self::check(model)?;
        let table = match head.sent {
            Form::Json => rows::decode(body, schema, head.extra, limits)?,
            Form::Arrow => arrow::decode(body, schema, head.extra, limits)?,
        };
        Ok((Input::Table(table), CallOptions::default(), head.wanted))
    }

    fn write(name: &str, wanted: &Form, answer: &Answer) -> Result<Reply> {
        if *wanted == Form::Arrow {
            let (schema, table) = answer.columns()?;
            let version = answer.model.version().to_owned();
            let mut metadata = vec![
                ("model_name", name.to_owned()),
                ("model_version", version.clone()),
                ("revision", answer.revision().to_string()),
                ("prediction_id", answer.prediction_id.text()),
            ];
            if let Some(experiment) = answer.experiment() {
                metadata.extend([("experiment", experiment.to_owned()), ("arm", version)]);
            }
            let body = arrow::encode(&table, &schema, &metadata)?;
            return Ok(typed(StatusCode::OK, ARROW, body));
        }
        let body = encode(&Predictions {
            model_name: name,
            model_version: answer.model.version(),
            revision: answer.revision(),
            experiment: answer.experiment(),
            prediction_id: &answer.prediction_id.text(),
            outputs: &answer.outputs,
        })?;
        Ok(typed(StatusCode::OK, JSON, body))
    }
}
