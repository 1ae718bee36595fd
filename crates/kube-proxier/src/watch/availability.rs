//! Whether the API server answers, for the log and the metrics.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::error::WatchError;

/// How often an outage that goes on is logged again.
const REMINDER: Duration = Duration::from_secs(300);

/// Whether the API server answers. One outage, of however many watches, is one line in the log when it begins, one every
/// five minutes, and one when it ends.
#[derive(Debug)]
pub(super) struct Availability {
    url: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The kinds whose last request failed.
    failing: BTreeSet<&'static str>,
    outage: Option<Outage>,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    since: SystemTime,
    began: Instant,
    logged: Instant,
}

impl Availability {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            state: Mutex::default(),
        }
    }

    /// When the outage began that goes on now, if one does.
    pub(super) fn away_since(&self) -> Option<SystemTime> {
        self.lock().outage.map(|outage| outage.since)
    }

    /// A request for objects of that kind failed because the server was away.
    pub(super) fn failed(&self, kind: &'static str, error: &WatchError) {
        let (mut state, now, url) = (self.lock(), Instant::now(), &self.url);
        state.failing.insert(kind);
        match &mut state.outage {
            None => {
                state.outage = Some(Outage {
                    since: SystemTime::now(),
                    began: now,
                    logged: now,
                });
                tracing::warn!(
                    server = url,
                    "the API server is away: {error}; what is programmed stays, and the server is probed until it \
                     is ready"
                );
            }
            Some(outage) if now.duration_since(outage.logged) >= REMINDER => {
                outage.logged = now;
                let since = humantime::format_rfc3339_seconds(outage.since);
                tracing::warn!(
                    server = url,
                    "the API server is away since {since}: {error}"
                );
            }
            Some(_) => tracing::debug!(kind, "{error}"),
        }
    }

    /// A request for objects of that kind was answered.
    pub(super) fn answered(&self, kind: &'static str) {
        let mut state = self.lock();
        state.failing.remove(kind);
        if !state.failing.is_empty() {
            return;
        }
        if let Some(outage) = state.outage.take() {
            let away = Duration::from_secs(outage.began.elapsed().as_secs());
            let away = humantime::format_duration(away);
            tracing::info!(
                server = self.url,
                "the API server is back; it was away for {away}"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::logging::tests::captured;
    use super::*;

    #[test]
    fn an_outage_of_all_watches_is_two_lines() {
        let error = WatchError::Timeout(Duration::from_secs(7));
        let text = captured(|| {
            let server = Availability::new("https://10.0.0.1:6443/".into());
            assert_eq!(server.away_since(), None);
            server.answered("Service");
            for kind in ["Service", "EndpointSlice", "Service"] {
                server.failed(kind, &error);
            }
            server.answered("Service");
            assert!(server.away_since().is_some(), "slices are still away");
            server.answered("EndpointSlice");
            assert_eq!(server.away_since(), None);
        });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        for part in [
            "WARN",
            "is away",
            "sent nothing for 7s",
            "https://10.0.0.1:6443/",
        ] {
            assert!(lines[0].contains(part), "{part}: {text}");
        }
        assert!(
            lines[1].contains("INFO") && lines[1].contains("is back"),
            "{text}"
        );
    }
}
