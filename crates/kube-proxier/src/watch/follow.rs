//! List, watch, and again what of it is needed.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{AsyncBufRead, AsyncBufReadExt};
use kube::api::{ListParams, WatchParams};
use kube::core::Request;
use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};

use super::super::Event;
use super::backoff::{Backoff, lengthened};
use super::intake::Intake;
use super::protocol::{Line, Page, What, version};
use super::trouble::Trouble;
use super::{ApiClient, Counters, Kind, Pace};

/// After so many answers in a row that no watch can be had from a version, the cluster is listed anew. A
/// server restored from a backup has never heard of the version, and need not say it is gone.
const WATCHES_REFUSED: u32 = 5;

/// Nobody receives any more.
struct Closed;

/// How a watch ended.
struct End {
    /// `Ok` where the server ended it in good order.
    why: Result<(), Trouble>,
    /// Whether it was of use.
    heard: bool,
}

/// Follows one kind of objects.
pub(super) struct Follower {
    client: ApiClient,
    kind: Kind,
    pace: Pace,
    counters: Arc<Counters>,
    events: Sender<Event>,
    intake: Intake,
    /// The version up to which everything is known; `None`: it is not, so a list is needed.
    version: Option<String>,
}

impl Follower {
    pub(super) fn new(
        client: ApiClient,
        kind: Kind,
        pace: Pace,
        counters: Arc<Counters>,
        events: Sender<Event>,
    ) -> Self {
        let intake = Intake::new(kind.clone(), Arc::clone(&counters));
        Self {
            client,
            kind,
            pace,
            counters,
            events,
            intake,
            version: None,
        }
    }

    /// Goes on until nobody receives any more.
    pub(super) async fn run(mut self) {
        let events = self.events.clone();
        tokio::select! {
            () = events.closed() => {}
            _closed = self.follow() => {}
        }
    }

    async fn follow(&mut self) -> Closed {
        let mut backoff = Backoff::new(self.pace.pause.clone());
        let mut refused = 0;
        loop {
            if self.version.is_none() {
                match self.list().await {
                    Ok(events) => {
                        if self.send(events).await.is_err() {
                            return Closed;
                        }
                        refused = 0;
                    }
                    Err(trouble) => {
                        self.pause(&mut backoff, Some(&trouble)).await;
                        continue;
                    }
                }
            }
            let started = Instant::now();
            let Ok(End { why, heard }) = self.watch().await else {
                return Closed;
            };
            let lasted = started.elapsed() >= *self.pace.pause.end();
            if heard || lasted {
                backoff.reset();
                refused = 0;
            }
            if matches!(why, Err(Trouble::Refused { .. })) {
                refused += 1;
            }
            let gone = why.as_ref().is_err_and(Trouble::needs_list);
            if gone || refused >= WATCHES_REFUSED {
                self.version = None;
            }
            // Even a watch that ends in good order is not started again at once, where it was short: it
            // may go on that way.
            if why.is_err() || !lasted {
                self.pause(&mut backoff, why.err().as_ref()).await;
            }
        }
    }

    async fn pause(&self, backoff: &mut Backoff, trouble: Option<&Trouble>) {
        let pause = backoff.pause();
        let (kind, again) = (self.kind.name(), humantime::format_duration(pause));
        if let Some(trouble) = trouble {
            self.counters.count_failure();
            let then = if self.version.is_some() {
                "watched on"
            } else {
                "listed"
            };
            tracing::warn!(
                kind,
                "{trouble}; what is known stays, to be {then} in {again}"
            );
        } else {
            tracing::debug!(kind, "A watch ended, next one in {again}");
        }
        sleep(pause).await;
    }

    async fn send(&self, events: impl IntoIterator<Item = Event>) -> Result<(), Closed> {
        for event in events {
            self.events.send(event).await.map_err(|_| Closed)?;
        }
        Ok(())
    }

