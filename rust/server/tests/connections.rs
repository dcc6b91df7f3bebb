//! Connections: keep-alive, pipelining, limits, slow clients, draining.

mod wire;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wire::{Client, PATIENCE, blocked, control, server, until};

/// A limit that a test waits for.
const SHORT: Duration = Duration::from_millis(150);

/// How many connections the server has cut, by its metrics.
#[allow(clippy::expect_used)]
fn cut(client: &mut Client) -> usize {
    let metrics = client.ask("GET", "/metrics", "", b"");
    let name = "tidegate_http_connections_cut_total ";
    let mut lines = metrics.text().lines();
    lines
        .find_map(|line| line.strip_prefix(name)?.parse().ok())
        .expect("the counter")
}

#[test]
fn a_connection_is_kept_for_many_requests() {
    let server = server(|_| {});
    let mut client = Client::new(server.address());
    for _ in 0..100 {
        let answer = client.ask("POST", "/v2/echo", "", b"{}");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    assert_eq!(server.connections(), 1);
    assert!(server.drain(PATIENCE));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server(|_| {});
    let mut client = Client::new(server.address());
    client.send(
        "GET /v2/health/live HTTP/1.1\r\nhost: t\r\n\r\n\
         POST /v2/echo HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\n{}\
         GET /v2/health/ready HTTP/1.1\r\nhost: t\r\n\r\n",
    );
    assert_eq!(client.read().unwrap().text(), r#"{"live":true}"#);
    assert!(client.read().unwrap().text().contains("echo"));
    assert_eq!(
        client.read().unwrap().text(),
        r#"{"live":true,"ready":true}"#
    );
}

#[test]
fn health_metadata_and_metrics_answer_without_a_model() {
    let server = server(|_| {});
    let mut client = Client::new(server.address());
    for path in ["/v2", "/v2/"] {
        let answer = client.ask("GET", path, "", b"");
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("binary_tensor_data"));
    }
    assert_eq!(
        client.ask("POST", "/v2/repository/index", "", b"").text(),
        "[]"
    );
    let answer = client.ask("GET", "/metrics", "", b"");
    assert!(
        answer
            .text()
            .contains("tidegate_http_requests_total{route=\"server_metadata\",code=\"200\"} 2"),
        "{}",
        answer.text()
    );
    client.send("HEAD /v2/health/live HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    let mut text = String::new();
    client.0.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("\r\n\r\n"));
}

#[test]
fn errors_have_one_shape_and_exactly_one_type() {
    let server = server(|_| {});
    for (method, path, status) in [
        ("POST", "/v2/models/none/infer", 404),
        ("GET", "/v2/models/none", 404),
        ("GET", "/v2/models/none/versions/7/ready", 404),
        ("GET", "/v1/models/none/drift", 404),
        ("POST", "/v2/models/%ff/infer", 400),
        ("GET", "/v2/models/m/infer", 405),
        ("DELETE", "/metrics", 405),
        ("GET", "/nowhere", 404),
    ] {
        let answer = Client::new(server.address()).ask(method, path, "", b"");
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(body["error"].is_string(), "{path}: {body}");
    }
}

#[test]
fn large_bodies_and_headers_are_refused_by_the_name_of_the_limit() {
    let server = server(|options| {
        options.limits.body_bytes = 1000;
        options.limits.header_bytes = 2000;
    });
    let address = server.address();
    // Announced, and not announced.
    let mut client = Client::new(address);
    let answer = client.ask("POST", "/v2/echo", "", &[b' '; 1001]);
    assert_eq!(answer.status, 413);
    assert!(answer.text().contains("body_bytes"), "{}", answer.text());
    // What was left of it was read, so the connection goes on.
    assert_eq!(client.ask("POST", "/v2/echo", "", b"").status, 200);
    // Far too much is not read, and a client that asks first is told before it sends.
    for header in [
        "content-length: 9999999",
        "expect: 100-continue\r\ncontent-length: 1001",
    ] {
        let mut client = Client::new(address);
        client.send(format!(
            "POST /v2/echo HTTP/1.1\r\nhost: t\r\n{header}\r\n\r\n"
        ));
        let answer = client.read().unwrap();
        assert_eq!(answer.status, 413);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.ended());
    }
    let mut client = Client::new(address);
    client.send("POST /v2/echo HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n");
    for _ in 0..3 {
        client.send(format!("{:x}\r\n{}\r\n", 500, "x".repeat(500)));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read().unwrap().status, 413);
    assert_eq!(
        Client::new(address)
            .ask("POST", "/v2/echo", "", &[b' '; 1000])
            .status,
        200
    );
    let header = format!("x-long: {}\r\n", "x".repeat(2000));
    let answer = Client::new(address).ask("POST", "/v2/echo", &header, b"");
    assert_eq!(answer.status, 431);
    assert!(answer.text().contains("header_bytes"), "{}", answer.text());
    // With the host and the length a hundred, and one more.
    for (headers, status) in [(98, 200), (99, 431)] {
        let mut client = Client::new(address);
        client.begin("POST", "/v2/echo", &"a: b\r\n".repeat(headers), b"");
        let answer = client.read().map(|answer| answer.status);
        assert_eq!(answer, Some(status), "{headers} headers");
    }
    // The next request is served.
    assert_eq!(
        Client::new(address).ask("POST", "/v2/echo", "", b"").status,
        200
    );
}

