//! Since when the next request has been in its socket.
//!
//! While a loop reads other requests or runs a model, those that come wait in their sockets unseen,
//! and nobody but the kernel knows for how long. It notes when bytes came for whoever asks it to
//! (`SO_TIMESTAMPNS`), and tells it beside the bytes. To look at one byte for that costs as much as
//! reading; so it is asked only where the loop was away for long enough to matter.

use std::cell::Cell;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime};

use nix::cmsg_space;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use tokio::net::TcpStream;

/// The notes of one socket.
#[derive(Debug, Default)]
pub struct Arrivals {
    noted: Cell<bool>,
}

impl Arrivals {
    /// For how long the first byte that can be read has been there. `None` if that is not known:
    /// the kernel is asked to note it from the first call on, and where it cannot, nothing is lost
    /// but the figure. The wall clock that it notes may be set meanwhile: a request that comes at
    /// that moment may be taken for older or younger than it is.
    pub fn waited(&self, socket: &TcpStream) -> Option<Duration> {
        if !self.noted.replace(true) {
            // Without the notes this is an estimate, as it was.
            let _ = setsockopt(socket, ReceiveTimestampns, &true);
            return None;
        }
        let mut space = cmsg_space!(TimeSpec);
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut into, Some(&mut space), flags).ok()?;
        let came = message.cmsgs().ok()?.find_map(|note| match note {
            ControlMessageOwned::ScmTimestampns(came) => Some(Duration::from(came)),
            _ => None,
        })?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.ok()?.checked_sub(came)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn the_kernel_tells_how_long_bytes_have_been_there() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut socket, _) = listener.accept().await.unwrap();
        let arrivals = Arrivals::default();
        assert_eq!(arrivals.waited(&socket), None, "nobody has asked before");
        assert_eq!(arrivals.waited(&socket), None, "nothing is there");
        let pause = Duration::from_millis(5);
        let mut known = 0;
        // The kernel begins with its notes a little after it was asked.
        for _ in 0..1_000 {
            let sent = Instant::now();
            client.write_all(b"some").await.unwrap();
            socket.readable().await.unwrap();
            std::thread::sleep(pause);
            if let Some(waited) = arrivals.waited(&socket) {
                known += 1;
                assert!(
                    waited >= pause / 2 && waited <= sent.elapsed(),
                    "{waited:?}"
                );
            }
            let mut bytes = [0; 4];
            socket.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"some", "looking takes nothing away");
            if known == 3 {
                return;
            }
        }
        panic!("the kernel noted {known} of the arrivals");
    }
}
