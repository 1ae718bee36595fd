//! Clients that do not speak as they should, and that keep nobody from being answered.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpListener;

use super::tests::{no_traffic, request, run};
use super::*;
use crate::metrics::Metrics;

/// What comes back after these bytes, until the server closes.
async fn answer(address: SocketAddr, bytes: Vec<u8>) -> String {
    let ask = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        // It may close before all is written.
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

async fn served(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Connections::new(1024);
    tokio::spawn(async move { connections.serve("test", listener, routes).await });
    address
}

#[test]
fn odd_requests_get_an_answer_or_an_end_and_hurt_nobody() {
    run(async {
        let health = HealthState::new(Duration::from_secs(30));
        health.updated();
        let metrics = Metrics::new().unwrap();
        let routes = health_routes(&health, &metrics).merge(Router::new().route(
            "/metrics",
            get(move || async move { exposition(metrics.text()) }),
        ));
        let address = served(routes).await;
        let head = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        let long = "x".repeat(1 << 20);
        let many: String = (0..2000).map(|n| format!("X-{n}: y\r\n")).collect();
        let cases: Vec<(String, &[&str])> = vec![
            (format!("HEAD /metrics {head}\r\n"), &["200"]),
            (format!("GET http://elsewhere/healthz {head}\r\n"), &["200"]),
            (format!("GET /healthz?a=b#c {head}\r\n"), &["200", "400"]),
            (
                format!("POST /healthz {head}Content-Length: 5\r\n\r\nhello"),
                &["405"],
            ),
            (
                format!(
                    "PUT /metrics {head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                ),
                &["405"],
            ),
            (
                format!(
                    "GET /healthz {head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"
                ),
                &["200", "400", ""],
            ),
            (
                format!(
                    "GET /healthz {head}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"
                ),
                &["200", "400"],
            ),
            (format!("DELETE /healthz {head}\r\n"), &["405"]),
            (format!("TRACE /healthz {head}\r\n"), &["405"]),
            (format!("OPTIONS * {head}\r\n"), &["404", "405", "400"]),
            (format!("CONNECT a:1 {head}\r\n"), &["404", "405", "400"]),
            (format!("GET /../../etc/passwd {head}\r\n"), &["404"]),
            (format!("GET /%00%1b[2J {head}\r\n"), &["404", "400"]),
            ("GET /healthz\r\n\r\n".to_owned(), &["", "400"]),
            (
                format!("GET /healthz {head}X-Long: {long}\r\n\r\n"),
                &["431", "400", ""],
            ),
            (
                format!("GET /{long} {head}\r\n"),
                &["414", "431", "400", ""],
            ),
            (
                format!("GET /healthz {head}{many}\r\n"),
                &["431", "400", ""],
            ),
            ("\0\0\0\0\r\n\r\n".to_owned(), &["", "400"]),
            ("\u{16}\u{3}\u{1}\u{2}".repeat(100), &["", "400"]),
            (
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
                &["", "400", "404", "505"],
            ),
        ];
        for (bytes, expected) in cases {
            let shown: String = bytes.chars().take(80).collect();
            let answer = answer(address, bytes.into_bytes()).await;
            let status = answer.split(' ').nth(1).unwrap_or_default();
            assert!(expected.contains(&status), "{shown:?}: {answer:?}");
            let good = request(address, "/healthz").await;
            assert!(
                good.starts_with("HTTP/1.1 200"),
                "after {shown:?}: {good:?}"
            );
        }
        // What HEAD answers has no body.
        let answer_to_head =
            answer(address, format!("HEAD /metrics {head}\r\n").into_bytes()).await;
        assert!(answer_to_head.ends_with("\r\n\r\n"), "{answer_to_head}");
        // Many at once are answered one after the other.
        let one = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        let last = format!("GET /healthz {head}\r\n");
        let answers = answer(address, (one.repeat(99) + &last).into_bytes()).await;
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 100);
    });
}

/// A client that asks for much and reads nothing of it holds one connection, until its time is over.
#[test]
fn a_client_that_does_not_read_keeps_nobody_waiting() {
    run(async {
        let metrics = Metrics::new().unwrap();
        let address = served(metrics_routes(&metrics, &no_traffic())).await;
        let mut slow = Vec::new();
        for _ in 0..32 {
            let mut stream = TcpStream::connect(address).unwrap();
            let one = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.set_nonblocking(true).unwrap();
            let _ = stream.write(one.repeat(500).as_bytes());
            slow.push(stream);
        }
        for _ in 0..5 {
            let good = request(address, "/healthz").await;
            assert!(good.ends_with("\r\n\r\nok"), "{good:?}");
        }
        drop(slow);
    });
}
