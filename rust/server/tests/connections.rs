//! Connections: keep-alive, pipelining, limits, slow clients, draining.

mod wire;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use tidegate_server::Limits;
use wire::{Client, control, impatient, server};

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
    assert!(server.drain(Duration::from_secs(5)));
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
        options.limits = Limits {
            body_bytes: 1000,
            header_bytes: 2000,
            ..Limits::default()
        };
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
fn slow_clients_are_cut_and_others_are_not() {
    let server = server(|options| {
        options.limits = impatient();
        options.limits.idle_timeout = Duration::from_secs(2);
    });
    let address = server.address();
    let mut silent = Client::new(address);
    let mut head = Client::new(address);
    head.send("POST /v2/echo HT");
    let mut body = Client::new(address);
    body.send("POST /v2/echo HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\n12345");
    let mut idle = Client::new(address);
    assert_eq!(idle.ask("POST", "/v2/echo", "", b"").status, 200);
    let mut drip = Client::new(address);
    let dripping = std::thread::spawn(move || {
        // A byte now and then must not keep a head alive.
        for byte in "GET /v2/health/live HTTP/1.1\r\nhost: drip\r\nx-a: b\r\n".bytes() {
            if drip.0.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(40));
        }
        panic!("a dripping client was not cut");
    });
    for client in [&mut silent, &mut head, &mut body] {
        assert!(client.ended());
    }
    assert_eq!(idle.ask("POST", "/v2/echo", "", b"").status, 200);
    assert!(idle.ended());
    dripping.join().unwrap();
    let mut client = Client::new(address);
    for _ in 0..8 {
        assert_eq!(client.ask("POST", "/v2/echo", "", b"").status, 200);
        std::thread::sleep(Duration::from_millis(60));
    }
    let metrics = client.ask("GET", "/metrics", "", b"");
    assert!(
        metrics
            .text()
            .contains("tidegate_http_connections_cut_total 5"),
        "{}",
        metrics.text()
    );
}

#[test]
fn a_client_that_takes_no_answer_is_cut() {
    let socket = control("endless", |mut stream| {
        wire::received(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        while stream.write_all(&[0; 65536]).is_ok() {}
    });
    let server = server(|options| {
        options.limits = impatient();
        options.limits.control_timeout = Duration::from_secs(60);
        options.control_socket = Some(socket);
    });
    let mut client = Client::new(server.address());
    client.send("GET /endless HTTP/1.1\r\nhost: t\r\n\r\n");
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.connections(), 1);
    while server.connections() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "not cut");
        std::thread::sleep(Duration::from_millis(10));
    }
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
    let begun = Instant::now();
    loop {
        let mut client = Client::new(server.address());
        client.send("GET /v2/health/live HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        if client.read().is_some_and(|answer| answer.status == 200) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
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
    let socket = control("drain", |mut stream| {
        wire::received(&mut stream);
        std::thread::sleep(Duration::from_millis(300));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone");
    });
    let server = server(|options| options.control_socket = Some(socket));
    let address = server.address();
    let mut idle = Client::new(address);
    assert_eq!(idle.ask("POST", "/v2/echo", "", b"").status, 200);
    let in_flight = std::thread::spawn(move || Client::new(address).ask("GET", "/slow", "", b""));
    std::thread::sleep(Duration::from_millis(100));
    server.begin_drain();
    let answer = idle.ask("GET", "/v2/health/ready", "", b"");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("\"ready\":false"));
    assert_eq!(idle.ask("GET", "/v2/health/live", "", b"").status, 200);
    let begun = Instant::now();
    assert!(server.drain(Duration::from_secs(5)));
    assert!(begun.elapsed() < Duration::from_secs(2));
    let answer = in_flight.join().unwrap();
    assert_eq!(answer.text(), "done");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(idle.ended());
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn draining_gives_up_after_its_grace() {
    let socket = control("grace", |mut stream| {
        wire::received(&mut stream);
        std::thread::sleep(Duration::from_secs(30));
    });
    let server = server(|options| options.control_socket = Some(socket));
    let mut client = Client::new(server.address());
    client.send("GET /slow HTTP/1.1\r\nhost: t\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    assert!(!server.drain(Duration::from_millis(200)));
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(client.ended());
}

#[test]
fn a_drain_can_be_broken_off() {
    let socket = control("break", |mut stream| {
        wire::received(&mut stream);
        std::thread::sleep(Duration::from_secs(30));
    });
    let server = server(|options| options.control_socket = Some(socket));
    let mut client = Client::new(server.address());
    client.send("GET /slow HTTP/1.1\r\nhost: t\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    let stopper = server.stopper();
    let draining = std::thread::spawn(move || server.drain(Duration::from_secs(30)));
    std::thread::sleep(Duration::from_millis(100));
    assert!(!draining.is_finished());
    stopper.stop();
    assert!(!draining.join().unwrap());
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
    assert!(server.drain(Duration::from_secs(5)));
}
