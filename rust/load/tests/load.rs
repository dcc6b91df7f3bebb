//! The generator against small servers written by hand.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_load::{Case, Expect, Late, Plan, run};

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

/// Ends by the number of its right answers: by the clock, a machine that stalls would give none.
fn plan(address: String, requests: u64) -> Plan {
    Plan {
        requests: Some(requests),
        seconds: 3_600.0,
        warmup_seconds: 0.0,
        ..timed(address)
    }
}

/// Ends by the clock.
fn timed(address: String) -> Plan {
    Plan {
        address,
        seconds: 0.3,
        warmup_seconds: 0.05,
        connections: 4,
        timeout_seconds: 60.0,
        ..Plan::default()
    }
}

/// Answers by `first` so many times, then by echo.
fn at_first(
    times: usize,
    first: impl Fn() -> Vec<u8> + Send + Clone + 'static,
) -> impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Clone + 'static {
    let asked = Arc::new(AtomicUsize::new(0));
    move |body| {
        let before = asked.fetch_add(1, Ordering::SeqCst);
        Some(if before < times { first() } else { ok(body) })
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
    let report = run(&plan(address, 500), &numbers(100)).unwrap();
    assert_eq!(report.requests, 500);
    assert_eq!(report.errors.total(), 0, "{report:?}");
    assert!(report.latency_us.min > 0.0 && report.latency_us.p50 <= report.latency_us.p99);
}

#[test]
fn the_clock_ends_the_run() {
    let address = serve(|body| Some(ok(body)));
    let begin = Instant::now();
    let report = run(&timed(address), &numbers(100)).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(350));
    assert!((report.seconds - 0.3).abs() < 1e-6, "{report:?}");
    assert_eq!(report.errors.total(), 0, "{report:?}");
}

#[test]
fn wrong_answers_are_counted_and_quoted() {
    let address = serve(|_| Some(ok(b"{\"data\":[7]}")));
    let report = run(&plan(address, 5), &numbers(50)).unwrap();
    assert_eq!(report.requests, 5);
    assert!(report.errors.mismatch > report.requests);
    assert!(report.first_error.unwrap().contains("\"data\":[7]"));
    let lost = || b"HTTP/1.1 500 Lost\r\nContent-Length: 0\r\n\r\n".to_vec();
    let plan = Plan {
        connections: 1,
        ..plan(serve(at_first(10, lost)), 1)
    };
    let report = run(&plan, &numbers(1)).unwrap();
    assert_eq!((report.requests, report.errors.status), (1, 10));
    assert_eq!(report.errors.total(), 10, "{report:?}");
}

#[test]
fn refusals_are_no_errors_and_have_no_latency() {
    for status in ["503 Busy", "429 Slower"] {
        let busy = move || {
            thread::sleep(Duration::from_millis(60));
            format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes()
        };
        let plan = Plan {
            connections: 1,
            ..plan(serve(at_first(3, busy)), 50)
        };
        let report = run(&plan, &numbers(1)).unwrap();
        assert_eq!((report.requests, report.refused), (50, 3));
        assert_eq!(report.errors.total(), 0, "{report:?}");
        assert!(report.latency_us.p50 < 60_000.0, "{report:?}");
    }
}

#[test]
fn answers_within_an_objective_are_counted_apart() {
    let slow = || {
        thread::sleep(Duration::from_millis(1_500));
        ok(b"{\"data\":[0]}")
    };
    let plan = Plan {
        connections: 1,
        within_seconds: Some(1.4),
        ..plan(serve(at_first(2, slow)), 20)
    };
    let report = run(&plan, &numbers(1)).unwrap();
    assert_eq!(report.requests, 20);
    // An answer that a stalled machine holds up is one less.
    assert!(report.within <= 18 && report.within > 0, "{report:?}");
}

/// One connection and an answer that takes 20 ms, asked 500 times a second: what does not fit is
/// given up, and what is sent is sent when it is due.
#[test]
fn what_finds_no_connection_can_be_given_up() {
    let address = serve(|body| {
        thread::sleep(Duration::from_millis(20));
        Some(ok(body))
    });
    let plan = Plan {
        rate: Some(500.0),
        connections: 1,
        seconds: 0.6,
        warmup_seconds: 0.0,
        late: Late::Drop,
        ..timed(address)
    };
    let report = run(&plan, &numbers(50)).unwrap();
    assert!(report.requests <= 30 && report.requests > 0, "{report:?}");
    assert!(report.dropped > 200, "{report:?}");
    assert_eq!(report.errors.total(), 0, "{report:?}");
}

#[test]
fn a_closing_server_is_an_error_but_no_end() {
    let address = serve(|body| (!body.ends_with(b"[3]}")).then(|| ok(body)));
    let report = run(&plan(address, 200), &numbers(20)).unwrap();
    assert_eq!(report.requests, 200);
    assert!(report.errors.closed > 0, "{report:?}");
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
    let report = run(&plan(address, 4), &[case]).unwrap();
    assert_eq!(
        (report.requests, report.errors.total()),
        (4, 0),
        "{:?}",
        report.errors
    );
}

#[test]
fn the_number_of_requests_ends_the_run() {
    let address = serve(|body| Some(ok(body)));
    let report = run(&plan(address, 200), &numbers(9)).unwrap();
    assert_eq!(report.requests, 200);
    // Of an hour.
    assert!(report.seconds < 600.0, "{report:?}");
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let address = serve(|body| Some(ok(body)));
    let plan = Plan {
        rate: Some(500.0),
        seconds: 1.0,
        ..timed(address)
    };
    let begin = Instant::now();
    let report = run(&plan, &numbers(50)).unwrap();
    // As many as are due by the seed, sent when they are due or later, never before.
    assert!((400..600).contains(&report.requests), "{report:?}");
    assert!(begin.elapsed() > Duration::from_millis(900));
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
        ..timed(address)
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
    let plan = Plan {
        connections: 1,
        timeout_seconds: 0.5,
        ..plan(serve(at_first(2, Vec::new)), 1)
    };
    let begin = Instant::now();
    let report = run(&plan, &numbers(1)).unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1));
    // An answer that a stalled machine holds up is one more.
    assert!(
        report.requests == 1 && report.errors.timeout >= 2,
        "{report:?}"
    );
    assert_eq!(report.errors.total(), report.errors.timeout, "{report:?}");
}

#[test]
fn nobody_there_is_said_at_once() {
    // The near end of a connection: nobody listens there, and nobody else is given the port.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let address = held.local_addr().unwrap().to_string();
    let error = run(&timed(address.clone()), &numbers(1)).unwrap_err();
    assert!(error.message.contains("cannot connect"), "{error}");
    assert!(run(&timed(address), &[]).is_err());
}
