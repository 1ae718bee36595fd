//! One connection: requests and their answers.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::answer::{answer, head_of, refuse, status};
use super::format::Format;
use super::list::list;
use super::selector::Selector;
use super::tls::Wire;
use super::watch::watch;
use super::{Asked, Shared, events, http2, odd, streamed};

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
    while let Some((asked, body)) = Asked::read(&mut reader)? {
        let (delay, failure) = {
            let mut state = shared.lock();
            state.first_asked.get_or_insert_with(Instant::now);
            state.requests.push(asked.clone());
            (state.faults.delay, state.faults.take_failure(&asked.path))
        };
        shared.changed.notify_all();
        thread::sleep(delay);
        let stream = reader.get_mut();
        let unready = shared.lock().faults.unready;
        if asked.path == "/readyz" {
            let (code, text) = if unready {
                (500, "not yet")
            } else {
                (200, "ok")
            };
            answer(stream, code, &json!(text))?;
        } else if unready {
            refuse(shared, stream, &asked, 503, "not ready yet")?;
        } else if asked.path.ends_with("/selfsubjectaccessreviews") {
            answer(stream, 201, &review(shared, &body))?;
        } else if asked.path.ends_with("/events") {
            let (code, body) = events::create(shared, &body);
            answer(stream, code, &body)?;
        } else {
            objects(shared, stream, &asked, failure)?;
        }
    }
    Ok(())
}

/// The answer to who asks whether it has a right.
fn review(shared: &Shared, body: &[u8]) -> Value {
    let review: Value = serde_json::from_slice(body).unwrap_or_default();
    let asked = &review["spec"]["resourceAttributes"];
    let right = [&asked["verb"], &asked["resource"]].map(|part| part.as_str().unwrap_or_default());
    let denied = shared.lock().faults.denied.contains(&right.join(" "));
    json!({"kind": "SelfSubjectAccessReview", "status": {"allowed": !denied}})
}

/// Answers a list or watch, or fails it with a status.
fn objects(
    shared: &Shared,
    stream: &mut Wire,
    asked: &Asked,
    failure: Option<u16>,
) -> io::Result<()> {
    let field = asked.get("fieldSelector");
    let denied = |right: &str| shared.lock().faults.denied.iter().any(|one| one == right);
    if asked.path == "/api/v1/nodes" && field.is_none() && denied("list all nodes") {
        return refuse(shared, stream, asked, 403, "nodes is forbidden");
    }
    if let Some(code) = failure {
        return fail(shared, stream, asked, code);
    }
    if odd::answered(shared, stream, asked)? {
        return Ok(());
    }
    let selector = match Selector::parse(asked.get("labelSelector"), field) {
        Ok(selector) => selector,
        Err(message) => return refuse(shared, stream, asked, 400, &message),
    };
    let unknown = shared.lock().faults.no_cluster_ip_selector;
    if unknown && field.is_some_and(|field| field.contains("clusterIP")) {
        let message = "field label not supported: spec.clusterIP";
        return refuse(shared, stream, asked, 400, message);
    }
    if streamed::refused(shared, stream, asked)? {
        return Ok(());
    }
    if asked.is_watch() {
        watch(shared, stream, asked, &selector)
    } else {
        list(shared, stream, asked, &selector)
    }
}

/// Answers with a status that the test wants, and what it wants in the head of such an answer.
fn fail(shared: &Shared, stream: &mut Wire, asked: &Asked, code: u16) -> io::Result<()> {
    let format = Format::of(shared, asked);
    let body = format.write(&status(code, "as the test wants it"));
    let (after, more) = {
        let faults = &shared.lock().faults;
        (faults.retry_after, faults.headers.clone())
    };
    let after = after.map_or_else(String::new, |after| format!("\r\nretry-after: {after}"));
    let lines = format!("content-length: {}{after}{more}", body.len());
    stream.write_all(head_of(code, format, &lines).as_bytes())?;
    stream.write_all(&body)
}
