//! Lists in gzip.

use std::io::Write;
use std::process::{Command, Stdio};

use kube_proxier::watch::{Limits, Timing};
use serde_json::Value;

use crate::api_server::{ApiServer, Asked};
use crate::each::{Api, on_each};
use crate::objects::{NODE, SERVICES, node, service, slice};
use crate::watched::{Watched, timing};

const PACKED: &str = "content-encoding: gzip";

fn objects() -> Vec<Value> {
    let services = (0..50).map(|n| service(&format!("web-{n}"), 80));
    services
        .chain([slice("web-1", "10.1.0.1"), node(NODE)])
        .collect()
}

/// A server that packs every list, however short.
fn server(api: Api) -> ApiServer {
    let server = api.start();
    server.pack_lists(Some(0));
    server.apply_step(objects());
    server
}

/// Makes the next watches, and so the next lists, begin anew.
fn list_again(server: &ApiServer) {
    server.advance(10);
    server.compact();
    server.end_watches();
}

fn lists(server: &ApiServer) -> Vec<Asked> {
    let asked = server.requests().into_iter();
    asked
        .filter(|asked| asked.path == SERVICES && !asked.is_watch())
        .collect()
}

/// As gzip(1) packs it.
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip");
    let gzip = gzip.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = gzip.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = text.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&text));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output.stdout
}

/// An empty list, which would remove everything.
const EMPTY: &[u8] =
    br#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"1000"},"items":[]}"#;

fn a_packed_list_is_the_list(api: Api) {
    // Packed, and by a server that ignores what is asked for; in pages too.
    for page in [500, 7] {
        let [packed, plain] = [Some(0), None].map(|from| {
            let server = server(api);
            server.pack_lists(from);
            if page < 50 {
                server.without_cache();
            }
            let watched = Watched::settled(&server, Timing { page, ..timing() });
            for asked in lists(&server) {
                assert_eq!(asked.accept_encoding, "gzip");
            }
            let requests = server.requests();
            let mut watches = requests.iter().filter(|asked| asked.is_watch());
            assert!(watches.all(|asked| asked.accept_encoding == "identity"));
            assert_eq!(watched.counters.failures(), 0);
            watched.cluster
        });
        assert_eq!(packed.services.len(), 50);
        assert_eq!(packed, plain);
    }
}

/// Packed by gzip(1) and in JSON, whatever format was asked for.
fn what_gzip_packs_is_read(api: Api) {
    let server = server(api);
    let mut watched = Watched::settled(&server, timing());
    server.answer_bytes(SERVICES, Some((PACKED, gzip(EMPTY))));
    list_again(&server);
    watched.until("the empty list", |w| w.cluster.services.is_empty());
}

/// What cannot be unpacked to its end changes nothing, and the next list is asked for as it is.
fn what_cannot_be_unpacked_changes_nothing(api: Api) {
    let right = gzip(EMPTY);
    let half = right[..right.len() / 2].to_vec();
    let without_sum = right[..right.len() - 8].to_vec();
    let mut damaged = right.clone();
    damaged[20] ^= 0xff;
    for (what, bytes) in [
        ("half", half),
        ("without its checksum", without_sum),
        ("damaged", damaged),
        ("nothing", Vec::new()),
        ("not packed", EMPTY.to_vec()),
    ] {
        let server = server(api);
        let mut watched = Watched::settled(&server, timing());
        let before = watched.cluster.clone();
        server.forget_requests();
        server.answer_bytes(SERVICES, Some((PACKED, bytes)));
        list_again(&server);
        watched.until_counted("failures", |counters| counters.failures() >= 2);
        watched.take_in();
        assert_eq!(watched.cluster, before, "{what}");
        server.wait_for_requests(|asked| {
            let of_services = |asked: &&Asked| asked.path == SERVICES && !asked.is_watch();
            asked.iter().filter(of_services).count() >= 2
        });
        let lists = lists(&server);
        assert_eq!(lists[0].accept_encoding, "gzip");
        assert!(
            lists[1..]
                .iter()
                .all(|asked| asked.accept_encoding == "identity"),
            "{what}"
        );
        server.answer_bytes(SERVICES, None);
        server.put(service("after", 1));
        watched.until("what comes after", |w| w.services().contains(&("after", 1)));
    }
}

/// A small answer that becomes a large one is read no further than a large one.
fn a_bomb_changes_nothing(api: Api) {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    let limits = Limits {
        page_bytes: 1 << 20,
        ..Limits::default()
    };
    let server = server(api);
    let mut watched = Watched::settled(&server, Timing { limits, ..timing() });
    let before = watched.cluster.clone();
    server.forget_requests();
    server.answer_bytes(SERVICES, Some((PACKED, bomb)));
    list_again(&server);
    watched.until_counted("failures", |counters| counters.failures() >= 3);
    watched.take_in();
    assert_eq!(watched.cluster, before);
    // It was asked for in pages, as a list that is too large is.
    assert!(
        lists(&server)
            .iter()
            .any(|asked| asked.get("limit").is_some())
    );
    server.answer_bytes(SERVICES, None);
    server.put(service("after", 1));
    watched.until("what comes after", |w| w.services().contains(&("after", 1)));
}

/// Other codings were not asked for.
fn other_codings_are_refused(api: Api) {
    for coding in ["deflate", "br", "gzip, gzip"] {
        let server = server(api);
        let mut watched = Watched::settled(&server, timing());
        let before = watched.cluster.clone();
        let head = format!("content-encoding: {coding}");
        server.answer_bytes(SERVICES, Some((&head, gzip(EMPTY))));
        list_again(&server);
        watched.until_counted("failures", |counters| counters.failures() >= 2);
        watched.take_in();
        assert_eq!(watched.cluster, before, "{coding}");
    }
}

on_each!(
    a_packed_list_is_the_list,
    what_gzip_packs_is_read,
    what_cannot_be_unpacked_changes_nothing,
    a_bomb_changes_nothing,
    other_codings_are_refused,
);
