//! `GET /metrics`: the runtime's metrics and the data plane's own, as Prometheus text.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::StatusCode;
use tidegate_schema::{Error, Result};

use crate::counters;
use crate::grpc;
use crate::reply::{METRICS, Reply, typed};
use crate::service::Service;

/// The page. Made on a thread of its own: drift gauges count every cell of every column.
pub async fn answer(service: &Service) -> Result<Reply> {
    let shared = Arc::clone(&service.shared);
    let page = tokio::task::spawn_blocking(move || {
        let mut page = shared.runtime.metrics();
        let open = shared.connections.load(Ordering::Relaxed);
        let workers = shared.counters.iter().map(AsRef::as_ref);
        page.push_str(&counters::write(workers.clone(), open));
        page.push_str(&grpc::write(workers.map(|counters| &counters.grpc)));
        page.push_str(&shared.log_metrics());
        page
    });
    let page = page
        .await
        .map_err(|error| Error::internal(format!("the metrics failed: {error}")))?;
    Ok(typed(StatusCode::OK, METRICS, page))
}
