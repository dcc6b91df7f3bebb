//! The table of routes: what the data plane answers itself. Everything else is the control plane's.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;
use tidegate_schema::{Error, Result};

/// What a request asks for. The order is that of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Route {
    Server,
    Live,
    Ready,
    Models,
    Statistics,
    Model,
    ModelReady,
    ModelConfig,
    ModelStatistics,
    Infer,
    Index,
    Logging,
    ChangeLogging,
    RowModels,
    RowModel,
    Predict,
    Drift,
    CloseDrift,
    Feedback,
    Quality,
    Metrics,
    Echo,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it asks for.
    pub route: Route,
    /// The method; `HEAD` goes wherever `GET` goes.
    pub method: &'static str,
    /// The path as OpenAPI writes it. A model's path may go on with `/versions/{version}`.
    pub path: &'static str,
    /// The name in metrics.
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
}

macro_rules! table {
    ($($route:ident $method:literal $path:literal $name:literal $summary:literal;)*) => {
        /// Every route of the data plane.
        pub const TABLE: &[Entry] = &[$(Entry {
            route: Route::$route,
            method: $method,
            path: $path,
            name: $name,
            summary: $summary,
        }),*];
    };
}

table! {
    Server "GET" "/v2" "server_metadata" "Name, version and extensions of the server.";
    Live "GET" "/v2/health/live" "live" "Is the process alive?";
    Ready "GET" "/v2/health/ready" "ready" "May traffic be sent here?";
    Models "GET" "/v2/models" "models" "The names of the deployed models.";
    Statistics "GET" "/v2/models/stats" "statistics" "Statistics of all models.";
    Model "GET" "/v2/models/{model}" "model_metadata" "Inputs and outputs of a model.";
    ModelReady "GET" "/v2/models/{model}/ready" "model_ready" "Is the model ready?";
    ModelConfig "GET" "/v2/models/{model}/config" "model_config" "The model's configuration.";
    ModelStatistics "GET" "/v2/models/{model}/stats" "model_statistics" "Statistics of a model.";
    Infer "POST" "/v2/models/{model}/infer" "infer" "Inference over tensors, as JSON or binary.";
    Index "POST" "/v2/repository/index" "repository_index" "The deployed models and their states.";
    Logging "GET" "/v2/logging" "log_settings" "The settings of the server's log.";
    ChangeLogging "POST" "/v2/logging" "log_settings_change" "Changes settings of the server's log.";
    RowModels "GET" "/v1/models" "row_models" "The names of the deployed models.";
    RowModel "GET" "/v1/models/{model}" "row_model" "The columns of a model, and whether it is ready.";
    Predict "POST" "/v1/models/{model}:predict" "predict" "Predictions for rows of named values.";
    Drift "GET" "/v1/models/{model}/drift" "drift" "Live windows compared with the baseline.";
    CloseDrift "POST" "/v1/models/{model}/drift:close" "drift_close" "Closes the open window.";
    Feedback "POST" "/v1/models/{model}:feedback" "feedback" "Labels and named numbers of predictions, by their ids.";
    Quality "GET" "/v1/models/{model}/quality" "quality" "The quality of all versions, by labels and estimated.";
    Metrics "GET" "/metrics" "metrics" "Metrics in the Prometheus text format.";
    Echo "POST" "/v2/echo" "echo" "A fixed answer: what benchmarks call the floor.";
}

impl Route {
    /// Its line of the table.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        // The table is in the order of the variants, which a test walks.
        &TABLE[self as usize]
    }
}

