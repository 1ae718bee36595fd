//! A watch: what happens from a version on.

use std::pin::Pin;
use std::time::Duration;

use futures_util::AsyncBufRead;
use kube::api::WatchParams;
use kube::core::Request;
use tokio::time::timeout;

use super::backoff::lengthened;
use super::error::WatchError;
use super::follow::{Closed, End, Follower};
use super::kind::Kind;
use super::protocol::{EventType, Format, Received};
use super::request::{read_frame, read_line};

/// A watch that was opened.
pub(super) struct Watch {
    format: Format,
    lines: Pin<Box<dyn AsyncBufRead + Send>>,
    text: Vec<u8>,
    /// How many bytes an event may have.
    limit: usize,
    /// How long it may send nothing.
    silence: Duration,
    /// The same once it has had a bookmark.
    bookmarked_silence: Duration,
}

impl Watch {
    /// The next event; `None` where it ended, also in the middle of an event.
    pub(super) async fn next(&mut self, kind: &Kind) -> Result<Option<Received>, WatchError> {
        loop {
            self.text.clear();
            let (lines, text, limit) = (Pin::new(&mut self.lines), &mut self.text, self.limit);
            let format = self.format;
            let next = async move {
                match format {
                    Format::Json => read_line(lines, text, limit).await,
                    Format::Protobuf => read_frame(lines, text, limit).await,
                }
            };
            let read = timeout(self.silence, next).await;
            if read.unwrap_or(Err(WatchError::Timeout(self.silence)))? == 0 {
                return Ok(None);
            }
            let received = match self.format {
                Format::Json if self.text.iter().all(u8::is_ascii_whitespace) => continue,
                Format::Json => Received::parse(&self.text),
                Format::Protobuf => Received::decode(std::mem::take(&mut self.text), kind),
            };
            return match received {
                // The last line of a stream that was cut.
                Err(WatchError::Unreadable(error))
                    if error.is_eof() && !self.text.ends_with(b"\n") =>
                {
                    Ok(None)
                }
                Ok(received) => {
                    if received.event == EventType::Bookmark {
                        self.silence = self.bookmarked_silence.min(self.silence);
                    }
                    Ok(Some(received))
                }
                Err(error) => Err(error),
            };
        }
    }
}

impl Follower {
    /// Follows what happens from the known version on, for as long as the server sends it: on the watch that a list was
    /// received on, if it was, or on a new one.
    pub(super) async fn watch(&mut self, listed: Option<Watch>) -> Result<End, Closed> {
        let mut was_useful = false;
        let opened = match listed {
            Some(watch) => Ok(watch),
            None => self.open_anew().await,
        };
        let why = match opened {
            Ok(watch) => {
                self.answered();
                self.read_watch(watch, &mut was_useful).await?
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &why {
            self.drop_protobuf(error);
        }
        Ok(End { why, was_useful })
    }

    /// A watch from the known version on.
    async fn open_anew(&mut self) -> Result<Watch, WatchError> {
        let version = self.version.clone().unwrap_or_default();
        let opened = self.open_watch(&version, false).await;
        match &opened {
            Err(error) if self.drop_selector(error) => self.open_watch(&version, false).await,
            _ => opened,
        }
    }

    /// Opens a watch from a version on; `from_list`: which begins with all objects there are, at that version or a later one.
    pub(super) async fn open_watch(
        &self,
        version: &str,
        from_list: bool,
    ) -> Result<Watch, WatchError> {
        self.counters.count_watch();
        let lasts = lengthened(self.timing.watch, 0.25);
        let params = WatchParams {
            label_selector: self.kind.label_selector(),
            field_selector: self.kind.field_selector(self.knows_selector),
            timeout: Some(u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX).max(1)),
            send_initial_events: from_list,
            ..WatchParams::default()
        };
        let mut request = Request::new(self.kind.path())
            .watch(&params, version)
            .map_err(kube::Error::BuildRequest)?;
        self.ask_for_protobuf(&mut request);
        let (format, lines) = self.within(self.client.stream(request, None)).await?;
        Ok(Watch {
            format,
            lines: Box::pin(lines),
            text: Vec::new(),
            limit: self.timing.limits.line_bytes,
            silence: lasts + self.timing.answer,
            bookmarked_silence: self.timing.silence,
        })
    }

    async fn read_watch(
        &mut self,
        mut watch: Watch,
        was_useful: &mut bool,
    ) -> Result<Result<(), WatchError>, Closed> {
        loop {
            let Received { event, object } = match watch.next(&self.kind).await {
                Ok(Some(received)) => received,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            *was_useful = true;
            let version = object.version().map(ToOwned::to_owned);
            let events = match event {
                EventType::Added | EventType::Modified => self.intake.applied(object),
                EventType::Deleted => self.intake.gone(object).into_iter().collect(),
                EventType::Bookmark | EventType::Error => Vec::new(),
            };
            self.send(events).await?;
            if version.is_some() {
                self.version = version;
            }
        }
    }
}
