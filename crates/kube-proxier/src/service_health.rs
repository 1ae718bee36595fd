//! One HTTP server for each Service with a `healthCheckNodePort`, which load balancers ask whether this node has
//! endpoints of it.
//!
//! Answers and addresses are kube-proxy's (`pkg/proxy/healthcheck/service_health.go` in kubernetes/kubernetes). A
//! port that cannot be bound is tried again, which kube-proxy leaves to the next change.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::{Extension, Router};
use proxier::ServiceHealth;
use proxier::cluster::{Family, ObjectName};
use tokio::net::TcpListener;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::health::{self, HealthState};
use super::http::{Connections, LocalAddress};

/// How long until a port that is taken is tried again.
const AGAIN: Duration = Duration::from_secs(2);

const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");

/// The servers. Dropping them stops them.
pub struct ServiceHealthServers {
    health: HealthState,
    connections: Connections,
    addresses: Vec<IpAddr>,
    running: BTreeMap<ObjectName, Server>,
}

struct Server {
    port: u16,
    current: Current,
    tasks: Vec<JoinHandle<()>>,
}

/// What is answered now; `None` once the Service has none of it any more.
type Current = Arc<Mutex<Option<ServiceHealth>>>;

fn set(current: &Current, health: Option<ServiceHealth>) {
    *current.lock().unwrap_or_else(PoisonError::into_inner) = health;
}

impl Drop for Server {
    fn drop(&mut self) {
        // Connections are closed with the listener, by the runtime's thread. Whom it answers before that is told
        // "not here".
        set(&self.current, None);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl ServiceHealthServers {
    /// No servers yet.
    #[must_use]
    pub fn new(health: HealthState, connections: Connections) -> Self {
        Self {
            health,
            connections,
            addresses: vec![Ipv6Addr::UNSPECIFIED.into()],
            running: BTreeMap::new(),
        }
    }

    /// Serves exactly these Services. `addresses` are those that node ports are served on where `nodePortAddresses`
    /// restricts them, which may be none at all; with `None`, all of the node's are served on. Must be called within a
    /// tokio runtime.
    pub fn update(&mut self, services: &[ServiceHealth], addresses: Option<&[IpAddr]>) {
        // The unspecified address is of both families; where there is no IPv6, `listen` takes 0.0.0.0.
        let all = [Ipv6Addr::UNSPECIFIED.into()];
        let mut addresses = addresses.unwrap_or(&all).to_vec();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses != self.addresses {
            self.running.clear();
            self.addresses = addresses;
        }
        let wanted: BTreeMap<_, _> = services
            .iter()
            .map(|service| (&service.service, service.port.get()))
            .collect();
        self.running
            .retain(|name, server| wanted.get(name) == Some(&server.port));
        for service in services {
            if let Some(server) = self.running.get(&service.service) {
                set(&server.current, Some(service.clone()));
                continue;
            }
            let server = self.start(service);
            self.running.insert(service.service.clone(), server);
        }
    }

    fn start(&self, service: &ServiceHealth) -> Server {
        let current = Arc::new(Mutex::new(Some(service.clone())));
        let tasks = self.addresses.iter().map(|address| {
            let (name, health, current) = (
                service.service.clone(),
                self.health.clone(),
                Arc::clone(&current),
            );
            let address = SocketAddr::new(*address, service.port.get());
            let connections = self.connections.clone();
            tokio::spawn(async move { serve(name, address, health, current, &connections).await })
        });
        Server {
            port: service.port.get(),
            tasks: tasks.collect(),
            current,
        }
    }
}

async fn serve(
    name: ObjectName,
    address: SocketAddr,
    health: HealthState,
    current: Current,
    connections: &Connections,
) {
    let (listener, _permit) = listen(&name, address, connections).await;
    // Any path, as kube-proxy has it.
    let answering = name.clone();
    let routes = Router::new().fallback(move |Extension(local): Extension<LocalAddress>| {
        let current = current.lock().unwrap_or_else(PoisonError::into_inner);
        let count = current
            .as_ref()
            .map_or(0, |health| health.local_endpoints_over(family(local)));
        let answer = answer(&answering, count, health.health().healthy);
        std::future::ready(answer)
    });
    connections.serve("health check", listener, routes).await;
}

/// A listening socket, and the room for it.
async fn listen(
    name: &ObjectName,
    address: SocketAddr,
    connections: &Connections,
) -> (TcpListener, OwnedSemaphorePermit) {
    let mut logged = false;
    loop {
        let error = match (connections.listener(), bind(address).await) {
            (Some(permit), Ok(listener)) => {
                tracing::debug!(service = %name, %address, "health check served");
                return (listener, permit);
            }
            (_, Err(error)) => error,
            (None, Ok(_)) => io::Error::other(
                "there are too many health checks for the number of files that this process may open: raise its limit",
            ),
        };
        if logged {
            tracing::debug!(service = %name, %address, %error, "health check not served");
        } else {
            tracing::error!(
                service = %name, %address, %error,
                "health check cannot be served: load balancers take this node for unhealthy; trying again every 2s"
            );
        }
        logged = true;
        tokio::time::sleep(AGAIN).await;
    }
}

/// The family that a check came over. A socket for both families has IPv4 addresses mapped to IPv6 ones.
fn family(LocalAddress(address): LocalAddress) -> Family {
    Family::of(address.ip().to_canonical())
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    let no_ipv6 = bound.as_ref().is_err_and(|error| {
        // EAFNOSUPPORT, EADDRNOTAVAIL: with `ipv6.disable=1`, with `disable_ipv6`.
        matches!(error.raw_os_error(), Some(97 | 99))
    });
    if no_ipv6 && address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return TcpListener::bind(("0.0.0.0", address.port())).await;
    }
    bound
}

fn answer(name: &ObjectName, local_endpoints: usize, healthy: bool) -> Response {
    let body = serde_json::json!({
        "service": {"namespace": name.namespace(), "name": name.name()},
        "localEndpoints": local_endpoints,
        "serviceProxyHealthy": healthy,
    });
    let mut response = health::json(local_endpoints > 0 && healthy, body.to_string());
    response
        .headers_mut()
        .insert(WEIGHT, HeaderValue::from(local_endpoints));
    response
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::super::health::tests::TestClock;
    use super::super::http::tests::{request, run};
    use super::*;

    fn service(name: &str, port: u16, local_endpoints: usize) -> ServiceHealth {
        ServiceHealth::new(ObjectName::new("ns", name), port.try_into().unwrap())
            .with_local_endpoints(Family::V4, local_endpoints)
    }

    /// A port that was free a moment ago.
    async fn free_port() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    }

    async fn eventually(port: u16, wanted: &str) -> String {
        for _ in 0..500 {
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
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{port} is still served");
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
            // A proxy that does not keep up is no good for any Service; a Node to be deleted is no matter here.
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

    fn say(stream: &TcpStream, what: &str) {
        assert_eq!(stream.try_write(what.as_bytes()).unwrap(), what.len());
    }

    /// What comes on a connection: an answer, or its end.
    async fn heard(stream: &TcpStream) -> String {
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
                say(&stream, QUESTION);
                let good = heard(&stream).await;
                assert!(good.starts_with("HTTP/1.1 200 "), "{good}");
                kept.push(stream);
            }
            // All but one ask at the very moment at which the Service goes.
            for asking in &kept[1..] {
                say(asking, QUESTION);
            }
            servers.update(&[], None);
            for stream in &kept {
                let answer = heard(stream).await;
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
            // Where this machine has no IPv6, there is no such question.
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
}
