//! The generator against small servers written by hand.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_load::{Case, Expect, Plan, run};

/// Answers every request on every connection by `reply(body)`; nothing closes the connection.
fn serve(reply: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, reply) = (stream.unwrap(), reply.clone());
            thread::spawn(move || converse(stream, reply));
        }
    });
    address
}

fn converse(mut stream: TcpStream, reply: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let mut bytes = Vec::new();
    let mut room = [0; 65_536];
    while let Ok(count @ 1..) = stream.read(&mut room) {
        bytes.extend_from_slice(&room[..count]);
        while let Some(start) = bytes
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .map(|at| at + 4)
        {
            let head = String::from_utf8(bytes[..start].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "))
                .map_or(0, |text| text.parse::<usize>().unwrap());
            if bytes.len() < start + length {
                break;
            }
            let body: Vec<u8> = bytes.drain(..start + length).skip(start).collect();
            match reply(&body) {
                Some(answer) => stream.write_all(&answer).unwrap(),
                None => return,
            }
        }
    }
}

fn ok(body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn plan(address: String) -> Plan {
    Plan {
        address,
        seconds: 0.3,
        warmup_seconds: 0.05,
        connections: 4,
        timeout_seconds: 2.0,
        ..Plan::default()
    }
}

fn numbers(count: usize) -> Vec<Case> {
    (0..count)
        .map(|i| Case {
            body: format!("{{\"data\":[{i}]}}").into_bytes(),
            expect: Expect::Numbers(vec![i as f64]),
        })
        .collect()
}

#[test]
fn an_echo_is_right_every_time() {
    let address = serve(|body| Some(ok(body)));
    let report = run(&plan(address), &numbers(100)).unwrap();
    assert!(report.requests > 100, "{report:?}");
    assert_eq!(report.errors.total(), 0, "{report:?}");
    assert!(report.latency_us.min > 0.0 && report.latency_us.p50 <= report.latency_us.p99);
}

#[test]
fn wrong_answers_are_counted_and_quoted() {
    let address = serve(|_| Some(ok(b"{\"data\":[7]}")));
    let report = run(&plan(address), &numbers(50)).unwrap();
    assert!(report.errors.mismatch > report.requests);
    assert!(report.first_error.unwrap().contains("\"data\":[7]"));
    let address = serve(|_| Some(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec()));
    let report = run(&plan(address), &numbers(1)).unwrap();
    assert_eq!((report.requests, report.errors.status > 0), (0, true));
}

#[test]
fn a_closing_server_is_an_error_but_no_end() {
    let address = serve(|body| (!body.ends_with(b"[3]}")).then(|| ok(body)));
    let report = run(&plan(address), &numbers(20)).unwrap();
    assert!(
        report.requests > 20 && report.errors.closed > 0,
        "{report:?}"
    );
    assert_eq!(report.errors.total(), report.errors.closed);
}

#[test]
fn a_large_body_goes_out_and_comes_back_whole() {
    let address = serve(|body| Some(ok(body)));
    let body = vec![b'x'; 3_000_000];
    let case = Case {
        expect: Expect::Exact(body.clone()),
        body,
    };
    let report = run(&plan(address), &[case]).unwrap();
    assert!(
        report.requests > 0 && report.errors.total() == 0,
        "{:?}",
        report.errors
    );
}

#[test]
fn the_number_of_requests_ends_the_run() {
    let address = serve(|body| Some(ok(body)));
    let plan = Plan {
        requests: Some(200),
        seconds: 60.0,
        ..plan(address)
    };
    let begin = Instant::now();
    let report = run(&plan, &numbers(9)).unwrap();
    assert_eq!(report.requests, 200);
    assert!(begin.elapsed() < Duration::from_secs(20) && report.seconds < 20.0);
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let address = serve(|body| Some(ok(body)));
    let plan = Plan {
        rate: Some(500.0),
        seconds: 1.0,
        ..plan(address)
    };
    let report = run(&plan, &numbers(50)).unwrap();
    assert!((400..600).contains(&report.requests), "{report:?}");
    assert_eq!(report.errors.total(), 0, "{report:?}");
}

/// A server that answers after 20 ms, asked 200 times a second over one connection: a generator
/// that measures from the write would report 20 ms, while the requests wait ever longer.
#[test]
fn coordinated_omission_is_corrected() {
    let address = serve(|body| {
        thread::sleep(Duration::from_millis(20));
        Some(ok(body))
    });
    let plan = Plan {
        rate: Some(200.0),
        connections: 1,
        seconds: 0.5,
        warmup_seconds: 0.0,
        ..plan(address)
    };
    let report = run(&plan, &numbers(50)).unwrap();
    assert!(report.latency_us.p50 > 100_000.0, "{report:?}");
    assert!(
        report.requests > 70,
        "late answers belong to the picture: {report:?}"
    );
}

#[test]
fn silence_is_a_timeout() {
    let address = serve(|_| Some(Vec::new()));
    let plan = Plan {
        timeout_seconds: 0.1,
        ..plan(address)
    };
    let report = run(&plan, &numbers(1)).unwrap();
    assert!(
        report.requests == 0 && report.errors.timeout >= 4,
        "{report:?}"
    );
}

#[test]
fn nobody_there_is_said_at_once() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = run(&plan(address.to_string()), &numbers(1)).unwrap_err();
    assert!(error.message.contains("cannot connect"), "{error}");
    assert!(run(&plan(address.to_string()), &[]).is_err());
}
