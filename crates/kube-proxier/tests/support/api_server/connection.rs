//! One connection: requests and their answers.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::faults::{Endless, Gone};
use super::format::{self, Format, refuse};
use super::selector::Selector;
use super::tls::Wire;
use super::{Asked, Shared, events, http2, odd, packed, streamed};

/// Serves a connection in a thread of its own.
pub(super) fn accept(shared: &Arc<Shared>, stream: TcpStream) {
    // The listener's patience is none of the connection's.
    let _ = stream.set_read_timeout(None);
    let shared = Arc::clone(shared);
    let (number, tls) = {
        let mut state = shared.lock();
        state.accepted += 1;
        if state.faults.hang_up {
            shared.changed.notify_all();
            return;
        }
        let number = state.accepted;
        state.open.insert(number, stream.try_clone().unwrap());
        (number, state.tls.clone())
    };
    thread::spawn(move || {
        // Whoever is connected may go at any time, and may be made to.
        match tls {
            Some(tls) if tls.has_http2() => drop(http2::serve(&shared, stream, tls)),
            tls => drop(prepare(&stream).and_then(|()| serve(&shared, Wire::new(stream, tls)))),
        }
        // The clone that others could close it by goes too.
        shared.lock().open.remove(&number);
    });
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)
}

/// Answers HTTP/1.1 requests until the client closes the connection.
pub(super) fn serve(shared: &Shared, wire: Wire) -> io::Result<()> {
    let mut reader = BufReader::new(wire);
    loop {
        let Some(first) = line(&mut reader)? else {
            return Ok(());
        };
        let mut authorization = None;
        let mut accept = String::new();
        let mut accept_encoding = String::new();
        let mut length = 0;
        // Of the rest of the head nothing else is needed.
        while let Some(header) = line(&mut reader)?.filter(|header| !header.is_empty()) {
            let (name, value) = header.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
            if name.eq_ignore_ascii_case("authorization") {
                authorization = Some(value.trim().to_owned());
            }
            if name.eq_ignore_ascii_case("accept") {
                value.trim().clone_into(&mut accept);
            }
            if name.eq_ignore_ascii_case("accept-encoding") {
                value.trim().clone_into(&mut accept_encoding);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let stream = reader.get_mut();
        let target = first.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let asked = Asked {
            path: path.into(),
            query: parse_query(query),
            authorization,
            accept,
            accept_encoding,
        };
        let (delay, failure) = {
            let mut state = shared.lock();
            state.first_asked.get_or_insert_with(Instant::now);
            state.requests.push(asked.clone());
            (state.faults.delay, state.faults.take_failure(path))
        };
        shared.changed.notify_all();
        thread::sleep(delay);
        let unready = shared.lock().faults.unready;
        if path == "/readyz" {
            let (code, text) = if unready {
                (500, "not yet")
            } else {
                (200, "ok")
            };
            answer(stream, code, &json!(text))?;
            continue;
        }
        if unready {
            refuse(shared, stream, &asked, 503, "not ready yet")?;
            continue;
        }
        if path.ends_with("/selfsubjectaccessreviews") {
            let review: Value = serde_json::from_slice(&body).unwrap_or_default();
            let asked = &review["spec"]["resourceAttributes"];
            let right =
                [&asked["verb"], &asked["resource"]].map(|part| part.as_str().unwrap_or_default());
            let denied = shared.lock().faults.denied.contains(&right.join(" "));
            answer(
                stream,
                201,
                &json!({"kind": "SelfSubjectAccessReview", "status": {"allowed": !denied}}),
            )?;
            continue;
        }
        if path.ends_with("/events") {
            let (code, body) = events::create(shared, &body);
            answer(stream, code, &body)?;
            continue;
        }
        let lists_all_nodes = path == "/api/v1/nodes" && asked.get("fieldSelector").is_none();
        if lists_all_nodes
            && shared
                .lock()
                .faults
                .denied
                .contains(&"list all nodes".to_owned())
        {
            refuse(shared, stream, &asked, 403, "nodes is forbidden")?;
            continue;
        }
        if let Some(code) = failure {
            let format = Format::of(shared, &asked);
            let body = format.write(&status(code, "as the test wants it"));
            let after = shared.lock().faults.retry_after;
            let after = after.map_or_else(String::new, |after| format!("\r\nretry-after: {after}"));
            let more = shared.lock().faults.headers.clone();
            let lines = format!("content-length: {}{after}{more}", body.len());
            stream.write_all(format::head(code, format, &lines).as_bytes())?;
            stream.write_all(&body)?;
            continue;
        }
        if odd::answered(shared, stream, &asked)? {
            continue;
        }
        let selector = Selector::parse(asked.get("labelSelector"), asked.get("fieldSelector"));
        let selector = match selector {
            Ok(selector) => selector,
            Err(message) => {
                refuse(shared, stream, &asked, 400, &message)?;
                continue;
            }
        };
        let unknown = shared.lock().faults.no_cluster_ip_selector;
        if unknown
            && asked
                .get("fieldSelector")
                .is_some_and(|field| field.contains("clusterIP"))
        {
            let message = "field label not supported: spec.clusterIP";
            refuse(shared, stream, &asked, 400, message)?;
            continue;
        }
        if streamed::refused(shared, stream, &asked)? {
            continue;
        }
        if asked.is_watch() {
            watch(shared, stream, &asked, &selector)?;
        } else {
            list(shared, stream, &asked, &selector)?;
        }
    }
}

/// A line without its end, if there is another.
fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    reader.lines().next().transpose()
}

fn list(shared: &Shared, stream: &mut Wire, asked: &Asked, selector: &Selector) -> io::Result<()> {
    let (body, endless) = {
        let state = shared.lock();
        let body = state.faults.bodies.get(&asked.path).cloned();
        (body, state.faults.endless)
    };
    let (kind, api_version) = list_kind(&store_path(&asked.path));
    let body = body.or_else(|| {
        let token = match endless? {
            Endless::SameToken => "more".to_owned(),
            Endless::TwoTokens if asked.get("continue") == Some("one") => "another".to_owned(),
            Endless::TwoTokens => "one".to_owned(),
            Endless::NewTokens => format!("{}-more", asked.get("continue").unwrap_or_default()),
        };
        let page = json!({"kind": kind, "apiVersion": api_version, "items": [],
                          "metadata": {"resourceVersion": "1", "continue": token}});
        Some(page.to_string())
    });
    if let Some(body) = body {
        let head = head(200, &format!("content-length: {}", body.len()));
        return stream.write_all(format!("{head}{body}").as_bytes());
    }
    let mut limit = asked.get("limit").and_then(|limit| limit.parse().ok());
    let path = store_path(&asked.path);
    let page = {
        let mut state = shared.lock();
        let since = asked
            .get("resourceVersion")
            .map(|since| since.parse::<u64>().unwrap());
        if since == Some(0) && !state.faults.no_cache {
            limit = None;
        }
        let known = state.store.version();
        if since.is_some_and(|since| since > known) {
            drop(state);
            let message = format!(
                "Timeout: Too large resource version: {}, current: {known}",
                since.unwrap()
            );
            return refuse(shared, stream, asked, 504, &message);
        }
        if since.is_some_and(|since| since > 0) && state.faults.lists_gone {
            drop(state);
            let message = "the resourceVersion for the provided list is too old";
            return refuse(shared, stream, asked, 410, message);
        }
        let from = asked.get("continue");
        state.store.list(&path, selector, limit, from)
    };
    let Ok(page) = page else {
        return refuse(shared, stream, asked, 410, "that list is no longer kept");
    };
    let body = json!({
        "kind": kind,
        "apiVersion": api_version,
        "metadata": {"resourceVersion": page.version.to_string(), "continue": page.next},
        "items": page.items,
    });
    let format = Format::of(shared, asked);
    let (coding, body) = packed::packed(shared, asked, format.write(&body));
    let length = format!("content-length: {}{coding}", body.len());
    stream.write_all(format::head(200, format, &length).as_bytes())?;
    let (first, second) = body.split_at(body.len() / 2);
    stream.write_all(first)?;
    let mut state = shared.lock();
    if state.faults.holds_list(&asked.path) {
        state.held += 1;
        shared.changed.notify_all();
    }
    while state.faults.holds_list(&asked.path) {
        state = shared.changed.wait(state).unwrap();
    }
    drop(state);
    stream.write_all(second)
}

/// Where the objects are that a path is about. Those of one namespace are served as those of all: who asks for one by
/// name gets it.
fn store_path(path: &str) -> String {
    let Some((start, rest)) = path.split_once("/namespaces/") else {
        return path.into();
    };
    let resource = rest.split_once('/').map_or("", |(_, resource)| resource);
    format!("{start}/{resource}")
}

/// What a list of a path says it is.
fn list_kind(path: &str) -> (&'static str, &'static str) {
    match path {
        "/api/v1/services" => ("ServiceList", "v1"),
        "/api/v1/nodes" => ("NodeList", "v1"),
        "/apis/discovery.k8s.io/v1/endpointslices" => ("EndpointSliceList", "discovery.k8s.io/v1"),
        _ => ("List", "v1"),
    }
}

/// Serves a watch until it ends; then the connection has had its day, too, where it was broken off.
fn watch(shared: &Shared, stream: &mut Wire, asked: &Asked, selector: &Selector) -> io::Result<()> {
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

pub(super) fn chunk(stream: &mut Wire, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(&chunk_of(bytes))
}

/// Bytes as a chunk of a body whose length is not known beforehand.
pub(super) fn chunk_of(bytes: &[u8]) -> Vec<u8> {
    let length = format!("{:x}\r\n", bytes.len());
    [length.as_bytes(), bytes, b"\r\n"].concat()
}

pub(super) fn answer(stream: &mut Wire, code: u16, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    let head = head(code, &format!("content-length: {}", body.len()));
    stream.write_all(format!("{head}{body}").as_bytes())
}

pub(super) fn head(code: u16, length: &str) -> String {
    format::head(code, Format::Json, length)
}

pub(super) fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
           "reason": if code == 410 { "Expired" } else { "InternalError" }, "message": message})
}

fn parse_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (unescape(key), unescape(value)))
        .collect()
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn queries_are_unescaped() {
    let query = parse_query("labelSelector=%21a%2Fb%2C%21c&limit=5");
    assert_eq!(query["labelSelector"], "!a/b,!c");
    assert_eq!(query["limit"], "5");
}
