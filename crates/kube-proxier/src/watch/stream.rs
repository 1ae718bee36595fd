//! A watch: what happens from a version on.

use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::{AsyncBufRead, AsyncBufReadExt, FutureExt};
use kube::api::WatchParams;
use kube::core::Request;
use tokio::time::{Instant, sleep, timeout};

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
    pace: Pace,
}

/// While events come closer together than this, those of so long are read at once: to be woken for each, and to ask the
/// socket for more after each, costs more than most of them do.
const GATHER: Duration = Duration::from_millis(1);

/// How close together events come.
#[derive(Debug)]
struct Pace {
    /// What counts as close, and how long is then waited.
    gather: Duration,
    /// When bytes were last waited for, and came.
    came: Option<Instant>,
    is_fast: bool,
}

impl Pace {
    const fn new(gather: Duration) -> Self {
        Self {
            gather,
            came: None,
            is_fast: false,
        }
    }

    /// Bytes came that were waited for.
    fn came(&mut self, now: Instant) {
        let before = self.came.replace(now);
        self.is_fast = before.is_some_and(|before| now - before < self.gather);
    }
}

impl Watch {
    /// Waits for the next event; where events come fast, for some of those behind it too.
    async fn gather(&mut self) -> Result<(), WatchError> {
        if self.has_more().await? {
            return Ok(());
        }
        if self.pace.is_fast {
            sleep(self.pace.gather).await;
            if self.has_more().await? {
                return Ok(());
            }
        }
        let waited = timeout(self.silence, self.lines.fill_buf()).await;
        waited.map_err(|_| WatchError::Timeout(self.silence))??;
        self.pace.came(Instant::now());
        Ok(())
    }

    /// Whether bytes, or the end, can be read without waiting for the server.
    async fn has_more(&mut self) -> Result<bool, WatchError> {
        let more = self.lines.fill_buf().now_or_never().transpose()?;
        if more.is_some() {
            return Ok(true);
        }
        connection_turn().await;
        let more = self.lines.fill_buf().now_or_never().transpose()?;
        Ok(more.is_some())
    }

    /// Reads the next event into `text`, and gives its size in bytes: 0 at the end of the stream.
    async fn read(&mut self) -> Result<usize, WatchError> {
        self.text.clear();
        let (lines, text, limit) = (Pin::new(&mut self.lines), &mut self.text, self.limit);
        let format = self.format;
        let mut read = pin!(async move {
            match format {
                Format::Json => read_line(lines, text, limit).await,
                Format::Protobuf => read_frame(lines, text, limit).await,
            }
        });
        let mut found = read.as_mut().now_or_never();
        if found.is_none() {
            connection_turn().await;
            found = read.as_mut().now_or_never();
        }
        // To set a timer up takes longer than to read what is there.
        match found {
            Some(read) => read,
            None => {
                let read = timeout(self.silence, read).await;
                read.unwrap_or(Err(WatchError::Timeout(self.silence)))
            }
        }
    }

