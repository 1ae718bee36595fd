use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::TcpStream;

use super::super::health::tests::TestClock;
use super::super::http::tests::{request, run};
use super::*;

fn service(name: &str, port: u16, local_endpoints: usize) -> ServiceHealth {
    ServiceHealth::new(ObjectName::new("ns", name), port.try_into().unwrap())
        .with_local_endpoints(Family::V4, local_endpoints)
}

/// A port that nobody takes meanwhile: below those that the kernel gives by itself, and another one each time.
async fn free_port() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    loop {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id() * 10 + call) % 20_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("0.0.0.0", port)).await.is_ok() {
            return port;
        }
    }
}

async fn eventually(port: u16, wanted: &str) -> String {
    for _ in 0..3000 {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpStream::connect(address).await.is_ok() {
            let answer = request(address, "/").await;
            if answer.contains(wanted) {
                return answer;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {wanted}");
}

async fn closed(port: u16) {
    for _ in 0..3000 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{port} is still served");
}

/// Counts what is taken from it.
#[derive(Clone)]
struct Counted<'a> {
    services: std::slice::Iter<'a, ServiceHealth>,
    taken: &'a std::cell::Cell<usize>,
}

impl<'a> Iterator for Counted<'a> {
    type Item = &'a ServiceHealth;

    fn next(&mut self) -> Option<Self::Item> {
        self.taken.set(self.taken.get() + 1);
        self.services.next()
    }
}

#[test]
fn many_services_cost_a_look_at_each_and_not_at_each_for_each() {
    run(async {
        let mut servers = ServiceHealthServers::new(
            HealthState::new(Duration::from_secs(30)),
            Connections::new(1024),
        );
        let services: Vec<_> = (0..2000)
            .map(|n| service(&format!("s{n}"), 20_000 + n, 1))
            .collect();
        let taken = std::cell::Cell::new(0);
        for _ in 0..2 {
            taken.set(0);
            let counted = Counted {
                services: services.iter(),
                taken: &taken,
            };
            // Without an address nothing is bound.
            servers.update(counted, Some(&[]));
            assert!(taken.get() <= 2 * (services.len() + 1), "{}", taken.get());
            assert_eq!(servers.running.len(), services.len());
        }
    });
}

#[test]
fn each_service_is_answered_for_on_its_port() {
    run(async {
        let clock = TestClock::new();
        let health = HealthState::with_clock(Duration::from_secs(30), clock.clone());
        health.updated();
        let mut servers = ServiceHealthServers::new(health.clone(), Connections::new(1024));
        let (one, two) = (free_port().await, free_port().await);
        servers.update(&[service("a", one, 2)], None);
        let good = eventually(one, "200 OK").await;
        for header in [
            "content-type: application/json\r\n",
            "x-content-type-options: nosniff\r\n",
            "x-load-balancing-endpoint-weight: 2\r\n",
        ] {
            assert!(good.contains(header), "{header}: {good}");
        }
        let (_, body) = good.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(body).unwrap(),
            serde_json::json!({
                "service": {"namespace": "ns", "name": "a"}, "localEndpoints": 2, "serviceProxyHealthy": true,
            })
        );
        servers.update(&[service("a", one, 0), service("b", two, 1)], None);
        let none = eventually(one, "503 ").await;
        assert!(none.contains("\"localEndpoints\":0"), "{none}");
        eventually(two, "200 OK").await;
        // A proxy that does not keep up fails every Service's check; a Node to be deleted does not matter here.
        health.queued_update();
        clock.pass(60);
        let unhealthy = eventually(two, "503 ").await;
        assert!(
            unhealthy.contains("\"serviceProxyHealthy\":false"),
            "{unhealthy}"
        );
        health.updated();
        // `nodePortAddresses` that match none of the node's: nothing is served, rather than everything.
        servers.update(&[service("a", two, 1)], Some(&[]));
        closed(two).await;
        // Another port for one, and the other gone.
        servers.update(
            &[service("a", two, 1)],
            Some(&["127.0.0.1".parse().unwrap()]),
        );
        eventually(two, "\"name\":\"a\"").await;
        closed(one).await;
        drop(servers);
        closed(two).await;
    });
}

const QUESTION: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn send(stream: &TcpStream, what: &str) {
    assert_eq!(stream.try_write(what.as_bytes()).unwrap(), what.len());
}

/// What comes on a connection: an answer, or its end.
async fn received(stream: &TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        stream.readable().await.unwrap();
        let mut part = [0; 1024];
        match stream.try_read(&mut part) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&part[..read]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn who_asks_as_the_service_goes_is_not_told_that_it_is_there() {
    run(async {
        let health = HealthState::new(Duration::from_secs(30));
        let mut servers = ServiceHealthServers::new(health, Connections::new(1024));
        let port = free_port().await;
        servers.update(&[service("a", port, 2)], None);
        eventually(port, "200 OK").await;
        let mut kept = Vec::new();
        for _ in 0..50 {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            send(&stream, QUESTION);
            let good = received(&stream).await;
            assert!(good.starts_with("HTTP/1.1 200 "), "{good}");
            kept.push(stream);
        }
        // All but one ask at the very moment at which the Service goes.
        for asking in &kept[1..] {
            send(asking, QUESTION);
        }
        servers.update(&[], None);
        for stream in &kept {
            let answer = received(stream).await;
            // Mostly closed: the runtime ends the server before it looks at what came in.
            let gone = answer.is_empty() || answer.starts_with("HTTP/1.1 503 ");
            assert!(gone, "{answer}");
        }
        closed(port).await;
    });
}

#[test]
fn each_family_is_answered_for_with_its_own_endpoints() {
    run(async {
        let health = HealthState::new(Duration::from_secs(30));
        let mut servers = ServiceHealthServers::new(health, Connections::new(1024));
        let port = free_port().await;
        let both = service("a", port, 2).with_local_endpoints(Family::V6, 0);
        servers.update(&[both], None);
        let v4 = eventually(port, "200 OK").await;
        assert!(v4.contains("\"localEndpoints\":2"), "{v4}");
        assert!(v4.contains("x-load-balancing-endpoint-weight: 2"), "{v4}");
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        // Without IPv6 on this machine nobody can ask over it.
        if TcpStream::connect(v6).await.is_ok() {
            let v6 = request(v6, "/").await;
            assert!(v6.starts_with("HTTP/1.1 503 "), "{v6}");
            assert!(v6.contains("\"localEndpoints\":0"), "{v6}");
            assert!(v6.contains("x-load-balancing-endpoint-weight: 0"), "{v6}");
        }
    });
}

#[test]
fn a_port_that_is_taken_is_served_on_once_it_is_free() {
    run(async {
        let taken = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut servers = ServiceHealthServers::new(
            HealthState::new(Duration::from_secs(30)),
            Connections::new(1024),
        );
        servers.update(
            &[service("a", port, 1)],
            Some(&["127.0.0.1".parse().unwrap()]),
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(taken);
        eventually(port, "200 OK").await;
    });
}
