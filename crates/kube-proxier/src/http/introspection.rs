//! Pages about the process itself, on the metrics address, where kube-proxy v1.36 has them: `/configz`, `/flagz`,
//! `/statusz` and `/metrics/slis`. The first and the last are for programs; the others are for people, and their form may
//! change.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::super::health::{Health, HealthState};

/// What is shown of how the process was started, and runs.
#[derive(Clone, Debug)]
pub(crate) struct Introspection {
    /// The configuration in force, as a `KubeProxyConfiguration`.
    config: Arc<Mutex<Value>>,
    /// The command line, a word each.
    flags: Arc<[String]>,
    started: SystemTime,
    began: Instant,
}

impl Introspection {
    pub(crate) fn new(config: Value, flags: impl IntoIterator<Item = String>) -> Self {
        Self {
            config: Arc::new(Mutex::new(config)),
            flags: flags.into_iter().collect(),
            started: SystemTime::now(),
            began: Instant::now(),
        }
    }

    /// Another configuration is in force.
    pub(crate) fn set_config(&self, config: Value) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn configz(&self) -> Response {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let body = json!({"kubeproxy.config.k8s.io": *config}).to_string();
        typed("application/json", body)
    }

    fn flagz(&self) -> Response {
        let mut text = "kube-proxier flags, as given\n\n".to_owned();
        for flag in self.flags.iter() {
            text.push_str(&proxier_manifest::printable_within(flag, 4096, &[]));
            text.push('\n');
        }
        typed(PLAIN, text)
    }

    fn statusz(&self) -> Response {
        let up = Duration::from_secs(self.began.elapsed().as_secs());
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let mode = config.get("mode").and_then(Value::as_str);
        let mode = mode.unwrap_or_default().to_owned();
        drop(config);
        let mut text = "kube-proxier status\n\n".to_owned();
        for (name, value) in [
            (
                "Started",
                humantime::format_rfc3339_seconds(self.started).to_string(),
            ),
            ("Up", humantime::format_duration(up).to_string()),
            ("Binary version", env!("CARGO_PKG_VERSION").to_owned()),
            ("Mode", mode),
            ("Paths", PATHS.join(" ")),
        ] {
            // A String takes whatever is written.
            let _ = writeln!(text, "{name}: {value}");
        }
        typed(PLAIN, text)
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";
const PATHS: [&str; 8] = [
    "/",
    "/configz",
    "/flagz",
    "/healthz",
    "/metrics",
    "/metrics/slis",
    "/proxyMode",
    "/statusz",
];

/// The pages.
pub(crate) fn routes(pages: &Introspection, health: &HealthState) -> Router {
    let [configz, flagz, statusz] = [(); 3].map(|()| pages.clone());
    let health = health.clone();
    Router::new()
        .route("/configz", get(move || async move { configz.configz() }))
        .route("/flagz", get(move || async move { flagz.flagz() }))
        .route("/statusz", get(move || async move { statusz.statusz() }))
        .route(
            "/metrics/slis",
            get(move || async move { slis(&health.health()) }),
        )
}

/// The health checks as metrics, by the names of component-base's.
fn slis(health: &Health) -> Response {
    let mut text = "# HELP kubernetes_healthcheck Whether a health check succeeds.\n\
                    # TYPE kubernetes_healthcheck gauge\n"
        .to_owned();
    for (name, good) in [
        ("healthz", health.healthy && health.node_eligible),
        ("livez", health.alive),
    ] {
        let _ = writeln!(
            text,
            "kubernetes_healthcheck{{name=\"{name}\",type=\"{name}\"}} {}",
            u8::from(good)
        );
    }
    typed("text/plain; version=0.0.4; charset=utf-8", text)
}

fn typed(content_type: &'static str, body: String) -> Response {
    let content_type = HeaderValue::from_static(content_type);
    let nosniff = HeaderValue::from_static("nosniff");
    (
        [
            (header::CONTENT_TYPE, content_type),
            (header::X_CONTENT_TYPE_OPTIONS, nosniff),
        ],
        body,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{request, run, start};
    use super::*;

    #[test]
    fn the_process_shows_how_it_runs() {
        run(async {
            let flags = ["--config=/etc/kube-proxy.conf", "--v=2\nx"].map(ToOwned::to_owned);
            let pages = Introspection::new(json!({"mode": "ipvs"}), flags);
            let health = HealthState::new(Duration::from_secs(30));
            let address = start(routes(&pages, &health)).await;
            let body = |answer: String| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
            let config = || async { body(request(address, "/configz").await) };
            assert_eq!(
                config().await,
                r#"{"kubeproxy.config.k8s.io":{"mode":"ipvs"}}"#
            );
            pages.set_config(json!({"mode": "ipvs", "nodePortAddresses": ["primary"]}));
            assert!(config().await.contains("primary"));
            let flags = body(request(address, "/flagz").await);
            assert!(
                flags.ends_with("\n--config=/etc/kube-proxy.conf\n--v=2\\nx\n"),
                "{flags}"
            );
            let status = body(request(address, "/statusz").await);
            for part in ["Started: 20", "Up: ", "Binary version: 0.", "/metrics/slis"] {
                assert!(status.contains(part), "{part}: {status}");
            }
            let slis = || async { body(request(address, "/metrics/slis").await) };
            let healthz = "kubernetes_healthcheck{name=\"healthz\",type=\"healthz\"} ";
            assert!(slis().await.contains(&format!("{healthz}1\n")));
            health.node_deleting(true);
            assert!(slis().await.contains(&format!("{healthz}0\n")));
        });
    }
}