    /// All there is, page by page.
    async fn list(&mut self) -> Result<Vec<Event>, Trouble> {
        self.intake.begin_list();
        let request = Request::new(self.kind.path());
        let mut params = ListParams {
            label_selector: self.kind.label_selector(),
            field_selector: self.kind.field_selector(),
            limit: Some(self.pace.page),
            ..ListParams::default()
        };
        loop {
            let request = request.list(&params).map_err(kube::Error::BuildRequest)?;
            let text = self.within(self.client.text(request)).await??;
            let page: Page<'_> = serde_json::from_str(&text).map_err(Trouble::Unreadable)?;
            for item in page.items.iter().flatten() {
                // What is JSON as a whole is so in its parts.
                self.intake
                    .list_item(serde_json::from_str(item.get()).unwrap_or_default());
            }
            let version = page.metadata.version().map(ToOwned::to_owned);
            params.continue_token = page.metadata.next();
            if params.continue_token.is_none() {
                self.version = Some(version.unwrap_or_default());
                self.counters.count_list();
                return Ok(self.intake.end_list());
            }
        }
    }

    async fn within<T>(&self, answer: impl Future<Output = T>) -> Result<T, Trouble> {
        let limit = self.pace.answer;
        timeout(limit, answer)
            .await
            .map_err(|_| Trouble::Silent(limit))
    }

    /// What happens from the known version on, for as long as the server goes on saying it.
    async fn watch(&mut self) -> Result<End, Closed> {
        self.counters.count_watch();
        let mut heard = false;
        let why = match self.open_watch().await {
            Ok((lines, lasts)) => self.read_watch(lines, lasts, &mut heard).await?,
            Err(trouble) => Err(trouble),
        };
        // Of a server that gives no versions nothing can be had but everything.
        if self.version.as_deref() == Some("") {
            self.version = None;
        }
        Ok(End { why, heard })
    }

    /// The watch, and how long it should last at the most.
    async fn open_watch(&self) -> Result<(impl AsyncBufRead + Send + use<>, Duration), Trouble> {
        let lasts = lengthened(self.pace.watch, 0.25);
        let params = WatchParams {
            label_selector: self.kind.label_selector(),
            field_selector: self.kind.field_selector(),
            timeout: Some(u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX).max(1)),
            ..WatchParams::default()
        };
        let request = Request::new(self.kind.path())
            .watch(&params, self.version.as_deref().unwrap_or_default())
            .map_err(kube::Error::BuildRequest)?;
        let lines = self.within(self.client.stream(request)).await??;
        Ok((lines, lasts))
    }

    async fn read_watch(
        &mut self,
        lines: impl AsyncBufRead,
        lasts: Duration,
        heard: &mut bool,
    ) -> Result<Result<(), Trouble>, Closed> {
        let mut lines = pin!(lines);
        let mut text = Vec::new();
        let mut silence = lasts + self.pace.answer;
        loop {
            text.clear();
            match timeout(silence, lines.read_until(b'\n', &mut text)).await {
                Err(_) => return Ok(Err(Trouble::Silent(silence))),
                Ok(Err(error)) => return Ok(Err(Trouble::BrokenOff(error))),
                Ok(Ok(0)) => return Ok(Ok(())),
                Ok(Ok(_)) => {}
            }
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let line: Line = match serde_json::from_slice(&text) {
                Ok(line) => line,
                // The last line of a stream that was cut.
                Err(error) if error.is_eof() && !text.ends_with(b"\n") => return Ok(Ok(())),
                Err(error) => return Ok(Err(Trouble::Unreadable(error))),
            };
            if line.what == What::Error {
                return Ok(Err(refusal(&line.object)));
            }
            *heard = true;
            let version = version(&line.object).map(ToOwned::to_owned);
            if line.what == What::Bookmark {
                silence = self.pace.silence.min(silence);
            }
            let events = match line.what {
                What::Added | What::Modified => self.intake.applied(line.object),
                What::Deleted => self.intake.gone(&line.object).into_iter().collect(),
                What::Bookmark | What::Error => Vec::new(),
            };
            self.send(events).await?;
            if version.is_some() {
                self.version = version;
            }
        }
    }
}

/// The Status that an ERROR line holds.
fn refusal(status: &Value) -> Trouble {
    let code = status.get("code").and_then(Value::as_u64).unwrap_or(500);
    let message = status.get("message").and_then(Value::as_str);
    Trouble::Refused {
        code: u16::try_from(code).unwrap_or(500),
        message: message.unwrap_or("no reason given").to_owned(),
    }
}
