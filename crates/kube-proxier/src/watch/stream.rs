//! A watch: what happens from a version on.

use std::pin::pin;
use std::time::Duration;

use futures_util::AsyncBufRead;
use kube::api::WatchParams;
use kube::core::Request;
use tokio::time::timeout;

use super::backoff::lengthened;
use super::error::WatchError;
use super::follow::{Closed, End, Follower};
use super::protocol::{EventType, Format, Received};
use super::request::{read_frame, read_line};

impl Follower {
    /// Follows what happens from the known version on, for as long as the server sends it.
    pub(super) async fn watch(&mut self) -> Result<End, Closed> {
        self.counters.count_watch();
        let mut was_useful = false;
        let mut opened = self.open_watch().await;
        if let Err(error) = &opened
            && self.drop_selector(error)
        {
            opened = self.open_watch().await;
        }
        let why = match opened {
            Ok((format, lines, lasts)) => {
                self.answered();
                self.read_watch(format, lines, lasts, &mut was_useful)
                    .await?
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &why {
            self.drop_protobuf(error);
        }
        Ok(End { why, was_useful })
    }

    /// The watch with its format, and how long it should last at the most.
    async fn open_watch(
        &self,
    ) -> Result<(Format, impl AsyncBufRead + Send + use<>, Duration), WatchError> {
        let lasts = lengthened(self.timing.watch, 0.25);
        let params = WatchParams {
            label_selector: self.kind.label_selector(),
            field_selector: self.kind.field_selector(self.knows_selector),
            timeout: Some(u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX).max(1)),
            ..WatchParams::default()
        };
        let mut request = Request::new(self.kind.path())
            .watch(&params, self.version.as_deref().unwrap_or_default())
            .map_err(kube::Error::BuildRequest)?;
        self.ask_for_protobuf(&mut request);
        let (format, lines) = self.within(self.client.stream(request, None)).await?;
        Ok((format, lines, lasts))
    }

    async fn read_watch(
        &mut self,
        format: Format,
        lines: impl AsyncBufRead,
        lasts: Duration,
        was_useful: &mut bool,
    ) -> Result<Result<(), WatchError>, Closed> {
        let mut lines = pin!(lines);
        let mut text = Vec::new();
        let mut silence = lasts + self.timing.answer;
        loop {
            text.clear();
            let limit = self.timing.limits.line_bytes;
            let next = async {
                match format {
                    Format::Json => read_line(lines.as_mut(), &mut text, limit).await,
                    Format::Protobuf => read_frame(lines.as_mut(), &mut text, limit).await,
                }
            };
            match timeout(silence, next).await {
                Err(_) => return Ok(Err(WatchError::Timeout(silence))),
                Ok(Err(error)) => return Ok(Err(error)),
                Ok(Ok(0)) => return Ok(Ok(())),
                Ok(Ok(_)) => {}
            }
            let received = match format {
                Format::Json if text.iter().all(u8::is_ascii_whitespace) => continue,
                Format::Json => Received::parse(&text),
                Format::Protobuf => Received::decode(std::mem::take(&mut text), &self.kind),
            };
            let Received { event, object } = match received {
                Ok(received) => received,
                // The last line of a stream that was cut.
                Err(WatchError::Unreadable(error)) if error.is_eof() && !text.ends_with(b"\n") => {
                    return Ok(Ok(()));
                }
                Err(error) => return Ok(Err(error)),
            };
            *was_useful = true;
            let version = object.version().map(ToOwned::to_owned);
            if event == EventType::Bookmark {
                silence = self.timing.silence.min(silence);
            }
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
