//! The data plane for Python: a listening server, and the same service without a socket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use tidegate_schema::{Error, ErrorKind};
use tidegate_server::{
    Limits, Mount as CoreMount, MountTicket as CoreTicket, Options, Reply, Running,
    Server as CoreServer, Stopper, TABLE, error_reply, error_status,
};

use crate::access::{Access, Tls};
use crate::completion::Completions;
use crate::enter::run;
use crate::errors::raise;
use crate::runtime::Runtime;
use crate::tracer::Tracer;

/// The routes of the data plane: (method, path, name, summary).
#[pyfunction]
pub fn http_routes() -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    TABLE
        .iter()
        .map(|entry| (entry.method, entry.path, entry.name, entry.summary))
        .collect()
}

/// The HTTP status of each kind of error.
#[pyfunction]
pub fn http_statuses() -> BTreeMap<&'static str, u16> {
    ErrorKind::ALL
        .iter()
        .map(|kind| (kind.name(), error_status(*kind)))
        .collect()
}

fn options(
    address: Option<String>,
    workers: Option<usize>,
    control_socket: Option<PathBuf>,
    echo: bool,
    access_log: Option<PathBuf>,
    limits: Option<BTreeMap<String, f64>>,
    access: Option<&Access>,
) -> PyResult<Options> {
    let mut options = Options {
        control_socket,
        echo,
        access_log,
        access: access.map(Access::core).unwrap_or_default(),
        allow_anonymous: access.is_some_and(Access::allow_anonymous),
        ..Options::default()
    };
    options.address = address.unwrap_or(options.address);
    options.workers = workers.unwrap_or(options.workers);
    for (name, value) in limits.unwrap_or_default() {
        options.limits.set(&name, value).map_err(raise)?;
    }
    Ok(options)
}

/// The limits of a server: (name, default, summary); times are in seconds.
#[pyfunction]
pub fn limits() -> Vec<(&'static str, f64, &'static str)> {
    let defaults = Limits::default();
    Limits::TABLE
        .iter()
        .map(|limit| (limit.name, defaults.get(limit), limit.summary))
        .collect()
}

/// A server that listens; see `tidegate.server`.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Server {
    running: Mutex<Option<Running>>,
    stopper: Stopper,
    host: String,
    port: u16,
    grpc_port: Option<u16>,
}

impl Server {
    fn with<T>(&self, ask: impl FnOnce(&Running) -> T) -> Option<T> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(ask)
    }

    fn take(&self) -> Option<Running> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (runtime, *, address=None, grpc_address=None, workers=None,
                        control_socket=None, echo=false, access_log=None, limits=None,
                        access=None, tls=None, tracer=None))]
    #[allow(clippy::too_many_arguments)] // Each stands alone, and all have names.
    fn new(
        py: Python<'_>,
        runtime: &Runtime,
        address: Option<String>,
        grpc_address: Option<String>,
        workers: Option<usize>,
        control_socket: Option<PathBuf>,
        echo: bool,
        access_log: Option<PathBuf>,
        limits: Option<BTreeMap<String, f64>>,
        access: Option<&Access>,
        tls: Option<&Tls>,
        tracer: Option<&Tracer>,
    ) -> PyResult<Self> {
        let mut options = options(
            address,
            workers,
            control_socket,
            echo,
            access_log,
            limits,
            access,
        )?;
        options.grpc_address = grpc_address;
        options.tls = tls.map(Tls::core);
        options.tracer = tracer.map(Tracer::core);
        let core = runtime.core();
        let running = run(py, || CoreServer::start(core, options))?;
        let bound = running.address();
        let grpc_port = running.grpc_address().map(|address| address.port());
        Ok(Self {
            stopper: running.stopper(),
            running: Mutex::new(Some(running)),
            host: bound.ip().to_string(),
            port: bound.port(),
            grpc_port,
        })
    }

    /// The address that it listens on.
    #[getter]
    fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where 0 was asked for.
    #[getter]
    const fn port(&self) -> u16 {
        self.port
    }

    /// The port for gRPC; `None` where there is none.
    #[getter]
    const fn grpc_port(&self) -> Option<u16> {
        self.grpc_port
    }

    /// Open connections; 0 when it has stopped.
    #[getter]
    fn connections(&self) -> usize {
        self.with(Running::connections).unwrap_or(0)
    }

    /// Readiness is refused from now on; requests are still served.
    fn begin_drain(&self) {
        self.with(Running::begin_drain);
    }

    /// Takes no new connection, waits for requests in flight for at most `grace` seconds, stops.
    /// True if all of them finished.
    fn drain(&self, py: Python<'_>, grace: f64) -> PyResult<bool> {
        let running = self.take();
        let grace = Duration::try_from_secs_f64(grace).map_err(|_| {
            raise(Error::invalid(format!(
                "grace is {grace}: give seconds from 0 on"
            )))
        })?;
        run(
            py,
            || Ok(running.is_none_or(|running| running.drain(grace))),
        )
    }

    /// Stops at once, also while it drains; requests in flight are broken off.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.stopper.stop();
        let running = self.take();
        run(py, || {
            if let Some(running) = running {
                running.stop();
            }
            Ok(())
        })
    }
}

