//! What the threads of a stand-in share.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use serde_json::Value;

use super::Asked;
use super::faults::Faults;
use super::store::Store;
use super::tls::Tls;

/// What its threads have in common.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Told of every change of the state.
    pub(super) changed: Condvar,
}

pub(super) struct State {
    pub(super) store: Store,
    pub(super) faults: Faults,
    /// How new connections are encrypted, if they are.
    pub(super) tls: Option<Tls>,
    pub(super) requests: Vec<Asked>,
    /// When the first of them came.
    pub(super) first_asked: Option<Instant>,
    /// Events that were created.
    pub(super) events: Vec<Value>,
    /// Connections that were accepted.
    pub(super) accepted: usize,
    /// Connections there are, by number.
    pub(super) open: BTreeMap<usize, TcpStream>,
    /// The listener is to go, or gone.
    pub(super) listening: bool,
    /// Counts the orders to break all watches off.
    pub(super) breaks: usize,
    /// Counts the orders to end all watches in good order.
    pub(super) ends: usize,
    /// Watches that are being served.
    pub(super) watching: usize,
    /// Counts the orders to send bookmarks.
    pub(super) bookmarks: usize,
    pub(super) bookmarks_sent: usize,
    /// Counts the orders to send a long line, and how long it is.
    pub(super) long_lines: usize,
    pub(super) long_line: usize,
    /// Lines to be sent on watches of a path, as they are.
    pub(super) odd_lines: Vec<(String, Vec<u8>)>,
    /// Counts the answers that were held back.
    pub(super) held: usize,
    /// Counts the orders to leave connections without an answer.
    pub(super) freezes: usize,
    /// Counts the connections that carried out the last of these.
    pub(super) frozen: usize,
    /// Counts the orders to take no further requests on connections.
    pub(super) drains: usize,
    /// When the event of each version was handed to the system, if that is noted.
    pub(super) sent: Option<BTreeMap<u64, Instant>>,
}

impl Shared {
    /// With no objects, and nothing asked so far.
    pub(super) fn new(tls: Option<Tls>) -> Self {
        Self {
            state: Mutex::new(State::new(tls)),
            changed: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A test that failed while it held the lock has failed already.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits as long as the list of a path is held back, and counts that it was.
    pub(super) fn unheld(&self, path: &str) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        if state.faults.holds_list(path) {
            state.held += 1;
            self.changed.notify_all();
        }
        while state.faults.holds_list(path) {
            state = self.changed.wait(state).unwrap();
        }
        state
    }
}

impl State {
    fn new(tls: Option<Tls>) -> Self {
        Self {
            store: Store::new(),
            faults: Faults::default(),
            tls,
            requests: Vec::new(),
            first_asked: None,
            events: Vec::new(),
            accepted: 0,
            open: BTreeMap::new(),
            listening: true,
            breaks: 0,
            ends: 0,
            watching: 0,
            bookmarks: 0,
            bookmarks_sent: 0,
            long_lines: 0,
            long_line: 0,
            odd_lines: Vec::new(),
            held: 0,
            freezes: 0,
            frozen: 0,
            drains: 0,
            sent: None,
        }
    }

    pub(super) fn close_all(&mut self) {
        for stream in std::mem::take(&mut self.open).into_values() {
            // It may be closed already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}
