//! Health checks: how a backend is checked, by which thread, and what its results mean.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use crate::Event;
use crate::config::duration;

/// How backends are checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Check {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    /// Of an HTTP check.
    pub(crate) path: String,
    /// Instead of the backend's port.
    pub(crate) port: Option<NonZeroU16>,
    /// From one check to the next.
    #[serde(deserialize_with = "duration")]
    pub(crate) interval: Duration,
    /// For connecting, and for each part of an answer.
    #[serde(deserialize_with = "duration")]
    pub(crate) timeout: Duration,
    /// Checks in a row that must pass until a backend that was down is up.
    pub(crate) rise: NonZeroU32,
    /// Checks in a row that must fail until a backend that was up is down.
    pub(crate) fall: NonZeroU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The backend always counts as up.
    None,
    /// It accepts a connection.
    Tcp,
    /// It answers `GET` with a status of 200 to 399.
    Http,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            kind: Kind::Tcp,
            path: "/".to_owned(),
            port: None,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            rise: NonZeroU32::MIN.saturating_add(1),
            fall: NonZeroU32::MIN.saturating_add(2),
        }
    }
}

/// Something to check. Backends of several servers that are checked alike are one target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) check: Check,
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("the answer is not HTTP")]
    NotHttp,
}

impl Target {
    /// Checks once.
    pub(crate) fn probe(&self) -> Result<(), Failure> {
        let Check {
            timeout,
            path,
            kind,
            ..
        } = &self.check;
        let mut stream = TcpStream::connect_timeout(&self.address, *timeout)?;
        if *kind != Kind::Http {
            return Ok(());
        }
        stream.set_read_timeout(Some(*timeout))?;
        let host = self.address;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream.take(64)).read_line(&mut line)?;
        let status = line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1));
        match status.and_then(|status| status.trim_end().parse().ok()) {
            Some(200..400) => Ok(()),
            Some(status) => Err(Failure::Status(status)),
            None => Err(Failure::NotHttp),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum State {
    /// Not checked yet.
    #[default]
    Unknown,
    Up,
    Down,
}

/// What the results of a target's checks came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Health {
    pub(crate) state: State,
    /// Results in a row that speak against the state.
    against: u32,
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Health {
    /// Takes a result; returns whether it changes the state. The first of all decides alone.
    pub(crate) fn record(&mut self, passed: bool, check: &Check) -> bool {
        *(if passed {
            &mut self.passed
        } else {
            &mut self.failed
        }) += 1;
        let (state, needed) = match (self.state, passed) {
            (State::Unknown, true) => (State::Up, 1),
            (State::Unknown, false) => (State::Down, 1),
            (State::Down, true) => (State::Up, check.rise.get()),
            (State::Up, false) => (State::Down, check.fall.get()),
            (State::Up, true) | (State::Down, false) => {
                self.against = 0;
                return false;
            }
        };
        self.against += 1;
        let changes = self.against >= needed;
        if changes {
            (self.state, self.against) = (state, 0);
        }
        changes
    }
}

/// A thread that checks a target until this value is dropped, and what came of it.
#[derive(Debug)]
pub(crate) struct Checker {
    pub(crate) health: Health,
    _stop: Sender<()>,
}

pub(crate) type Checks = BTreeMap<Target, Checker>;

impl Checker {
    pub(crate) fn start(target: Target, events: Sender<Event>) -> io::Result<Self> {
        let (_stop, stopped) = channel();
        let checking = move || {
            loop {
                let result = target.probe();
                let sent = events.send(Event::Checked(target.clone(), result));
                let waited = stopped.recv_timeout(target.check.interval);
                if sent.is_err() || waited != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        thread::Builder::new().spawn(checking)?;
        let health = Health::default();
        Ok(Self { health, _stop })
    }
}

#[cfg(test)]
mod tests;
