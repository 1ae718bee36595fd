//! The page at `/` of the metrics address: what this node serves, for people.
//!
//! It is plain HTML without scripts, and needs nothing but itself. What it shows of the engine, the loop gathers in its own
//! time, a page at most.

mod content;
mod html;
mod recent;
mod render;
mod search;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proxier::Engine;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::content::Content;
pub(crate) use self::recent::Recent;
use self::render::{STYLE, Shown};
use self::search::Ask;
use crate::event::Event;
use crate::health::HealthState;
use crate::inquiry::Inquiry;
use crate::watch::Counters;

/// How long the loop may take to gather a page.
const PATIENCE: Duration = Duration::from_secs(2);

/// The page. A clone is the same.
#[derive(Clone)]
pub(crate) struct Page {
    events: mpsc::Sender<Event>,
    node: Arc<str>,
    started: SystemTime,
    health: HealthState,
    counters: Arc<Counters>,
    recent: Recent,
    policy: HeaderValue,
}

impl Page {
    /// The page of a node. By `events` the loop receives questions.
    pub(crate) fn new(
        events: mpsc::Sender<Event>,
        node: &str,
        health: HealthState,
        counters: Arc<Counters>,
        recent: Recent,
    ) -> Self {
        Self {
            events,
            node: node.into(),
            started: SystemTime::now(),
            health,
            counters,
            recent,
            policy: content_security_policy(),
        }
    }

    async fn answer(&self, query: Option<&str>) -> Response {
        let ask = Ask::of(query);
        let asked = ask.clone();
        let (inquiry, answer) = Inquiry::new(move |engine: &Engine| Content::of(engine, &asked));
        let gathered = async {
            self.events.send(Event::Asked(inquiry)).await.ok()?;
            answer.await.ok()
        };
        let content = timeout(PATIENCE, gathered).await.ok().flatten();
        let html = Shown {
            node: &self.node,
            started: self.started,
            now: SystemTime::now(),
            ask: &ask,
            health: self.health.health(),
            away_since: self.counters.away_since(),
            refused: self.counters.refused_objects(),
            told: self.recent.told(),
            content,
        }
        .html();
        let text = |text| HeaderValue::from_static(text);
        let headers: [(HeaderName, HeaderValue); 5] = [
            (header::CONTENT_TYPE, text("text/html; charset=utf-8")),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            (header::X_CONTENT_TYPE_OPTIONS, text("nosniff")),
            (header::REFERRER_POLICY, text("no-referrer")),
            (header::CACHE_CONTROL, text("no-store")),
        ];
        (headers, html).into_response()
    }
}

/// The route of the page.
pub(crate) fn routes(page: &Page) -> Router {
    let page = page.clone();
    let answer =
        move |RawQuery(query): RawQuery| async move { page.answer(query.as_deref()).await };
    Router::new().route("/", get(answer))
}

/// Allows the page's own style, and its form to this server; no scripts, nothing from elsewhere, and no frame around it.
fn content_security_policy() -> HeaderValue {
    let style = STANDARD.encode(hmac_sha256::Hash::hash(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    // Base64 is in ASCII.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

#[cfg(test)]
mod tests;
