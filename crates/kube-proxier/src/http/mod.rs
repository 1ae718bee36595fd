//! The servers of health and metrics.

mod connections;
#[cfg(test)]
mod hostile;
mod introspection;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

pub use self::connections::Connections;
pub(super) use self::connections::LocalAddress;
pub(super) use self::introspection::{Introspection, routes as introspection_routes};
use super::health::{HealthState, healthz, livez};
use super::metrics::Metrics;
use super::traffic::Traffic;

/// How long until an address that is taken is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// What is served on the health address: `/healthz` and `/livez`.
pub(super) fn health_routes(health: &HealthState, metrics: &Metrics) -> Router {
    let (state, counters) = (health.clone(), metrics.clone());
    let healthz = move || async move {
        let response = healthz(state.health());
        counters.healthz(response.status().as_u16());
        response
    };
    let (state, counters) = (health.clone(), metrics.clone());
    let livez = move || async move {
        let response = livez(state.health());
        counters.livez(response.status().as_u16());
        response
    };
    Router::new()
        .route("/healthz", get(healthz))
        .route("/livez", get(livez))
}

/// What is served on the metrics address: `/metrics`, `/proxyMode` and `/healthz`, which here reports only that the
/// process runs, as kube-proxy's does.
pub(super) fn metrics_routes(metrics: &Metrics, traffic: &Traffic) -> Router {
    let (metrics, mode, traffic) = (metrics.clone(), metrics.clone(), traffic.clone());
    let exposed = move || async move {
        let traffic = traffic.text().await;
        exposition(metrics.text() + &traffic)
    };
    Router::new()
        .route("/metrics", get(exposed))
        .route("/proxyMode", get(move || async move { plain(mode.mode()) }))
        .route("/healthz", get(|| async { plain("ok") }))
}

fn plain(text: &'static str) -> Response {
    let nosniff = HeaderValue::from_static("nosniff");
    ([(header::X_CONTENT_TYPE_OPTIONS, nosniff)], text).into_response()
}

fn exposition(text: String) -> Response {
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, format)], text).into_response()
}

