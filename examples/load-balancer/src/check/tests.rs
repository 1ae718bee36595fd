use std::net::TcpListener;

use super::*;

impl Checker {
    /// One without a thread.
    pub(crate) fn idle() -> Self {
        let health = Health::default();
        let (_stop, _) = channel();
        Self { health, _stop }
    }
}

/// The states after each result, with rise 2 and fall 3.
fn states(results: &str) -> String {
    let mut health = Health::default();
    let states = results.chars().map(|result| {
        let before = health.state;
        let changed = health.record(result == '+', &Check::default());
        assert_eq!(changed, before != health.state);
        match health.state {
            State::Unknown => '?',
            State::Up => 'U',
            State::Down => 'd',
        }
    });
    states.collect()
}

#[test]
fn the_first_result_decides() {
    assert_eq!(states("+"), "U");
    assert_eq!(states("-"), "d");
}

#[test]
fn results_in_a_row_change_the_state() {
    assert_eq!(states("+---++"), "UUUddU");
    assert_eq!(states("-++---"), "ddUUUd");
}

#[test]
fn a_result_that_agrees_starts_the_count_anew() {
    assert_eq!(states("+--+--+---"), "UUUUUUUUUd");
    assert_eq!(states("-+-+-++"), "ddddddU");
}

#[test]
fn results_are_counted() {
    let mut health = Health::default();
    for passed in [true, false, false] {
        health.record(passed, &Check::default());
    }
    assert_eq!((health.passed, health.failed), (1, 2));
}

fn target(address: SocketAddr, kind: Kind) -> Target {
    let path = "/healthz".to_owned();
    let check = Check {
        kind,
        path,
        interval: Duration::from_millis(1),
        ..Check::default()
    };
    Target { address, check }
}

/// What a check comes to where the server answers so, and what the server was asked.
fn answered(answer: &'static str) -> (Result<(), String>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target(listener.local_addr().unwrap(), Kind::Http);
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let asked = lines.by_ref().map(Result::unwrap);
        let asked: Vec<_> = asked.take_while(|line| !line.is_empty()).collect();
        stream.write_all(answer.as_bytes()).unwrap();
        asked.join("|")
    });
    let result = target.probe().map_err(|failure| failure.to_string());
    (result, server.join().unwrap())
}

#[test]
fn http_is_judged_by_its_status() {
    let (result, asked) = answered("HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(result, Ok(()));
    assert!(
        asked.starts_with("GET /healthz HTTP/1.1|Host: 127.0.0.1:"),
        "{asked}"
    );
    assert!(asked.ends_with("|Connection: close"), "{asked}");
    for (answer, expected) in [
        ("HTTP/1.0 204\r\n", Ok(())),
        ("HTTP/1.1 399 \n", Ok(())),
        ("HTTP/1.1 400 Bad Request\r\n", Err("HTTP status 400")),
        ("HTTP/1.1 199 -\r\n", Err("HTTP status 199")),
        (
            "HTTP/1.1 503 Service Unavailable\r\n",
            Err("HTTP status 503"),
        ),
        ("HTTP/1.1\r\n", Err("the answer is not HTTP")),
        ("SSH-2.0-x 200 \r\n", Err("the answer is not HTTP")),
        ("", Err("the answer is not HTTP")),
    ] {
        assert_eq!(
            answered(answer).0,
            expected.map_err(str::to_owned),
            "{answer}"
        );
    }
}

#[test]
fn tcp_is_judged_by_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target(listener.local_addr().unwrap(), Kind::Tcp);
    assert!(target.probe().is_ok());
    drop(listener);
    let failure = target.probe().unwrap_err().to_string();
    assert!(failure.contains("refused"), "{failure}");
}

#[test]
fn a_checker_checks_until_it_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target(listener.local_addr().unwrap(), Kind::Tcp);
    let (events, received) = channel();
    let checker = Checker::start(target.clone(), events).unwrap();
    for _ in 0..3 {
        match received.recv().unwrap() {
            Event::Checked(checked, Ok(())) => assert_eq!(checked, target),
            event => panic!("{event:?}"),
        }
    }
    drop(checker);
    // The thread has the only sender: this ends when the thread does.
    assert!(
        received
            .iter()
            .all(|event| matches!(event, Event::Checked(..)))
    );
}
