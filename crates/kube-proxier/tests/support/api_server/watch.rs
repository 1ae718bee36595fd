//! Watches.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::{chunk, refuse, status};
use super::faults::Gone;
use super::format::Format;
use super::list::list_kind;
use super::selector::Selector;
use super::tls::Wire;
use super::{Asked, Shared, streamed};

/// Serves a watch until it ends; then the connection has had its day, too, where it was broken off.
pub(super) fn watch(
    shared: &Shared,
    stream: &mut Wire,
    asked: &Asked,
    selector: &Selector,
) -> io::Result<()> {
    let mut version: u64 = asked
        .get("resourceVersion")
        .and_then(|version| version.parse().ok())
        .unwrap_or_default();
    let format = Format::of(shared, asked);
    let (list_kind, api_version) = list_kind(&asked.path);
    let kind = list_kind.strip_suffix("List").unwrap_or_default();
    let write = |line: &Value| format.write_event(line, kind, api_version);
    let media_type = match format {
        Format::Json => "application/json",
        Format::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
    };
    let begin = format!(
        "HTTP/1.1 200 -\r\ncontent-type: {media_type}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let mut state = shared.lock();
    let initial = streamed::initial(&state, (asked, selector), format);
    let too_old = initial.is_none() && state.store.since(&asked.path, selector, version).is_err();
    if too_old && state.faults.gone == Gone::Status {
        drop(state);
        return refuse(shared, stream, asked, 410, "too old resource version");
    }
    let (breaks, ends) = (state.breaks, state.ends);
    let mut bookmarks = state.bookmarks;
    let mut long_lines = state.long_lines;
    let mut odd_lines = 0;
    let short = state.faults.short_watches;
    if too_old || short {
        drop(state);
        stream.write_all(begin.as_bytes())?;
        if too_old {
            let gone = status(410, "too old resource version");
            chunk(stream, &write(&json!({"type": "ERROR", "object": gone})))?;
        }
        return stream.write_all(b"0\r\n\r\n");
    }
    state.watching += 1;
    shared.changed.notify_all();
    drop(state);
    let served = (|| -> io::Result<()> {
        stream.write_all(begin.as_bytes())?;
        if let Some(initial) = initial {
            version = streamed::send(shared, stream, (asked, selector), &initial, &write)?;
        }
        loop {
            let mut state = shared.lock();
            let (lines, odd) = loop {
                if state.breaks != breaks {
                    drop(state);
                    // A chunk that never comes whole.
                    stream.write_all(b"40\r\n")?;
                    stream.write_all(format.broken_event())?;
                    stream.shutdown()?;
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                if !state.faults.holds_watches() {
                    let since = state.store.since(&asked.path, selector, version);
                    let Ok(mut lines) = since else {
                        let gone = status(410, "too old resource version");
                        drop(state);
                        chunk(stream, &write(&json!({"type": "ERROR", "object": gone})))?;
                        return stream.write_all(b"0\r\n\r\n");
                    };
                    version = state.store.version();
                    if state.bookmarks != bookmarks {
                        bookmarks = state.bookmarks;
                        if asked.get("allowWatchBookmarks") == Some("true") {
                            lines.push(json!({"type": "BOOKMARK", "object": {
                                "kind": "Bookmark", "apiVersion": "v1",
                                "metadata": {"resourceVersion": version.to_string()}}}));
                        }
                    }
                    if state.long_lines != long_lines {
                        long_lines = state.long_lines;
                        let filler = "x".repeat(state.long_line);
                        lines.push(json!({"type": "BOOKMARK", "object": {"filler": filler}}));
                    }
                    let new = state.odd_lines.get(odd_lines..).unwrap_or_default();
                    let odd: Vec<u8> = new
                        .iter()
                        .filter(|(path, _)| *path == asked.path)
                        .flat_map(|(_, line)| line.iter().copied())
                        .collect();
                    odd_lines = state.odd_lines.len();
                    if !(lines.is_empty() && odd.is_empty()) {
                        break (lines, odd);
                    }
                    // What happened before the order is still said.
                    if state.ends != ends {
                        drop(state);
                        return stream.write_all(b"0\r\n\r\n");
                    }
                }
                // Woken now and then, to notice that the other end has gone.
                let patience = Duration::from_millis(100);
                state = shared.changed.wait_timeout(state, patience).unwrap().0;
                if stream.is_gone() {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
            };
            drop(state);
            for line in &lines {
                let bytes = write(line);
                note_sent(shared, line);
                chunk(stream, &bytes)?;
            }
            if !odd.is_empty() {
                chunk(stream, &odd)?;
            }
            let marks = lines.iter().filter(|line| line["type"] == "BOOKMARK");
            shared.lock().bookmarks_sent += marks.count();
            shared.changed.notify_all();
        }
    })();
    let mut state = shared.lock();
    state.watching -= 1;
    drop(state);
    shared.changed.notify_all();
    served
}

/// Notes when an event is sent, if that is wanted.
fn note_sent(shared: &Shared, line: &Value) {
    let Some(sent) = &mut shared.lock().sent else {
        return;
    };
    let version = line["object"]["metadata"]["resourceVersion"].as_str();
    if let Some(version) = version.and_then(|version| version.parse().ok()) {
        sent.insert(version, Instant::now());
    }
}
