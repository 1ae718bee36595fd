//! Answers that no API server gives.

use std::io::{self, Write};

use serde_json::Value;

use super::answer::{head, refuse};
use super::tls::Wire;
use super::{ApiServer, Asked, Shared};

/// Answers a request that nobody may make, or not with this token; or with bytes that a test gave. Whether it did.
pub(super) fn answered(shared: &Shared, stream: &mut Wire, asked: &Asked) -> io::Result<bool> {
    let mut state = shared.lock();
    let token = state.faults.token.clone();
    if token.is_some_and(|token| !asked.shows(&token)) {
        // Nobody else is answered before it is done.
        let before = state.faults.before_unauthorized.take();
        before.into_iter().for_each(|before| before());
        drop(state);
        refuse(shared, stream, asked, 401, "Unauthorized")?;
        return Ok(true);
    }
    if state.faults.forbidden.contains(&asked.path) {
        drop(state);
        refuse(shared, stream, asked, 403, "that is forbidden")?;
        return Ok(true);
    }
    let raw = state.faults.raw.get(&asked.path).cloned();
    drop(state);
    let Some((headers, body)) = raw.filter(|_| !asked.is_watch()) else {
        return Ok(false);
    };
    let length = format!("content-length: {}\r\n{headers}", body.len());
    stream.write_all(head(200, &length).as_bytes())?;
    stream.write_all(&body)?;
    Ok(true)
}

impl ApiServer {
    /// Sends a line of so many bytes on each watch.
    pub(crate) fn send_long_lines(&self, bytes: usize) {
        self.change(|state| {
            state.long_lines += 1;
            state.long_line = bytes;
        });
    }

    /// Sends a line as it is on the watches of a path that there are, and on each that begins.
    pub(crate) fn send_line(&self, path: &str, line: &str) {
        let line = (path.to_owned(), format!("{line}\n").into_bytes());
        self.change(|state| state.odd_lines.push(line));
    }

    /// Sends no such lines any more.
    pub(crate) fn forget_lines(&self) {
        self.change(|state| state.odd_lines.clear());
    }

    /// Has no cache: all lists come in pages.
    pub(crate) fn without_cache(&self) {
        self.change(|state| state.faults.no_cache = true);
    }

    /// Is of a release that does not know how to select Services by their cluster IP, or of a later one.
    pub(crate) fn know_cluster_ip_selector(&self, known: bool) {
        self.change(|state| state.faults.no_cluster_ip_selector = !known);
    }

    /// Has no list that is not older than a version, or has them again.
    pub(crate) fn forget_listed_versions(&self, forgotten: bool) {
        self.change(|state| state.faults.lists_gone = forgotten);
    }

    /// Is as it was at an earlier version, but for its objects, of which this is another.
    pub(crate) fn restore(&self, version: u64, object: Value) {
        // At once: a watch must not come to the earlier version.
        self.change(|state| {
            state.store.rewind(version);
            state.store.put(object);
        });
    }

    /// Answers that fail ask to be left alone for so many seconds.
    pub(crate) fn retry_after(&self, seconds: Option<u64>) {
        self.change(|state| state.faults.retry_after = seconds);
    }

    /// Adds lines to the head of answers that fail.
    pub(crate) fn head_of_failures(&self, headers: &str) {
        self.change(|state| state.faults.headers = headers.to_owned());
    }

    /// Answers lists of a path with these lines of the head and these bytes, or as usual again.
    pub(crate) fn answer_bytes(&self, path: &str, raw: Option<(&str, Vec<u8>)>) {
        self.change(|state| match raw {
            Some((headers, bytes)) => {
                let raw = (headers.to_owned(), bytes);
                state.faults.raw.insert(path.to_owned(), raw);
            }
            None => {
                state.faults.raw.remove(path);
            }
        });
    }

    /// Lets nobody read a path, or everybody again.
    pub(crate) fn forbid(&self, path: &str, forbidden: bool) {
        self.change(|state| {
            state.faults.forbidden.retain(|other| other != path);
            if forbidden {
                state.faults.forbidden.push(path.to_owned());
            }
        });
    }

    /// Takes this token only, from now on; `before` is done before the next answer that it is another.
    pub(crate) fn take_token(&self, token: &str, before: impl FnOnce() + Send + 'static) {
        self.change(|state| {
            state.faults.token = Some(token.to_owned());
            state.faults.before_unauthorized = Some(Box::new(before));
        });
    }
}
