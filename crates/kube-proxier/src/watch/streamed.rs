//! A list as the first events of a watch, which then goes on: `sendInitialEvents` (KEP-3157, *watch list*).
//!
//! The server sends one event for each object there is, and a bookmark with an annotation behind the last one. It reads none
//! of it from etcd and holds no answer as a whole, nor is any held here. What changes meanwhile may come before the bookmark.

use std::io;

use proxier_manifest::INITIAL_EVENTS_END;
use tokio::time::{Duration, Instant, timeout};

use super::super::Event;
use super::error::WatchError;
use super::follow::Follower;
use super::protocol::{EventType, Received};
use super::stream::Watch;

/// How long a server that could not stream a list is not asked for one: it may have been upgraded since.
const REFUSED: Duration = Duration::from_secs(600);
/// After so many streams in a row that broke off, lists are asked for.
const BROKEN: u32 = 2;

/// Whether lists are asked for as streams.
#[derive(Debug, Default)]
pub(super) struct Streaming {
    /// Until when they are not.
    refused_until: Option<Instant>,
    /// How many broke off in a row.
    broken: u32,
}

impl Streaming {
    fn is_refused(&self, now: Instant) -> bool {
        self.refused_until.is_some_and(|until| now < until)
    }

    fn refuse(&mut self, now: Instant) {
        (self.refused_until, self.broken) = (Some(now + REFUSED), 0);
    }

    /// One broke off. Whether the next list is to be another stream.
    fn broke(&mut self, now: Instant) -> bool {
        self.broken += 1;
        let again = self.broken < BROKEN;
        if !again {
            self.refuse(now);
        }
        again
    }
}

impl Follower {
    /// All objects there are and the watch that goes on from there; `None`: a list has to be asked for. Nothing is changed by
    /// a stream that does not come to its end.
    pub(super) async fn list_streamed(
        &mut self,
    ) -> Result<Option<(Vec<Event>, Watch)>, WatchError> {
        if self.streaming.is_refused(Instant::now()) {
            return Ok(None);
        }
        let version = match &self.version {
            _ if self.version_is_unavailable => "",
            // As the server has it in its cache.
            None => "0",
            Some(version) => version.as_str(),
        };
        let mut watch = match self.open_watch(version, true).await {
            Ok(watch) => watch,
            Err(error @ WatchError::Refused { .. }) => {
                if error.is_version_unavailable() {
                    self.version_is_unavailable = true;
                } else if error.is_away() && self.streaming.broke(Instant::now()) {
                    return Err(error);
                } else if !error.is_away() && !error.is_of_rights() {
                    self.streaming.refuse(Instant::now());
                }
                self.log_fallback(&error);
                return Ok(None);
            }
            // An HTTP/2 stream that is reset at once may lose the head of its answer.
            Err(error) if error.is_without_answer() && !self.streaming.broke(Instant::now()) => {
                self.log_fallback(&error);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.intake.begin_list();
        let limit = self.timing.answer;
        let received = timeout(limit, self.receive_list(&mut watch)).await;
        match received.unwrap_or(Err(WatchError::Timeout(limit))) {
            Ok(events) => {
                self.streaming.broken = 0;
                Ok(Some((events, watch)))
            }
            Err(error) if error.is_version_unavailable() => {
                self.version_is_unavailable = true;
                self.log_fallback(&error);
                Ok(None)
            }
            Err(error @ WatchError::BrokenOff(_)) if self.streaming.broke(Instant::now()) => {
                Err(error)
            }
            Err(error @ WatchError::Malformed(_)) if self.accepts_protobuf => {
                self.drop_protobuf(&error);
                Err(error)
            }
            Err(error) => {
                self.streaming.refuse(Instant::now());
                self.log_fallback(&error);
                Ok(None)
            }
        }
    }

    /// Takes objects in up to the bookmark that ends them.
    async fn receive_list(&mut self, watch: &mut Watch) -> Result<Vec<Event>, WatchError> {
        let limit = self.timing.limits.objects;
        let mut objects = 0;
        loop {
            let Some(Received { event, object }) = watch.next(&self.kind).await? else {
                let early = "it ended before all objects were sent";
                let early = io::Error::new(io::ErrorKind::UnexpectedEof, early);
                return Err(WatchError::BrokenOff(early));
            };
            match event {
                EventType::Bookmark if object.annotation(INITIAL_EVENTS_END) == Some("true") => {
                    self.version = object
                        .version()
                        .map(ToOwned::to_owned)
                        .or(self.version.take());
                    return Ok(self.intake.end_list());
                }
                EventType::Bookmark | EventType::Error => {}
                EventType::Added | EventType::Modified => {
                    objects += 1;
                    if objects > limit {
                        let unit = "objects";
                        return Err(WatchError::TooLarge { limit, unit });
                    }
                    self.intake.list_item(object);
                }
                EventType::Deleted => self.intake.list_gone(&object),
            }
        }
    }

    fn log_fallback(&self, error: &WatchError) {
        let kind = self.kind.name();
        tracing::debug!(kind, "the list is not streamed: {error}; asking for a list");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_remembered_for_a_while() {
        let start = Instant::now();
        let mut streaming = Streaming::default();
        assert!(!streaming.is_refused(start));
        streaming.refuse(start);
        assert!(streaming.is_refused(start + REFUSED / 2));
        assert!(!streaming.is_refused(start + REFUSED));
    }

    #[test]
    fn one_stream_may_break_off() {
        let start = Instant::now();
        let mut streaming = Streaming::default();
        assert!(streaming.broke(start));
        assert!(!streaming.is_refused(start));
        assert!(!streaming.broke(start));
        assert!(streaming.is_refused(start));
        // After a while it begins anew.
        assert!(streaming.broke(start + REFUSED));
    }
}
