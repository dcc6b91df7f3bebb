//! Deployments and the path of a prediction: features, batch, backend, observation.
