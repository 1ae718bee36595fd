//! What is made to go wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ApiServer;
use super::streamed::Streams;

/// How a server says that a version is gone: it may do both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The answer to a watch has status 410.
    Status,
    /// The watch begins, with an ERROR line.
    Line,
}

/// How a list goes on for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endless {
    /// The continue token is always the same.
    SameToken,
    /// Each page has a token of its own.
    NewTokens,
    /// Two tokens take turns.
    TwoTokens,
}

/// What is held back.
pub(super) enum Hold {
    /// Lists of a path, at their first half.
    Lists(String),
    /// All watches.
    Watches,
}

pub(super) struct Faults {
    pub(super) gone: Gone,
    pub(super) fail: Option<(u16, usize)>,
    pub(super) delay: Duration,
    pub(super) hold: Option<Hold>,
    pub(super) short_watches: bool,
    pub(super) hang_up: bool,
    /// Whether it answers 503 to all but `/readyz`, and 500 to that.
    pub(super) unready: bool,
    /// Whether it has JSON and no protobuf.
    pub(super) json_only: bool,
    /// From how many bytes on lists are packed, where gzip is asked for; `None`: never.
    pub(super) packs_from: Option<usize>,
    /// What it does with lists as streams.
    pub(super) streams: Streams,
    /// Whether lists are read from its storage, in pages, whatever version is asked for.
    pub(super) no_cache: bool,
    /// Whether it does not know how to select Services by their cluster IP.
    pub(super) no_cluster_ip_selector: bool,
    /// Whether lists of no older than a version are answered that it is gone.
    pub(super) lists_gone: bool,
    /// What lists of a path are answered with, status 200.
    pub(super) bodies: BTreeMap<String, String>,
    /// Rights that nobody has, such as `list nodes`.
    pub(super) denied: Vec<String>,
    /// Lists never end: each page is empty, and has a continue token, always the same or not.
    pub(super) endless: Option<Endless>,
    /// What answers that fail ask for, in seconds.
    pub(super) retry_after: Option<u64>,
    /// There is no listener.
    pub(super) refusing: bool,
    /// Further lines of the head of answers that fail.
    pub(super) headers: String,
    /// What lists of a path are answered with: further lines of the head, and bytes.
    pub(super) raw: BTreeMap<String, (String, Vec<u8>)>,
    /// Paths that nobody may read.
    pub(super) forbidden: Vec<String>,
    /// The token without which everything is answered 401.
    pub(super) token: Option<String>,
    /// What happens before the next answer of 401.
    pub(super) before_unauthorized: Option<Box<dyn FnOnce() + Send>>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            gone: Gone::Line,
            fail: None,
            delay: Duration::ZERO,
            hold: None,
            short_watches: false,
            hang_up: false,
            unready: false,
            json_only: false,
            // As real ones have it (`defaultGzipThresholdBytes`).
            packs_from: Some(128 << 10),
            streams: Streams::Refused(422),
            no_cache: false,
            no_cluster_ip_selector: false,
            lists_gone: false,
            bodies: BTreeMap::new(),
            denied: Vec::new(),
            endless: None,
            retry_after: None,
            refusing: false,
            headers: String::new(),
            raw: BTreeMap::new(),
            forbidden: Vec::new(),
            token: None,
            before_unauthorized: None,
        }
    }
}

impl Faults {
    /// The status to fail a request with, if it is to fail.
    pub(super) fn take_failure(&mut self, path: &str) -> Option<u16> {
        if path == "/readyz" {
            return None;
        }
        let (status, times) = self.fail.as_mut()?;
        let status = *status;
        *times -= 1;
        if *times == 0 {
            self.fail = None;
        }
        Some(status)
    }

    pub(super) fn holds_list(&self, path: &str) -> bool {
        matches!(&self.hold, Some(Hold::Lists(held)) if held == path)
    }

    pub(super) fn holds_watches(&self) -> bool {
        matches!(self.hold, Some(Hold::Watches))
    }
}

impl ApiServer {
    /// How it is said that a version is gone.
    pub(crate) fn say_gone_by(&self, gone: Gone) {
        self.change(|state| state.faults.gone = gone);
    }

    /// The next so many requests get this status as their answer.
    pub(crate) fn fail(&self, status: u16, times: usize) {
        self.change(|state| state.faults.fail = Some((status, times)));
    }

    /// All answers begin so much later.
    pub(crate) fn delay(&self, delay: Duration) {
        self.change(|state| state.faults.delay = delay);
    }

    /// Lists of a path are not answered beyond their first half until [`Self::release`].
    pub(crate) fn hold_lists(&self, path: &str) {
        self.change(|state| state.faults.hold = Some(Hold::Lists(path.into())));
    }

    /// Waits until a list is held back.
    pub(crate) fn wait_until_held(&self) {
        self.wait("a list to be held back", |state| state.held > 0);
    }

    /// Watches send nothing, not even an end, until [`Self::release`]: as where the peer is dead.
    pub(crate) fn hold_watches(&self) {
        self.change(|state| state.faults.hold = Some(Hold::Watches));
    }

    /// Ends what [`Self::hold_lists`] or [`Self::hold_watches`] began.
    pub(crate) fn release(&self) {
        self.change(|state| state.faults.hold = None);
    }

    /// Watches end in good order as soon as they have begun.
    pub(crate) fn cut_watches_short(&self, short: bool) {
        self.change(|state| state.faults.short_watches = short);
    }

    /// Connections are accepted, and closed at once.
    pub(crate) fn hang_up(&self, hang_up: bool) {
        self.change(|state| {
            state.faults.hang_up = hang_up;
            state.close_all();
        });
    }

    /// Whether it can be connected to, but is not ready: what a starting server is.
    pub(crate) fn unready(&self, unready: bool) {
        self.change(|state| state.faults.unready = unready);
    }

    /// Answers lists of a path with this, whatever there is; `None`: with what there is again.
    pub(crate) fn answer_lists(&self, path: &str, body: Option<&str>) {
        self.change(|state| {
            state.faults.bodies.remove(path);
            if let Some(body) = body {
                state.faults.bodies.insert(path.into(), body.into());
            }
        });
    }

    /// Takes a right away from everybody, such as `list nodes`.
    pub(crate) fn deny(&self, right: &str) {
        self.change(|state| state.faults.denied.push(right.into()));
    }

    /// Lists have no end.
    pub(crate) fn endless(&self, endless: Option<Endless>) {
        self.change(|state| state.faults.endless = endless);
    }

    /// Breaks all watches off, in the middle of a line.
    pub(crate) fn break_watches(&self) {
        self.change(|state| state.breaks += 1);
    }

    /// Ends all watches in good order.
    pub(crate) fn end_watches(&self) {
        self.change(|state| state.ends += 1);
    }
}