/// The model that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The model's name, decoded.
    pub model: Cow<'a, str>,
    /// The version or alias, decoded; `None` asks for what is deployed.
    pub version: Option<Cow<'a, str>>,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// To the data plane. The target is `None` for routes of the whole server.
    Here(Route, Option<Target<'a>>),
    /// A path of the data plane that has another method only.
    WrongMethod(&'static str),
    /// To the control plane.
    Control,
}

/// Finds the route of a request. A trailing slash is ignored. The name of a model may hold
/// slashes, which clients leave alone, so a path is read from its end.
pub fn find<'a>(method: &Method, path: &'a str) -> Result<Found<'a>> {
    let path = match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => shorter,
        _ => path,
    };
    let Some((route, target)) = locate(path) else {
        return Ok(Found::Control);
    };
    let used = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    let route = match (route, used) {
        // The one path with two methods.
        (Route::Logging, "POST") => Route::ChangeLogging,
        (Route::Logging, other) if other != "GET" => return Ok(Found::WrongMethod("GET, POST")),
        (route, used) if used != route.entry().method => {
            return Ok(Found::WrongMethod(route.entry().method));
        }
        (route, _) => route,
    };
    let target = target.map(target_of).transpose()?;
    Ok(Found::Here(route, target))
}

/// The name of a request's route in logs.
pub fn name(method: &Method, path: &str) -> &'static str {
    match find(method, path) {
        Ok(Found::Here(route, _)) => route.entry().name,
        Ok(Found::Control) => "control",
        Ok(Found::WrongMethod(_)) | Err(_) => "none",
    }
}

/// The path of a request's route as the table writes it; `None` for what the table does not know.
pub fn template(method: &Method, path: &str) -> Option<&'static str> {
    match find(method, path) {
        Ok(Found::Here(route, _)) => Some(route.entry().path),
        _ => None,
    }
}

/// The route of a path and the part that names a model.
fn locate(path: &str) -> Option<(Route, Option<&str>)> {
    if let Some(rest) = path.strip_prefix("/v2") {
        return locate_v2(rest);
    }
    if let Some(rest) = path.strip_prefix("/v1/models") {
        return locate_v1(rest);
    }
    (path == "/metrics").then_some((Route::Metrics, None))
}

fn locate_v2(rest: &str) -> Option<(Route, Option<&str>)> {
    let plain = |route| Some((route, None));
    match rest {
        "" => return plain(Route::Server),
        "/health/live" => return plain(Route::Live),
        "/health/ready" => return plain(Route::Ready),
        "/models" => return plain(Route::Models),
        "/models/stats" => return plain(Route::Statistics),
        "/repository/index" => return plain(Route::Index),
        "/logging" => return plain(Route::Logging),
        "/echo" => return plain(Route::Echo),
        _ => {}
    }
    let rest = rest.strip_prefix("/models/")?;
    let (target, action) = rest.rsplit_once('/').unwrap_or((rest, ""));
    let route = match action {
        "infer" => Route::Infer,
        "ready" => Route::ModelReady,
        "config" => Route::ModelConfig,
        "stats" => Route::ModelStatistics,
        // Other services' routes below a model: the control plane says what they are.
        "generate" | "generate_stream" => return None,
        _ if rest.ends_with("/trace/setting") => return None,
        _ => return (!rest.is_empty()).then_some((Route::Model, Some(rest))),
    };
    (!target.is_empty()).then_some((route, Some(target)))
}

fn locate_v1(rest: &str) -> Option<(Route, Option<&str>)> {
    if rest.is_empty() {
        return Some((Route::RowModels, None));
    }
    let rest = rest.strip_prefix('/')?;
    for (suffix, route) in [
        (":predict", Route::Predict),
        ("/drift", Route::Drift),
        ("/drift:close", Route::CloseDrift),
        (":feedback", Route::Feedback),
        ("/quality", Route::Quality),
    ] {
        if let Some(target) = rest.strip_suffix(suffix) {
            return (!target.is_empty()).then_some((route, Some(target)));
        }
    }
    // What comes after a colon or a further slash is an action of the control plane's.
    let (name, version) = rest.rsplit_once("/versions/").unwrap_or((rest, "any"));
    let plain = |part: &str| !part.is_empty() && !part.contains([':', '/']);
    (plain(name) && plain(version)).then_some((Route::RowModel, Some(rest)))
}

