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
    pub fn update<'a>(
        &mut self,
        services: impl IntoIterator<Item = &'a ServiceHealth> + Clone,
        addresses: Option<&[IpAddr]>,
    ) {
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
            .clone()
            .into_iter()
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
mod tests;
