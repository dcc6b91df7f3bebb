//! What requests do, and which role that takes: one table for the data plane and the control plane.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use super::role::Role;
use crate::grpc::Method as GrpcMethod;
use crate::routes::{Route, Target, query_value};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something that anybody may do: probes.
    Open,
    /// Something that anybody may do who is known: documents that say nothing of a model.
    Known,
    /// Something that takes a role.
    Needs(Role),
}

impl Action {
    /// What it is called in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open | Self::Known => "ask",
            Self::Needs(Role::Viewer) => "view",
            Self::Needs(Role::Predictor) => "predict",
            Self::Needs(Role::Operator) => "operate",
            Self::Needs(Role::Admin) => "administer",
        }
    }
}

/// An action, and the model that it is on; `None` for the whole server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What is done.
    pub action: Action,
    /// With which model.
    pub model: Option<Cow<'a, str>>,
}

/// What a route of the data plane does.
#[must_use]
pub const fn of_route(route: Route) -> Action {
    match route {
        Route::Live | Route::Ready => Action::Open,
        Route::Server | Route::Echo => Action::Known,
        Route::Models
        | Route::Statistics
        | Route::Model
        | Route::ModelReady
        | Route::ModelConfig
        | Route::ModelStatistics
        | Route::Index
        | Route::Logging
        | Route::RowModels
        | Route::RowModel
        | Route::Drift
        | Route::Quality
        | Route::Metrics => Action::Needs(Role::Viewer),
        // Whoever may ask for predictions may say how they came out.
        Route::Infer | Route::Predict | Route::Feedback => Action::Needs(Role::Predictor),
        Route::CloseDrift => Action::Needs(Role::Operator),
        Route::ChangeLogging => Action::Needs(Role::Admin),
    }
}

/// What a method of gRPC does: the same as the route of HTTP that answers the same.
#[must_use]
pub(crate) const fn of_method(method: GrpcMethod) -> Action {
    match method {
        GrpcMethod::ServerLive | GrpcMethod::HealthCheck | GrpcMethod::HealthWatch => {
            of_route(Route::Live)
        }
        GrpcMethod::ServerReady => of_route(Route::Ready),
        GrpcMethod::ServerMetadata => of_route(Route::Server),
        GrpcMethod::ModelReady => of_route(Route::ModelReady),
        GrpcMethod::ModelMetadata => of_route(Route::Model),
        GrpcMethod::ModelConfig => of_route(Route::ModelConfig),
        GrpcMethod::ModelStatistics => of_route(Route::ModelStatistics),
        GrpcMethod::RepositoryIndex => of_route(Route::Index),
        // To change settings more is asked for, once it is known that some are to change.
        GrpcMethod::LogSettings => of_route(Route::Logging),
        GrpcMethod::ModelInfer | GrpcMethod::ModelStreamInfer => of_route(Route::Infer),
        // Passed to the control plane: `of_control` says more when the model is known.
        GrpcMethod::RepositoryModelLoad | GrpcMethod::RepositoryModelUnload => {
            Action::Needs(Role::Operator)
        }
    }
}

impl<'a> Asked<'a> {
    /// What a request for a route of the data plane does.
    #[must_use]
    pub fn here(route: Route, target: Option<&'a Target<'a>>) -> Self {
        Self {
            action: of_route(route),
            model: target.map(|target| Cow::Borrowed(&*target.model)),
        }
    }

    /// What concerns the whole server.
    #[must_use]
    pub const fn server(action: Action) -> Self {
        Self {
            action,
            model: None,
        }
    }
}

/// Pages that say nothing of a model.
const DOCUMENTS: [&str; 2] = ["/docs", "/openapi.json"];

/// What operators do about alerts: silences, tests of channels, acknowledgements, notes.
const ALERTING: [&str; 2] = ["/v1/alerts/", "/v1/incidents/"];

/// The deployment that a path is about the rollout of: `/v1/deployments/{name}/rollout…` or
/// `/v1/deployments/{name}/rollback`.
fn rolled(path: &str) -> Option<&str> {
    let (name, rest) = path.strip_prefix("/v1/deployments/")?.split_once('/')?;
    let verb = rest.split('/').next()?;
    (!name.is_empty() && (verb == "rollout" || rest == "rollback")).then_some(name)
}

