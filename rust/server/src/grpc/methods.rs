//! The table of methods.

/// What a gRPC request asks for. The order is that of [`METHODS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    ServerLive,
    ServerReady,
    ModelReady,
    ServerMetadata,
    ModelMetadata,
    ModelInfer,
    ModelStreamInfer,
    ModelConfig,
    ModelStatistics,
    RepositoryIndex,
    RepositoryModelLoad,
    RepositoryModelUnload,
    LogSettings,
    HealthCheck,
    HealthWatch,
}

/// The service of inference.
pub const INFERENCE: &str = "inference.GRPCInferenceService";

/// Every method with its path.
pub const METHODS: [(Method, &str); 15] = [
    (
        Method::ServerLive,
        "/inference.GRPCInferenceService/ServerLive",
    ),
    (
        Method::ServerReady,
        "/inference.GRPCInferenceService/ServerReady",
    ),
    (
        Method::ModelReady,
        "/inference.GRPCInferenceService/ModelReady",
    ),
    (
        Method::ServerMetadata,
        "/inference.GRPCInferenceService/ServerMetadata",
    ),
    (
        Method::ModelMetadata,
        "/inference.GRPCInferenceService/ModelMetadata",
    ),
    (
        Method::ModelInfer,
        "/inference.GRPCInferenceService/ModelInfer",
    ),
    (
        Method::ModelStreamInfer,
        "/inference.GRPCInferenceService/ModelStreamInfer",
    ),
    (
        Method::ModelConfig,
        "/inference.GRPCInferenceService/ModelConfig",
    ),
    (
        Method::ModelStatistics,
        "/inference.GRPCInferenceService/ModelStatistics",
    ),
    (
        Method::RepositoryIndex,
        "/inference.GRPCInferenceService/RepositoryIndex",
    ),
    (
        Method::RepositoryModelLoad,
        "/inference.GRPCInferenceService/RepositoryModelLoad",
    ),
    (
        Method::RepositoryModelUnload,
        "/inference.GRPCInferenceService/RepositoryModelUnload",
    ),
    (
        Method::LogSettings,
        "/inference.GRPCInferenceService/LogSettings",
    ),
    (Method::HealthCheck, "/grpc.health.v1.Health/Check"),
    (Method::HealthWatch, "/grpc.health.v1.Health/Watch"),
];

impl Method {
    /// The method of a path.
    pub fn find(path: &str) -> Option<Self> {
        // Nearly all requests are for inference.
        if path == Self::ModelInfer.path() {
            return Some(Self::ModelInfer);
        }
        let found = METHODS.iter().find(|(_, known)| *known == path);
        found.map(|(method, _)| *method)
    }

    /// Its path.
    pub const fn path(self) -> &'static str {
        METHODS[self as usize].1
    }

    /// Its name in metrics: the path without its first slash.
    pub fn name(self) -> &'static str {
        self.path().trim_start_matches('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_methods_and_finds_each() {
        for (position, (method, path)) in METHODS.into_iter().enumerate() {
            assert_eq!(method as usize, position);
            assert_eq!(Method::find(path), Some(method));
            let health = matches!(method, Method::HealthCheck | Method::HealthWatch);
            assert_eq!(path.contains(INFERENCE), !health);
        }
        assert_eq!(
            Method::find("/inference.GRPCInferenceService/Nothing"),
            None
        );
        assert_eq!(Method::find(""), None);
    }
}
