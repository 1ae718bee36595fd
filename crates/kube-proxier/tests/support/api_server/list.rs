//! Lists.

use std::io::{self, Write};

use serde_json::json;

use super::answer::{head, head_of, refuse};
use super::faults::Endless;
use super::format::Format;
use super::selector::Selector;
use super::tls::Wire;
use super::{Asked, Shared, packed};

/// Answers a list, or a page of it.
pub(super) fn list(
    shared: &Shared,
    stream: &mut Wire,
    asked: &Asked,
    selector: &Selector,
) -> io::Result<()> {
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
    stream.write_all(head_of(200, format, &length).as_bytes())?;
    let (first, second) = body.split_at(body.len() / 2);
    stream.write_all(first)?;
    drop(shared.unheld(&asked.path));
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
pub(super) fn list_kind(path: &str) -> (&'static str, &'static str) {
    match path {
        "/api/v1/services" => ("ServiceList", "v1"),
        "/api/v1/nodes" => ("NodeList", "v1"),
        "/apis/discovery.k8s.io/v1/endpointslices" => ("EndpointSliceList", "discovery.k8s.io/v1"),
        _ => ("List", "v1"),
    }
}