/// What a request does that is passed to the control plane. Reading takes a viewer; what is not
/// listed and changes something takes an admin.
#[must_use]
pub fn of_control(method: &Method, path: &str, query: Option<&str>) -> Asked<'static> {
    // The control plane decodes the whole path before it looks at it, and so must this.
    let path = percent_decode_str(path).decode_utf8_lossy();
    let on = |role, model: &str| Asked {
        action: Action::Needs(role),
        model: Some(Cow::Owned(model.to_owned())),
    };
    let reads = method == Method::GET || method == Method::HEAD;
    if let Some(deployment) = rolled(&path)
        && (reads || method == Method::POST)
    {
        let role = if reads { Role::Viewer } else { Role::Operator };
        return on(role, deployment);
    }
    if reads {
        if DOCUMENTS.contains(&&*path) {
            return Asked::server(Action::Known);
        }
        if path == "/ui"
            && let Some(model) = query_value(query, "model")
        {
            return on(Role::Viewer, &model);
        }
        return Asked::server(Action::Needs(Role::Viewer));
    }
    if ALERTING.iter().any(|below| path.starts_with(below)) {
        return Asked::server(Action::Needs(Role::Operator));
    }
    let repository = path
        .strip_prefix("/v2/repository/models/")
        .filter(|_| method == Method::POST)
        .and_then(|rest| {
            rest.strip_suffix("/load")
                .or_else(|| rest.strip_suffix("/unload"))
        });
    match repository {
        Some(model) if !model.is_empty() => on(Role::Operator, model),
        _ => Asked::server(Action::Needs(Role::Admin)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::METHODS;
    use crate::routes::TABLE;

    #[test]
    fn what_changes_something_takes_more_than_a_viewer() {
        for entry in TABLE {
            let action = of_route(entry.route);
            if entry.path.contains("{model}") {
                assert!(matches!(action, Action::Needs(_)), "{entry:?}");
            }
        }
        assert_eq!(of_route(Route::CloseDrift), Action::Needs(Role::Operator));
        assert_eq!(of_route(Route::ChangeLogging), Action::Needs(Role::Admin));
    }

    #[test]
    fn over_grpc_only_probes_are_open() {
        for (method, path) in METHODS {
            let probe = path.contains("Health") || path.contains("/Server");
            let known = method == GrpcMethod::ServerMetadata;
            match of_method(method) {
                Action::Open => assert!(probe && !known, "{path}"),
                Action::Known => assert!(known, "{path}"),
                Action::Needs(role) => {
                    assert!(!probe, "{path}");
                    let least = match path.rsplit_once('/').unwrap().1 {
                        "ModelInfer" | "ModelStreamInfer" => Role::Predictor,
                        "RepositoryModelLoad" | "RepositoryModelUnload" => Role::Operator,
                        _ => Role::Viewer,
                    };
                    assert_eq!(role, least, "{path}");
                }
            }
        }
    }

    #[test]
    fn the_control_planes_routes_have_their_actions() {
        let ask = |method: Method, path: &str, query| of_control(&method, path, query);
        let on = |role, model: Option<&'static str>| Asked {
            action: Action::Needs(role),
            model: model.map(Cow::Borrowed),
        };
        assert_eq!(ask(Method::GET, "/docs", None).action, Action::Known);
        assert_eq!(ask(Method::GET, "/", None), on(Role::Viewer, None));
        assert_eq!(
            ask(Method::GET, "/v1/registry", None),
            on(Role::Viewer, None)
        );
        assert_eq!(ask(Method::GET, "/ui", None), on(Role::Viewer, None));
        assert_eq!(
            ask(Method::GET, "/ui", Some("model=a%20b")),
            on(Role::Viewer, Some("a b"))
        );
        for path in [
            "/v2/repository/models/team%2Fm/load",
            "/v2/repository/models/team/m/unload",
        ] {
            assert_eq!(
                ask(Method::POST, path, None),
                on(Role::Operator, Some("team/m"))
            );
        }
        for path in [
            "/v1/alerts/silences",
            "/v1/incidents/20260101-000000-abcdef/ack",
        ] {
            assert_eq!(ask(Method::POST, path, None), on(Role::Operator, None));
            assert_eq!(ask(Method::DELETE, path, None), on(Role::Operator, None));
            assert_eq!(ask(Method::GET, path, None), on(Role::Viewer, None));
        }
        for path in [
            "/v1/deployments/team%20m/rollout",
            "/v1/deployments/team%20m/rollout/start",
            "/v1/deployments/team%20m/rollback",
        ] {
            assert_eq!(
                ask(Method::POST, path, None),
                on(Role::Operator, Some("team m"))
            );
            assert_eq!(
                ask(Method::GET, path, None),
                on(Role::Viewer, Some("team m"))
            );
            assert_eq!(ask(Method::DELETE, path, None), on(Role::Admin, None));
        }
        for path in [
            "/v1/deployments//rollout/start",
            "/v1/deployments/m",
            "/v1/deployments/m/rollouts",
            "/v1/deployments/m/rollback/now",
            "/v2/repository/models//load",
            "/v2/repository/models/m",
            "/anything",
        ] {
            assert_eq!(
                ask(Method::POST, path, None),
                on(Role::Admin, None),
                "{path}"
            );
        }
        let delete = ask(Method::DELETE, "/v2/repository/models/m/load", None);
        assert_eq!(delete, on(Role::Admin, None));
    }
}