#[test]
fn garbage_is_400_and_the_server_stays_up() {
    let server = server(|_| {});
    for garbage in [
        "\u{1}\u{2}\u{3}\r\n\r\n",
        "GET\r\n\r\n",
        "POST /v2/echo HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        "POST /v2/echo HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    ] {
        let mut client = Client::new(server.address());
        client.send(garbage);
        // What was not read of a request may reset the connection before the answer is read.
        let refused = client.read().is_none_or(|answer| answer.status == 400);
        assert!(refused, "{garbage:?}");
    }
    let mut client = Client::new(server.address());
    assert_eq!(client.ask("POST", "/v2/echo", "", b"").status, 200);
}

#[test]
fn slow_heads_are_cut_and_others_are_not() {
    let server = server(|options| options.limits.head_timeout = SHORT);
    let address = server.address();
    // A machine that stalls between connecting and asking makes this a slow head too.
    let mut stalled = 0;
    let mut quick = loop {
        let mut client = Client::new(address);
        client.begin("POST", "/v2/echo", "", b"");
        if client.read().is_some() {
            break client;
        }
        stalled += 1;
        assert!(stalled < 200, "everybody is cut");
    };
    let mut silent = Client::new(address);
    let mut half = Client::new(address);
    half.send("POST /v2/echo HT");
    let mut drip = Client::new(address);
    let dripping = std::thread::spawn(move || {
        // A byte now and then must not keep a head alive.
        drip.send("GET /v2/health/live HTTP/1.1\r\nhost: drip\r\nx-a: ");
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if drip.0.write_all(b"b").is_err() {
                return;
            }
            std::thread::sleep(SHORT / 4);
        }
        panic!("a dripping client was not cut");
    });
    for client in [&mut silent, &mut half] {
        assert!(client.ended());
    }
    dripping.join().unwrap();
    // It has rested for longer than a head may take, and goes on so.
    for _ in 0..8 {
        assert_eq!(quick.ask("POST", "/v2/echo", "", b"").status, 200);
        std::thread::sleep(SHORT / 2);
    }
    assert_eq!(cut(&mut quick), 3 + stalled);
}

#[test]
fn slow_bodies_are_cut_and_others_are_not() {
    let server = server(|options| options.limits.body_timeout = SHORT);
    let mut late = Client::new(server.address());
    late.send("POST /v2/echo HTTP/1.1\r\nhost: t\r\n");
    let mut half = Client::new(server.address());
    half.send("POST /v2/echo HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\n12345");
    assert!(half.ended());
    // A head may take longer than a body.
    late.send("content-length: 0\r\n\r\n");
    assert_eq!(late.read().unwrap().status, 200);
    assert_eq!(cut(&mut late), 1);
}

#[test]
fn idle_connections_are_cut_and_busy_ones_are_not() {
    let door = Arc::new(Mutex::new(()));
    let behind = Arc::clone(&door);
    let socket = control("busy", move |mut stream| {
        wire::received(&mut stream);
        drop(behind.lock());
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone");
    });
    let server = server(|options| {
        options.limits.idle_timeout = SHORT;
        options.control_socket = Some(socket);
    });
    let closed = door.lock().unwrap();
    let mut busy = Client::new(server.address());
    busy.begin("GET", "/slow", "", b"");
    let mut idle = Client::new(server.address());
    assert_eq!(idle.ask("POST", "/v2/echo", "", b"").status, 200);
    assert!(idle.ended());
    std::thread::sleep(SHORT);
    drop(closed);
    assert_eq!(busy.read().unwrap().text(), "done");
    assert!(busy.ended());
    assert_eq!(cut(&mut Client::new(server.address())), 2);
}

#[test]
fn a_client_that_takes_no_answer_is_cut() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let socket = control("endless", move |mut stream| {
        wire::received(&mut stream);
        counter.fetch_add(1, Ordering::SeqCst);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        while stream.write_all(&[0; 65536]).is_ok() {}
    });
    let server = server(|options| {
        options.limits.write_timeout = 2 * SHORT;
        options.control_socket = Some(socket);
    });
    let mut client = Client::new(server.address());
    client.begin("GET", "/endless", "", b"");
    until("it is served", || asked.load(Ordering::SeqCst) == 1);
    until("it is cut", || server.connections() == 0);
    assert_eq!(cut(&mut Client::new(server.address())), 1);
}