    /// The next event; `None` where it ended, also in the middle of an event.
    pub(super) async fn next(&mut self, kind: &Kind) -> Result<Option<Received<'_>>, WatchError> {
        loop {
            if self.read().await? == 0 {
                return Ok(None);
            }
            let received = match self.format {
                Format::Json if self.text.iter().all(u8::is_ascii_whitespace) => continue,
                Format::Json => Received::parse(&self.text, kind),
                Format::Protobuf => Received::decode(&self.text, kind),
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

/// Has other tasks run first: the connection is one, which hands over one piece at a time.
async fn connection_turn() {
    let mut has_run = false;
    poll_fn(|context| {
        if mem::replace(&mut has_run, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
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
            pace: Pace::new(GATHER),
        })
    }

    async fn read_watch(
        &mut self,
        mut watch: Watch,
        was_useful: &mut bool,
    ) -> Result<Result<(), WatchError>, Closed> {
        let mut version = String::new();
        loop {
            let next = match watch.gather().await {
                Ok(()) => watch.next(&self.kind).await,
                Err(error) => Err(error),
            };
            let Received { event, object } = match next {
                Ok(Some(received)) => received,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            *was_useful = true;
            version.clear();
            version.push_str(object.version().unwrap_or_default());
            let events = match event {
                EventType::Added | EventType::Modified => self.intake.applied(object),
                EventType::Deleted => self.intake.gone(object).into_iter().collect(),
                EventType::Bookmark | EventType::Error => Vec::new(),
            };
            self.send(events).await?;
            if !version.is_empty() {
                // The text of the one before is written over by the next.
                mem::swap(self.version.get_or_insert_default(), &mut version);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::TryStreamExt;
    use tokio::runtime::Builder;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::*;

    const KIND: Kind = Kind::Services;
    /// It does not pass while a test runs.
    const LONG: Duration = Duration::from_secs(3600);

    /// A watch, and where the server sends what it brings.
    fn watch() -> (Watch, UnboundedSender<io::Result<String>>) {
        let (sender, mut receiver) = unbounded_channel();
        let pieces = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let watch = Watch {
            format: Format::Json,
            lines: Box::pin(pieces.into_async_read()),
            text: Vec::new(),
            limit: 1000,
            silence: LONG,
            bookmarked_silence: LONG,
            pace: Pace::new(LONG),
        };
        (watch, sender)
    }

    fn line(version: u32) -> io::Result<String> {
        let object = format!("{{\"metadata\":{{\"resourceVersion\":\"{version}\"}}}}");
        Ok(format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}\n"))
    }

    async fn version(watch: &mut Watch) -> String {
        let received = watch.next(&KIND).await.unwrap().unwrap();
        received.object.version().unwrap().to_owned()
    }

    /// What a wait of a watch comes to, of which nothing is there at its begin, and then an event.
    fn gathered(watch: &mut Watch, send: impl FnOnce()) -> Option<Result<(), WatchError>> {
        let mut gather = Box::pin(watch.gather());
        for _ in 0..3 {
            assert!(gather.as_mut().now_or_never().is_none());
        }
        send();
        gather.now_or_never()
    }

    #[test]
    fn only_events_that_come_fast_are_gathered() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut watch, sender) = watch();
            for number in [1, 2] {
                assert!(!watch.pace.is_fast);
                let waited = gathered(&mut watch, || sender.send(line(number)).unwrap());
                assert!(waited.unwrap().is_ok(), "at once");
                assert_eq!(version(&mut watch).await, number.to_string());
            }
            assert!(watch.pace.is_fast);
            assert!(gathered(&mut watch, || sender.send(line(3)).unwrap()).is_none());
            // What is there is taken.
            sender.send(line(4)).unwrap();
            for number in ["3", "4"] {
                assert!(watch.gather().await.is_ok());
                assert_eq!(version(&mut watch).await, number);
            }
        });
    }

    #[test]
    fn events_are_fast_while_they_are_closer_than_is_waited() {
        let start = Instant::now();
        let mut pace = Pace::new(GATHER);
        for (at, is_fast) in [
            (0, false),
            (1000, false),
            (1900, true),
            (2700, true),
            (3700, false),
        ] {
            pace.came(start + Duration::from_micros(at));
            assert_eq!(pace.is_fast, is_fast, "{at}");
        }
    }

    #[test]
    fn what_breaks_off_or_is_silent_is_an_error() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut broken, sender) = watch();
            sender
                .send(Err(io::ErrorKind::ConnectionReset.into()))
                .unwrap();
            let error = broken.gather().await.unwrap_err();
            assert!(matches!(error, WatchError::BrokenOff(_)), "{error}");
            let (mut ended, sender) = watch();
            drop(sender);
            assert!(ended.gather().await.is_ok());
            assert!(ended.next(&KIND).await.unwrap().is_none());
            let (mut silent, _sender) = watch();
            silent.silence = Duration::ZERO;
            let error = silent.gather().await.unwrap_err();
            assert!(
                matches!(error, WatchError::Timeout(Duration::ZERO)),
                "{error}"
            );
        });
    }
}
