//! `LogSettings`: what `/v2/logging` is over HTTP.

use bytes::Bytes;
use hyper::body::Incoming;
use serde_json::{Map, Value};
use tidegate_protocol::grpc::messages::log_settings_request::setting_value::ParameterChoice as Asked;
use tidegate_protocol::grpc::messages::log_settings_response::SettingValue;
use tidegate_protocol::grpc::messages::log_settings_response::setting_value::ParameterChoice;
use tidegate_protocol::grpc::messages::{LogSettingsRequest, LogSettingsResponse};
use tidegate_schema::Result;

use super::call::Call;
use super::reply;
use crate::access;
use crate::routes::Route;

/// Changes the settings that are named, and tells all of them.
pub async fn answer(call: &Call, body: Incoming) -> Result<Bytes> {
    let request: LogSettingsRequest = call.read(body).await?;
    let log = &call.service.shared.log;
    if request.settings.is_empty() {
        call.admit(None)?;
    } else {
        call.admit_as(&access::Asked::here(Route::ChangeLogging, None))?;
        let wanted = request.settings.into_iter();
        let wanted = wanted.map(|(name, value)| (name, asked(value.parameter_choice)));
        log.change(&wanted.collect::<Map<_, _>>())?;
    }
    let settings = log.settings();
    let settings = settings.as_object().into_iter().flatten();
    reply::message(&LogSettingsResponse {
        settings: settings
            .map(|(name, value)| {
                let parameter_choice = Some(told(value));
                (name.clone(), SettingValue { parameter_choice })
            })
            .collect(),
    })
}

fn asked(choice: Option<Asked>) -> Value {
    match choice {
        None => Value::Null,
        Some(Asked::BoolParam(value)) => value.into(),
        Some(Asked::Uint32Param(value)) => value.into(),
        Some(Asked::StringParam(value)) => value.into(),
    }
}

fn told(value: &Value) -> ParameterChoice {
    match value {
        Value::Bool(value) => ParameterChoice::BoolParam(*value),
        Value::String(text) => ParameterChoice::StringParam(text.clone()),
        // Levels, which are read as 32 bits.
        other => {
            let level = other.as_u64().and_then(|level| u32::try_from(level).ok());
            ParameterChoice::Uint32Param(level.unwrap_or_default())
        }
    }
}