#[test]
fn connections_above_the_limit_are_told() {
    let server = server(|options| options.limits.connections = 2);
    let mut kept: Vec<_> = (0..2).map(|_| Client::new(server.address())).collect();
    for client in &mut kept {
        assert_eq!(client.ask("POST", "/v2/echo", "", b"").status, 200);
    }
    let mut third = Client::new(server.address());
    let answer = third.read().unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.text().contains("limit connections"));
    drop(kept.pop());
    until("the place is given back", || {
        let mut client = Client::new(server.address());
        client.begin("GET", "/v2/health/live", "connection: close\r\n", b"");
        client.read().is_some_and(|answer| answer.status == 200)
    });
}

#[test]
fn compressed_bodies_are_read_and_bombs_are_refused() {
    let server = server(|options| options.limits.body_bytes = 10_000);
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(&[b' '; 100_000][..], flate2::Compression::fast())
        .read_to_end(&mut packed)
        .unwrap();
    let mut client = Client::new(server.address());
    let answer = client.ask("POST", "/v2/echo", "content-encoding: gzip\r\n", &packed);
    assert_eq!(answer.status, 413);
    let answer = client.ask("POST", "/v2/echo", "content-encoding: gzip\r\n", b"no gzip");
    assert_eq!(answer.status, 400);
    let answer = client.ask("POST", "/v2/echo", "content-encoding: br\r\n", b"x");
    assert_eq!(answer.status, 501);
}

#[test]
fn draining_finishes_what_is_in_flight_and_nothing_else() {
    let asked = Arc::new(AtomicUsize::new(0));
    let door = Arc::new(Mutex::new(()));
    let (counter, behind) = (Arc::clone(&asked), Arc::clone(&door));
    let socket = control("drain", move |mut stream| {
        wire::received(&mut stream);
        counter.fetch_add(1, Ordering::SeqCst);
        drop(behind.lock());
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone");
    });
    let server = server(|options| options.control_socket = Some(socket));
    let address = server.address();
    let mut idle = Client::new(address);
    assert_eq!(idle.ask("POST", "/v2/echo", "", b"").status, 200);
    let closed = door.lock().unwrap();
    let mut in_flight = Client::new(address);
    in_flight.begin("GET", "/slow", "", b"");
    until("it is in flight", || asked.load(Ordering::SeqCst) == 1);
    server.begin_drain();
    let answer = idle.ask("GET", "/v2/health/ready", "", b"");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("\"ready\":false"));
    assert_eq!(idle.ask("GET", "/v2/health/live", "", b"").status, 200);
    let draining = std::thread::spawn(move || server.drain(2 * PATIENCE));
    // What does nothing is not waited for.
    assert!(idle.ended());
    assert!(!draining.is_finished());
    drop(closed);
    let answer = in_flight.read().unwrap();
    assert_eq!(answer.text(), "done");
    assert_eq!(answer.header("connection"), Some("close"));
    // True is said before the grace is over, or not at all.
    assert!(draining.join().unwrap());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn draining_gives_up_after_its_grace() {
    let (socket, taken) = blocked("grace");
    let server = server(|options| options.control_socket = Some(socket));
    let mut client = Client::new(server.address());
    client.begin("GET", "/slow", "", b"");
    until("it is in flight", || taken.load(Ordering::SeqCst) == 1);
    let begun = Instant::now();
    let draining = std::thread::spawn(move || server.drain(SHORT));
    until("it gives up", || draining.is_finished());
    assert!(begun.elapsed() >= SHORT);
    assert!(!draining.join().unwrap());
    assert!(client.ended());
}

#[test]
fn a_drain_can_be_broken_off() {
    let (socket, taken) = blocked("break");
    let server = server(|options| options.control_socket = Some(socket));
    let mut idle = Client::new(server.address());
    assert_eq!(idle.ask("POST", "/v2/echo", "", b"").status, 200);
    let mut client = Client::new(server.address());
    client.begin("GET", "/slow", "", b"");
    until("it is in flight", || taken.load(Ordering::SeqCst) == 1);
    let stopper = server.stopper();
    let begun = Instant::now();
    let draining = std::thread::spawn(move || server.drain(2 * PATIENCE));
    assert!(idle.ended());
    assert!(!draining.is_finished());
    stopper.stop();
    assert!(!draining.join().unwrap());
    assert!(begun.elapsed() < 2 * PATIENCE);
    assert!(client.ended());
}

#[test]
fn several_workers_share_one_port() {
    let server = server(|options| options.workers = 3);
    let mut clients: Vec<_> = (0..30).map(|_| Client::new(server.address())).collect();
    for _ in 0..3 {
        for client in &mut clients {
            assert_eq!(client.ask("POST", "/v2/echo", "", b"").status, 200);
        }
    }
    assert_eq!(server.connections(), 30);
    drop(clients);
    assert!(server.drain(PATIENCE));
}
