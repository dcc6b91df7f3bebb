//! TLS: a certificate that can be replaced while connections are taken.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tidegate_schema::{Error, Result};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// What is spoken inside on the port for HTTP, the best first.
const HTTP: &[&[u8]] = &[b"h2", b"http/1.1"];
/// What is spoken inside on the port for gRPC.
const GRPC: &[&[u8]] = &[b"h2"];

/// The certificate of a server, the same on each of its ports. Connections that are open keep the
/// one that they began with.
#[derive(Debug)]
pub struct Tls {
    configs: ArcSwap<Configs>,
}

/// One for each port: they differ in what is spoken inside.
#[derive(Debug)]
struct Configs {
    http: Arc<ServerConfig>,
    grpc: Arc<ServerConfig>,
}

impl Tls {
    /// Takes a chain of certificates, the server's own first, and its private key, both as PEM.
    ///
    /// # Errors
    /// `InvalidInput` if one of them cannot be read, or the key does not belong to the certificate.
    pub fn new(certificate: &[u8], key: &[u8]) -> Result<Self> {
        Ok(Self {
            configs: ArcSwap::from_pointee(configs(certificate, key)?),
        })
    }

    /// Takes another pair for connections from now on. If it is wrong the one before stays.
    ///
    /// # Errors
    /// As [`Tls::new`].
    pub fn replace(&self, certificate: &[u8], key: &[u8]) -> Result<()> {
        self.configs.store(Arc::new(configs(certificate, key)?));
        Ok(())
    }

    /// What begins a connection for HTTP.
    #[must_use]
    pub fn http(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.configs.load().http))
    }

    /// What begins a connection for gRPC.
    #[must_use]
    pub fn grpc(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.configs.load().grpc))
    }
}

fn configs(certificate: &[u8], key: &[u8]) -> Result<Configs> {
    let wrong = |what: &str, why: &dyn std::fmt::Display| {
        Error::invalid(format!(
            "the TLS {what} cannot be used ({why}): give it as a PEM file"
        ))
    };
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| wrong("certificate", &error))?;
    if chain.is_empty() {
        return Err(wrong("certificate", &"there is none in it"));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong("key", &error))?;
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| wrong("protocol", &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong("certificate or its key", &error))?;
    let speaking = |protocols: &[&[u8]]| {
        let mut config = config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    };
    Ok(Configs {
        http: speaking(HTTP),
        grpc: speaking(GRPC),
    })
}