fn target_of(path: &str) -> Result<Target<'_>> {
    // Most names have no slash, and looking for one is cheaper than looking for a word.
    let versioned = path.contains('/').then(|| path.rsplit_once("/versions/"));
    let (model, version) = match versioned.flatten() {
        Some((model, version)) => (model, Some(version)),
        None => (path, None),
    };
    Ok(Target {
        model: decoded(model)?,
        version: version.map(decoded).transpose()?,
    })
}

fn decoded(part: &str) -> Result<Cow<'_, str>> {
    percent_decode_str(part).decode_utf8().map_err(|_| {
        Error::invalid(format!(
            "the path holds {part:?}, which is not UTF-8 once decoded: percent-encode the UTF-8 bytes of the name"
        ))
    })
}

/// The value of a key in a query, decoded; the first one counts, and `+` is a space.
#[must_use]
pub fn query_value(query: Option<&str>, key: &str) -> Option<String> {
    query?.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == key).then(|| {
            let value = value.replace('+', " ");
            percent_decode_str(&value).decode_utf8_lossy().into_owned()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(method: &str, path: &str) -> (Route, Option<(String, Option<String>)>) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        match find(&method, path).unwrap() {
            Found::Here(route, target) => (
                route,
                target.map(|t| (t.model.into_owned(), t.version.map(Cow::into_owned))),
            ),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn every_line_of_the_table_is_found() {
        for (position, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.route as usize, position, "{entry:?}");
            let path = entry.path.replace("{model}", "flight-delay");
            let (route, target) = here(entry.method, &path);
            assert_eq!(route, entry.route, "{path}");
            assert_eq!(target.is_some(), entry.path.contains("{model}"), "{path}");
            assert_eq!(here(entry.method, &format!("{path}/")).0, entry.route);
            let allowed = match path.as_str() {
                "/v2/logging" => "GET, POST",
                _ => entry.method,
            };
            for other in [Method::GET, Method::POST, Method::DELETE] {
                if !allowed.contains(other.as_str()) {
                    let found = find(&other, &path).unwrap();
                    assert_eq!(found, Found::WrongMethod(allowed));
                }
            }
        }
    }

    #[test]
    fn names_are_decoded_and_may_hold_slashes() {
        let target = |path| here("POST", path).1.unwrap();
        assert_eq!(
            target("/v2/models/team/fl%C3%BCge%20x/versions/1.0.0%2Ba/infer"),
            ("team/flüge x".to_owned(), Some("1.0.0+a".to_owned()))
        );
        assert_eq!(
            target("/v1/models/flight/versions/champion:predict"),
            ("flight".to_owned(), Some("champion".to_owned()))
        );
        let (route, target) = here("GET", "/v1/models/flight/versions/2.0.0");
        assert_eq!(route, Route::RowModel);
        assert_eq!(target.unwrap().1.as_deref(), Some("2.0.0"));
        assert!(find(&Method::POST, "/v2/models/%ff/infer").is_err());
    }

    #[test]
    fn the_rest_is_the_control_planes() {
        for path in [
            "/",
            "/docs",
            "/v2x",
            "/v2/repository/models/m/load",
            "/v2/models/m/trace/setting",
            "/v2/models/m/generate",
            "/v2/models//infer",
            "/v1/models/m:explain",
            "/v1/models/m/rollout",
            "/v1/modelsx",
            "/v1/deployments",
        ] {
            assert_eq!(find(&Method::GET, path).unwrap(), Found::Control, "{path}");
        }
    }

    #[test]
    fn head_goes_where_get_goes() {
        assert_eq!(here("HEAD", "/v2/health/live").0, Route::Live);
    }

    #[test]
    fn queries_are_decoded() {
        let query = Some("a=1&label=2013-07+x%2Fy&label=z");
        assert_eq!(query_value(query, "label").unwrap(), "2013-07 x/y");
        assert_eq!(query_value(query, "b"), None);
        assert_eq!(query_value(None, "label"), None);
    }
}