/// Serves on an address until dropped. One that cannot be bound is logged and tried again; with `hard_fail` it is
/// an error.
///
/// # Errors
/// Why the address cannot be bound, with `hard_fail` only.
pub(super) async fn serve(
    what: &str,
    address: SocketAddr,
    routes: Router,
    hard_fail: bool,
    connections: &Connections,
) -> io::Result<Infallible> {
    let mut reported = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) if hard_fail => {
                let message = format!("{what} on {address}: {error}");
                return Err(io::Error::new(error.kind(), message));
            }
            Err(error) => {
                if !reported {
                    tracing::error!(%address, %error, "{what} cannot be served; trying again");
                }
                reported = true;
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    tracing::info!(%address, "{what} is served");
    Ok(connections.serve(what, listener, routes).await)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::health::tests::TestClock;
    use super::super::traffic::SyncCount;
    use proxier::Layout;

    use super::*;
    use std::future::Future;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// What a server on this machine answers, whole. Nothing where it does not: one that is just being replaced may
    /// cut a connection.
    pub(crate) async fn request(address: SocketAddr, path: &str) -> String {
        let path = path.to_owned();
        let ask = move || -> io::Result<String> {
            let mut stream = TcpStream::connect(address)?;
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = tokio::task::spawn_blocking(ask).await.unwrap();
        answer.unwrap_or_default()
    }

    pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(test)
    }

    pub(crate) async fn start(routes: Router) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    /// Where no loop says what Services there are.
    pub(crate) fn no_traffic() -> Traffic {
        let (events, _) = tokio::sync::mpsc::channel(1);
        Traffic::new(events, SyncCount::default(), 0)
    }

    fn status(answer: &str) -> &str {
        answer.split(' ').nth(1).unwrap()
    }

    /// Held against `pkg/proxy/healthcheck/proxy_health.go` of Kubernetes at commit
    /// 81810de635aa13aa0a32992f6def3aa9d6025ebc, whose bodies came with v1.33 (kubernetes#129271), and against what kube-proxy
    /// 1.36.2 answered when it was run: the same fields in the same order, times of RFC 3339, and no `/readyz`.
    #[test]
    fn health_is_answered_as_kube_proxy_answers() {
        run(async {
            let clock = TestClock::new();
            let health = HealthState::with_clock(Duration::from_secs(30), clock.clone());
            let metrics = Metrics::new().unwrap();
            let address = start(health_routes(&health, &metrics)).await;
            health.updated();

            let good = request(address, "/healthz").await;
            let time = "1970-01-12T13:46:40Z";
            assert_eq!(status(&good), "200");
            assert!(
                good.contains("content-type: application/json\r\n"),
                "{good}"
            );
            assert!(
                good.contains("x-content-type-options: nosniff\r\n"),
                "{good}"
            );
            assert!(
                good.ends_with(&format!(
                    "\r\n\r\n{{\"lastUpdated\":\"{time}\",\"currentTime\":\"{time}\",\"nodeEligible\":true,\
                     \"healthy\":true,\"status\":{{\"IPv4\":{{\"lastUpdated\":\"{time}\",\"healthy\":true}},\
                     \"IPv6\":{{\"lastUpdated\":\"{time}\",\"healthy\":true}}}}}}"
                )),
                "{good}"
            );

            assert_eq!(status(&request(address, "/readyz").await), "404");

            health.node_deleting(true);
            let deleting = request(address, "/healthz").await;
            assert_eq!(status(&deleting), "503");
            assert!(
                deleting.contains("\"nodeEligible\":false,\"healthy\":true"),
                "{deleting}"
            );
            assert_eq!(status(&request(address, "/livez").await), "200");
            health.node_deleting(false);

            health.failing(true);
            health.pending(true);
            let failing = request(address, "/livez").await;
            assert_eq!(status(&failing), "200");
            assert!(
                failing.contains("x-kube-proxier-pending-failures: true"),
                "{failing}"
            );
            health.queued_update();
            health.attempted();
            clock.pass(60);
            assert_eq!(status(&request(address, "/healthz").await), "503");
            assert_eq!(status(&request(address, "/livez").await), "200");
            health.failing(false);
            health.updated();

            health.queued_update();
            health.set_ipv6(false);
            clock.pass(60);
            let late = request(address, "/livez").await;
            assert_eq!(status(&late), "503");
            assert!(
                late.ends_with(
                    "{\"lastUpdated\":\"1970-01-12T13:47:40Z\",\"currentTime\":\"1970-01-12T13:48:40Z\",\
                     \"healthy\":false,\
                     \"status\":{\"IPv4\":{\"lastUpdated\":\"1970-01-12T13:47:40Z\",\"healthy\":false}}}"
                ),
                "{late}"
            );
            assert_eq!(status(&request(address, "/healthz").await), "503");

            let text = metrics.text();
            for line in [
                "kubeproxy_proxy_healthz_total{code=\"200\"} 1",
                "kubeproxy_proxy_healthz_total{code=\"503\"} 3",
                "kubeproxy_proxy_livez_total{code=\"200\"} 3",
                "kubeproxy_proxy_livez_total{code=\"503\"} 1",
            ] {
                assert!(text.contains(line), "{line}: {text}");
            }
        });
    }

    #[test]
    fn metrics_and_the_mode_are_served() {
        run(async {
            let metrics = Metrics::new().unwrap();
            let address = start(metrics_routes(&metrics, &no_traffic())).await;
            let mode = request(address, "/proxyMode").await;
            assert!(
                mode.starts_with("HTTP/1.1 200 OK\r\n") && mode.ends_with("\r\n\r\nipvs"),
                "{mode}"
            );
            metrics.set_mode(Layout::Iptables, Some("module ip_vs: absent"));
            let mode = request(address, "/proxyMode").await;
            assert!(mode.ends_with("\r\n\r\niptables"), "{mode}");
            let text = request(address, "/metrics").await;
            let fallback = "kube_proxier_fallback{missing=\"module ip_vs: absent\"} 1";
            assert!(text.contains(fallback), "{text}");
            metrics.set_mode(Layout::Current, None);
            assert!(
                !request(address, "/metrics")
                    .await
                    .contains("kube_proxier_fallback{")
            );
            assert!(request(address, "/healthz").await.ends_with("\r\n\r\nok"));
            let text = request(address, "/metrics").await;
            assert!(
                text.contains("content-type: text/plain; version=0.0.4"),
                "{text}"
            );
            assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
            assert_eq!(status(&request(address, "/other").await), "404");
        });
    }

    #[test]
    fn a_taken_address_ends_it_only_when_asked() {
        run(async {
            let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = taken.local_addr().unwrap();
            let connections = Connections::new(1024);
            let failed = serve("test", address, Router::new(), true, &connections).await;
            assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::AddrInUse);
            let routes = metrics_routes(&Metrics::new().unwrap(), &no_traffic());
            let server =
                tokio::spawn(
                    async move { serve("test", address, routes, false, &connections).await },
                );
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(!server.is_finished());
            server.abort();
        });
    }
}
