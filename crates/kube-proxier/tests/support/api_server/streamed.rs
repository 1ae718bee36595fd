//! Lists as the first events of a watch.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::answer::{chunk, chunk_of, refuse};
use super::format::Format;
use super::selector::Selector;
use super::store::Stored;
use super::tls::Wire;
use super::{ApiServer, Asked, Shared, State};

/// What is done with a list that is asked for as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streams {
    Served,
    /// Refused with this status, as by a server that cannot do it.
    Refused(u16),
    /// Taken for a watch of old, which has no end of its initial events.
    Ignored,
    /// The next so many of Services break off in their middle, or end there in good order.
    BrokenOff(usize),
    Ended(usize),
}

/// About how many bytes are handed to the system at once.
const AT_ONCE: usize = 1 << 16;

/// The objects there are when a stream begins, and the version they are of.
pub(super) struct Initial {
    objects: Vec<Stored>,
    version: u64,
}

/// Refuses a stream that is not served. Whether it did.
pub(super) fn refused(shared: &Shared, stream: &mut Wire, asked: &Asked) -> io::Result<bool> {
    if !asked.is_streamed_list() {
        return Ok(false);
    }
    let streams = shared.lock().faults.streams;
    if let Streams::Refused(code) = streams {
        let message = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature \
                       gate is enabled";
        refuse(shared, stream, asked, code, message)?;
        return Ok(true);
    }
    // What a server insists on.
    let right = asked.get("resourceVersionMatch") == Some("NotOlderThan")
        && asked.get("allowWatchBookmarks") == Some("true");
    if !right {
        refuse(shared, stream, asked, 422, "that goes with other options")?;
        return Ok(true);
    }
    let since = asked
        .get("resourceVersion")
        .and_then(|since| since.parse::<u64>().ok());
    let known = shared.lock().store.version();
    if since.is_some_and(|since| since > known) {
        let message = format!("Too large resource version: {since:?}, current: {known}");
        refuse(shared, stream, asked, 504, &message)?;
        return Ok(true);
    }
    Ok(false)
}

/// What a stream begins with, where this is one that is served.
pub(super) fn initial(
    state: &State,
    (asked, selector): (&Asked, &Selector),
    format: Format,
) -> Option<Initial> {
    let served = asked.is_streamed_list() && state.faults.streams != Streams::Ignored;
    served.then(|| Initial {
        objects: state.store.all(&asked.path, selector, format),
        version: state.store.version(),
    })
}

/// Sends the initial events, what happened meanwhile, and the bookmark that ends them. The version that they are of.
pub(super) fn send(
    shared: &Shared,
    stream: &mut Wire,
    (asked, selector): (&Asked, &Selector),
    initial: &Initial,
    write: &impl Fn(&Value) -> Vec<u8>,
) -> io::Result<u64> {
    let bookmark = |version: u64, annotations: Value| {
        json!({"type": "BOOKMARK", "object": {"kind": "Bookmark", "apiVersion": "v1",
            "metadata": {"resourceVersion": version.to_string(), "annotations": annotations}}})
    };
    let (first, second) = initial.objects.split_at(initial.objects.len() / 2);
    send_objects(stream, first, write)?;
    // A bookmark of the usual kind ends nothing.
    chunk(
        stream,
        &write(&bookmark(initial.version, json!({"k8s.io/other": "true"}))),
    )?;
    let mut state = shared.lock();
    let left = match &mut state.faults.streams {
        Streams::BrokenOff(left) | Streams::Ended(left)
            if *left > 0 && asked.path == "/api/v1/services" =>
        {
            Some(left)
        }
        _ => None,
    };
    if let Some(left) = left {
        *left -= 1;
        let ends = matches!(state.faults.streams, Streams::Ended(_));
        drop(state);
        let end: &[u8] = if ends { b"0\r\n\r\n" } else { b"40\r\n" };
        stream.write_all(end)?;
        stream.shutdown()?;
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    drop(state);
    send_objects(stream, second, write)?;
    let state = shared.unheld(&asked.path);
    let meanwhile = state.store.since(&asked.path, selector, initial.version);
    let version = state.store.version();
    drop(state);
    for line in meanwhile.unwrap_or_default() {
        chunk(stream, &write(&line))?;
    }
    let end = bookmark(version, json!({"k8s.io/initial-events-end": "true"}));
    chunk(stream, &write(&end))?;
    Ok(version)
}

/// Each in a chunk of its own, many of them at once: a server hands on what it has when nothing more waits.
fn send_objects(
    stream: &mut Wire,
    objects: &[Stored],
    write: &impl Fn(&Value) -> Vec<u8>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for object in objects {
        bytes.extend(match object {
            Stored::Prepared(event) => chunk_of(event),
            Stored::Object(object) => chunk_of(&write(&added(object))),
        });
        if bytes.len() >= AT_ONCE {
            stream.write_all(&bytes)?;
            bytes.clear();
        }
    }
    stream.write_all(&bytes)
}

/// The event of an object that is there.
pub(super) fn added(object: &Value) -> Value {
    json!({"type": "ADDED", "object": object})
}

impl ApiServer {
    /// Encodes all objects for lists as streams in protobuf, as a server has them in its cache. One that changes is encoded
    /// when it is asked for.
    pub(crate) fn prepare(&self) {
        self.change(|state| state.store.prepare());
    }

    /// What it does with lists as streams.
    pub(crate) fn stream_lists(&self, streams: Streams) {
        self.change(|state| state.faults.streams = streams);
    }
}