/// A mounted request under way.
#[pyclass(module = "tidegate._core", frozen)]
pub struct MountTicket {
    inner: Mutex<Option<CoreTicket>>,
}

#[pymethods]
impl MountTicket {
    /// Nobody waits any more: the work is dropped unless it runs already.
    fn cancel(&self) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// The service of a runtime without a socket, for somebody's own ASGI server.
#[pyclass(module = "tidegate._core", frozen)]
pub struct Mount {
    inner: RwLock<Option<CoreMount>>,
}

#[pymethods]
impl Mount {
    #[new]
    #[pyo3(signature = (runtime, *, echo=false, limits=None, access=None))]
    fn new(
        py: Python<'_>,
        runtime: &Runtime,
        echo: bool,
        limits: Option<BTreeMap<String, f64>>,
        access: Option<&Access>,
    ) -> PyResult<Self> {
        let options = options(None, None, None, echo, None, limits, access)?;
        let core = runtime.core();
        let mount = run(py, || CoreMount::start(core, options))?;
        Ok(Self {
            inner: RwLock::new(Some(mount)),
        })
    }

    /// Is this path answered here?
    fn knows(&self, method: &str, path: &str) -> bool {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        match (inner.as_ref(), Method::from_bytes(method.as_bytes())) {
            (Some(mount), Ok(method)) => mount.knows(&method, path),
            _ => false,
        }
    }

    /// What a request that is not answered here is refused with; `None` if it is let in.
    fn refusal(
        &self,
        py: Python<'_>,
        method: &str,
        target: &str,
        headers: Vec<(PyBackedBytes, PyBackedBytes)>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let (method, target, headers) = request(method, target, &headers)?;
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let refused = inner
            .as_ref()
            .and_then(|mount| mount.refusal(&method, &target, &headers));
        refused.map(|reply| convert(py, &reply)).transpose()
    }

    /// The id of a request that is not answered here; `None` once closed.
    fn request_id(
        &self,
        py: Python<'_>,
        headers: Vec<(PyBackedBytes, PyBackedBytes)>,
    ) -> PyResult<Option<Py<PyBytes>>> {
        let (_, _, headers) = request("GET", "/", &headers)?;
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let id = inner.as_ref().map(|mount| mount.request_id(&headers));
        Ok(id.map(|id| PyBytes::new(py, id.as_bytes()).unbind()))
    }

    /// Asks; the answer (status, headers, body) arrives in the mailbox under the token.
    fn ask(
        &self,
        completions: &Completions,
        token: u64,
        method: &str,
        target: &str,
        headers: Vec<(PyBackedBytes, PyBackedBytes)>,
        body: &[u8],
    ) -> PyResult<MountTicket> {
        let (method, target, map) = request(method, target, &headers)?;
        let mailbox = completions.mailbox();
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let asked = match inner.as_ref() {
            None => Err(Error::new(
                ErrorKind::Closed,
                "the mounted service is closed: mount the runtime again",
            )),
            Some(mount) => {
                let mailbox = Arc::clone(&mailbox);
                let body = Bytes::copy_from_slice(body);
                mount.ask(method, target, map, body, move |reply| {
                    mailbox.push(token, move |py| convert(py, &reply));
                })
            }
        };
        let ticket = match asked {
            Ok(ticket) => Some(ticket),
            Err(error) => {
                let reply = error_reply(&error);
                mailbox.push(token, move |py| convert(py, &reply));
                None
            }
        };
        Ok(MountTicket {
            inner: Mutex::new(ticket),
        })
    }

    /// Ends the service; requests under way are dropped. Twice does no harm.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let mount = self
            .inner
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        run(py, || {
            drop(mount);
            Ok(())
        })
    }
}

/// The head of a request as ASGI gives it.
fn request(
    method: &str,
    target: &str,
    headers: &[(PyBackedBytes, PyBackedBytes)],
) -> PyResult<(Method, Uri, HeaderMap)> {
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| raise(Error::invalid(format!("{method:?} is no HTTP method"))))?;
    let target: Uri = target
        .parse()
        .map_err(|_| raise(Error::invalid(format!("{target:?} is no path of a URL"))))?;
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // What is no header in HTTP cannot have come over HTTP; it is passed over.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    Ok((method, target, map))
}

/// An answer as ASGI wants it.
fn convert(py: Python<'_>, reply: &Reply) -> PyResult<Py<PyAny>> {
    let headers: Vec<(Bound<'_, PyBytes>, Bound<'_, PyBytes>)> = reply
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                PyBytes::new(py, name.as_str().as_bytes()),
                PyBytes::new(py, value.as_bytes()),
            )
        })
        .collect();
    let body = PyBytes::new(py, reply.body());
    let answer = (reply.status().as_u16(), headers, body).into_pyobject(py)?;
    Ok(answer.into_any().unbind())
}
