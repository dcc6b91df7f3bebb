//! Passing on to the control plane: what is stripped, streamed, bounded, and what goes on without.

mod wire;

use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wire::{Client, blocked, control, received, server, until};

#[test]
fn requests_are_passed_on_without_claims_and_answers_come_back() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&seen);
    let socket = control("headers", move |mut stream| {
        heads.lock().unwrap().push(received(&mut stream));
        stream
            .write_all(
                b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\nconnection: close\r\n\
                  x-hop: 1\r\nconnection: x-hop\r\nx-kept: yes\r\n\r\nok",
            )
            .unwrap();
    });
    let server = server(|options| options.control_socket = Some(socket));
    let mut client = Client::new(server.address());
    let answer = client.ask(
        "PUT",
        "/v1/things/a%20b?x=1&y=%2F",
        "x-forwarded-for: 10.1.1.1\r\nX-Forwarded-Host: evil\r\nx_forwarded_for: 10.1.1.1\r\n\
         forwarded: for=10.1.1.1\r\nx-tidegate-user: root\r\nx-real-ip: 10.1.1.1\r\n\
         connection: keep-alive, x-mine\r\nx-mine: 1\r\nte: trailers\r\nupgrade: websocket\r\n\
         authorization: Bearer t\r\nx-request-id: mine\r\n",
        b"body",
    );
    assert_eq!((answer.status, answer.text()), (201, "ok"));
    assert_eq!(answer.header("x-kept"), Some("yes"));
    assert_eq!(answer.header("x-hop"), None);
    let (head, body) = seen.lock().unwrap().pop().unwrap();
    assert_eq!(body, b"body");
    assert!(
        head.starts_with("PUT /v1/things/a%20b?x=1&y=%2F HTTP/1.1\r\n"),
        "{head}"
    );
    let mut lines: Vec<_> = head.trim().lines().skip(1).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "authorization: Bearer t",
            "content-length: 4",
            "host: test",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: test",
            "x-forwarded-proto: http",
            "x-request-id: mine",
        ]
    );
    // The connection to the client is kept.
    assert_eq!(client.ask("GET", "/again", "", b"").status, 201);
}

#[test]
fn answers_are_streamed_as_they_come() {
    let door = Arc::new(Mutex::new(()));
    let behind = Arc::clone(&door);
    let socket = control("stream", move |mut stream| {
        received(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            .unwrap();
        drop(behind.lock());
        stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").unwrap();
    });
    let server = server(|options| options.control_socket = Some(socket));
    let closed = door.lock().unwrap();
    let mut client = Client::new(server.address());
    client.begin("GET", "/events", "", b"");
    let mut got = String::new();
    let mut read_to = |word: &str| {
        let mut piece = [0; 1024];
        while !got.contains(word) {
            let n = std::io::Read::read(&mut client.0, &mut piece).unwrap();
            assert!(n > 0, "{got}");
            got.push_str(std::str::from_utf8(&piece[..n]).unwrap());
        }
    };
    // The rest of the answer does not exist yet.
    read_to("one");
    drop(closed);
    read_to("two");
}

#[test]
fn large_bodies_are_streamed_and_bounded() {
    let socket = control("large", |mut stream| {
        let (_, body) = received(&mut stream);
        let text = body.len().to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        let _ = stream.write_all(head.as_bytes());
    });
    let server = server(|options| {
        options.control_socket = Some(socket);
        options.limits.body_bytes = 3_000_000;
    });
    let mut client = Client::new(server.address());
    assert_eq!(
        client
            .ask("POST", "/upload", "", &vec![7; 3_000_000])
            .text(),
        "3000000"
    );
    let mut client = Client::new(server.address());
    client.send("POST /upload HTTP/1.1\r\nhost: t\r\ncontent-length: 3000001\r\n\r\n");
    assert_eq!(client.read().unwrap().status, 413);
}

#[test]
fn a_blocked_control_plane_holds_up_nobody_else() {
    let (socket, taken) = blocked("blocked");
    let server = server(|options| {
        options.control_socket = Some(socket);
        options.limits.control_requests = 2;
    });
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let mut client = Client::new(server.address());
            client.begin("GET", "/docs", "", b"");
            client
        })
        .collect();
    until("both places are taken", || {
        taken.load(Ordering::SeqCst) == 2
    });
    // One more than there are places is told at once: the two wait on for an hour.
    let mut client = Client::new(server.address());
    let answer = client.ask("GET", "/docs", "", b"");
    assert_eq!(answer.status, 503);
    assert!(
        answer.text().contains("control_requests"),
        "{}",
        answer.text()
    );
    for _ in 0..50 {
        assert_eq!(client.ask("POST", "/v2/echo", "", b"").status, 200);
        assert_eq!(client.ask("GET", "/v2/health/live", "", b"").status, 200);
    }
    assert_eq!(client.ask("GET", "/metrics", "", b"").status, 200);
    assert_eq!(server.connections(), 3);
    drop(waiting);
}

#[test]
fn a_blocked_control_plane_is_503() {
    let limit = Duration::from_millis(300);
    let (socket, _) = blocked("late");
    let server = server(|options| {
        options.control_socket = Some(socket);
        options.limits.control_timeout = limit;
    });
    let begun = Instant::now();
    let mut waiting: Vec<_> = (0..2).map(|_| Client::new(server.address())).collect();
    for client in &mut waiting {
        client.begin("GET", "/docs", "", b"");
    }
    for client in &mut waiting {
        let answer = client.read().unwrap();
        assert!(begun.elapsed() >= limit);
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(
            answer.text().contains("did not answer"),
            "{}",
            answer.text()
        );
        // The connection to the client is kept.
        assert_eq!(client.ask("POST", "/v2/echo", "", b"").status, 200);
    }
}

#[test]
fn a_dead_control_plane_is_502_and_the_rest_goes_on() {
    let server = server(|options| {
        options.control_socket = Some("/nonexistent/control.sock".into());
    });
    let mut client = Client::new(server.address());
    let answer = client.ask("GET", "/docs", "", b"");
    assert_eq!(answer.status, 502);
    assert!(
        answer.text().starts_with("{\"error\":"),
        "{}",
        answer.text()
    );
    assert_eq!(client.ask("POST", "/v2/echo", "", b"").status, 200);
}

#[test]
fn a_control_plane_that_breaks_off_is_502() {
    let socket = control("broken", |mut stream| {
        received(&mut stream);
    });
    let server = server(|options| options.control_socket = Some(socket));
    let mut client = Client::new(server.address());
    assert_eq!(client.ask("GET", "/docs", "", b"").status, 502);
}

#[test]
fn places_are_given_back_when_clients_go() {
    let (socket, taken) = blocked("places");
    let server = server(|options| {
        options.control_socket = Some(socket);
        options.limits.control_requests = 1;
    });
    for round in 1..=5 {
        let mut client = Client::new(server.address());
        client.begin("GET", "/slow", "", b"");
        until("it has the place", || taken.load(Ordering::SeqCst) == round);
        // Another is refused while the first waits, which proves that it got the place.
        let answer = Client::new(server.address()).ask("GET", "/slow", "", b"");
        assert_eq!(answer.status, 503);
        drop(client);
        until("they are gone", || server.connections() == 0);
    }
}
