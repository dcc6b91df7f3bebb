//! A client that writes bytes as it is told, and a control plane that does what a test says.

// Each test file uses its own part of this; what is unexpected fails the test.
#![allow(dead_code, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub mod grpc;
pub mod subject;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidegate_runtime::Runtime;
use tidegate_server::{Limits, Options, Running, Server};

/// How long a test waits for what must happen: only one that fails waits so long.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until it is so. A sleep would be a guess at how busy the machine is.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One connection.
pub struct Client(pub TcpStream);

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a request, in one write: what is small arrives whole, however slow the machine.
    pub fn begin(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) {
        let length = body.len();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\n{headers}content-length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.send(request);
    }

    pub fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.begin(method, path, headers, body);
        self.read().expect("an answer")
    }

    /// The next answer; `None` when the connection has ended.
    pub fn read(&mut self) -> Option<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.0.read(&mut byte) {
                Ok(0) => return None,
                Ok(_) => head.push(byte[0]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("neither an answer nor an end: {error}"),
            }
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = self.chunks();
        } else {
            let length = answer
                .header("content-length")
                .map_or(0, |l| l.parse().unwrap());
            answer.body = vec![0; length];
            self.0.read_exact(&mut answer.body).unwrap();
        }
        Some(answer)
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                let mut byte = [0];
                self.0.read_exact(&mut byte).unwrap();
                line.push(byte[0]);
            }
            let text = std::str::from_utf8(&line).unwrap().trim();
            let length = usize::from_str_radix(text, 16).unwrap();
            let mut chunk = vec![0; length + 2];
            self.0.read_exact(&mut chunk).unwrap();
            if length == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    /// True when the server has ended the connection; waits for it.
    pub fn ended(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// A server with the echo route on a port of its own.
pub fn server(change: impl FnOnce(&mut Options)) -> Running {
    let mut options = Options {
        address: "127.0.0.1:0".to_owned(),
        workers: 1,
        echo: true,
        limits: patient(),
        ..Options::default()
    };
    change(&mut options);
    let runtime: Arc<Runtime> = Runtime::new(&tidegate_runtime::Options::default()).unwrap();
    Server::start(runtime, options).unwrap()
}

/// Limits that cut nobody on a machine that stalls. A test of one of them shortens that one.
pub fn patient() -> Limits {
    let long = Duration::from_secs(3600);
    Limits {
        head_timeout: long,
        idle_timeout: long,
        body_timeout: long,
        write_timeout: long,
        control_timeout: long,
        ..Limits::default()
    }
}

/// A control plane whose every connection is given to `answer`, each on a thread.
pub fn control(name: &str, answer: impl Fn(UnixStream) + Send + Sync + 'static) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tidegate-test-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("control.sock");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || answer(stream));
        }
    });
    path
}

/// A control plane that takes requests and does nothing more; and how many it has taken.
pub fn blocked(name: &str) -> (PathBuf, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let path = control(name, move |_stream| {
        counter.fetch_add(1, Ordering::SeqCst);
        loop {
            std::thread::park();
        }
    });
    (path, taken)
}

/// What a control plane got: the head and the body.
pub fn received(stream: &mut UnixStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            break;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}
