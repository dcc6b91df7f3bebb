//! Binding an address, with one clear sentence when it cannot be.

use std::io::ErrorKind as IoKind;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};
use tidegate_schema::{Error, ErrorKind, Result};

use crate::access::Access;

/// Connections that the kernel keeps until we take them.
const BACKLOG: i32 = 1024;

/// Listens on `host:port`. The socket does not block and is shared by all workers: a port that is
/// in use is then an error, where one socket a worker (`SO_REUSEPORT`) would share it silently
/// with another server, and no connection is lost when workers stop one after the other.
pub fn bind(address: &str) -> Result<TcpListener> {
    let mut candidates: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|error| {
            Error::invalid(format!(
                "address {address:?} cannot be resolved ({error}): give host:port, such as 127.0.0.1:8080"
            ))
        })?
        .collect();
    // A name such as localhost may give both families; the first that binds is taken.
    candidates.dedup();
    let mut last = None;
    for candidate in candidates {
        match listen(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(refused(
        address,
        last.unwrap_or_else(|| IoKind::NotFound.into()),
    ))
}

/// Refuses to let everybody on other machines in, unless that is wanted.
///
/// # Errors
/// `InvalidInput` for an address that other machines can reach, where nobody has to say who they
/// are and `allow_anonymous` is not set.
pub fn guard(address: SocketAddr, access: &Access, allow_anonymous: bool) -> Result<()> {
    if address.ip().to_canonical().is_loopback() || access.required() || allow_anonymous {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "address {address} can be reached from other machines, and anybody there could use this server: set access.keys or access.jwks, or say --allow-anonymous"
    )))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart need not wait for the old connections' TIME_WAIT; on Linux a port on which
    // somebody listens stays refused.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn refused(address: &str, error: std::io::Error) -> Error {
    let message = match error.kind() {
        IoKind::AddrInUse => format!(
            "address {address} is in use by another process: stop it, or choose another port (port 0 picks a free one)"
        ),
        IoKind::PermissionDenied => {
            format!("address {address} may not be used by this user: choose a port from 1024 on")
        }
        IoKind::AddrNotAvailable => format!(
            "address {address} is not an address of this machine: use 0.0.0.0 for all of its addresses"
        ),
        _ => format!("address {address} cannot be listened on ({error}): choose another"),
    };
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_one_sentence() {
        let first = bind("127.0.0.1:0").unwrap();
        let taken = first.local_addr().unwrap();
        assert_ne!(taken.port(), 0);
        let error = bind(&taken.to_string()).unwrap_err();
        assert_eq!(
            error.message,
            format!(
                "address {taken} is in use by another process: stop it, or choose another port (port 0 picks a free one)"
            )
        );
        drop(first);
        bind(&taken.to_string()).unwrap();
    }

    #[test]
    fn addresses_that_are_none_are_errors() {
        for address in [
            "",
            "nonsense",
            "127.0.0.1",
            "127.0.0.1:99999",
            "192.0.2.1:0",
        ] {
            assert!(bind(address).is_err(), "{address}");
        }
    }
}
