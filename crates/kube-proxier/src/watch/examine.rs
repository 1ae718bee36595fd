//! Whether the API server gives what the daemon needs, for `kube-proxier doctor`.

use std::time::Duration;

use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::error::WatchError;
use super::protocol::Page;
use super::{ApiClient, Kind, Limits};

/// How long each answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// What the daemon needs to be allowed to do: verb, API group, resource.
const RIGHTS: [(&str, &str, &str); 6] = [
    ("list", "", "services"),
    ("watch", "", "services"),
    ("list", "discovery.k8s.io", "endpointslices"),
    ("watch", "discovery.k8s.io", "endpointslices"),
    ("list", "", "nodes"),
    ("watch", "", "nodes"),
];

/// What it does without, if it has to.
const OPTIONAL: [(&str, &str, &str); 1] = [("create", "events.k8s.io", "events")];

/// What was found. What could not be found out is an error in words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examination {
    /// Whether the server is ready.
    pub ready: Result<(), String>,
    /// Rights that are missing, such as `list nodes`.
    pub missing_rights: Result<Vec<String>, String>,
    /// The same of rights that the daemon can do without.
    pub missing_optional_rights: Result<Vec<String>, String>,
    /// Whether there is a Node of the name that was given.
    pub has_node: Result<bool, String>,
}

/// Tries what the daemon needs of the API server. It changes nothing there.
pub async fn examine(client: &ApiClient, node_name: &str) -> Examination {
    let text = |error: WatchError| error.to_string();
    Examination {
        ready: ready(client).await.map_err(text),
        missing_rights: missing_rights(client, &RIGHTS).await.map_err(text),
        missing_optional_rights: missing_rights(client, &OPTIONAL).await.map_err(text),
        has_node: has_node(client, node_name).await.map_err(text),
    }
}

async fn body(client: &ApiClient, request: Request<Vec<u8>>) -> Result<Vec<u8>, WatchError> {
    let answer = client.body(request, Limits::default().page_bytes);
    timeout(ANSWER, answer)
        .await
        .unwrap_or(Err(WatchError::Timeout(ANSWER)))
}

async fn ready(client: &ApiClient) -> Result<(), WatchError> {
    let request = Request::get("/readyz").body(Vec::new());
    let request = request.map_err(|error| {
        kube::Error::BuildRequest(kube::core::request::Error::BuildRequest(error))
    })?;
    match body(client, request).await {
        Ok(_) => Ok(()),
        // Some servers answer this for nobody, or lack the path: they are there.
        Err(WatchError::Refused { code, .. }) if code < 500 => Ok(()),
        Err(error) => Err(error),
    }
}

async fn missing_rights(
    client: &ApiClient,
    rights: &[(&str, &str, &str)],
) -> Result<Vec<String>, WatchError> {
    let mut missing = Vec::new();
    for (verb, group, resource) in rights {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource}},
        });
        let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header(CONTENT_TYPE, "application/json")
            .body(review.to_string().into_bytes());
        let request = request.map_err(|error| {
            kube::Error::BuildRequest(kube::core::request::Error::BuildRequest(error))
        })?;
        let answer = body(client, request).await?;
        let answer: Value = serde_json::from_slice(&answer).map_err(WatchError::Unreadable)?;
        if answer.pointer("/status/allowed") != Some(&Value::Bool(true)) {
            missing.push(format!("{verb} {resource}"));
        }
    }
    Ok(missing)
}

async fn has_node(client: &ApiClient, name: &str) -> Result<bool, WatchError> {
    let kind = Kind::Node(name.into());
    let params = ListParams {
        field_selector: kind.field_selector(true),
        // The server's cache will do.
        resource_version: Some("0".into()),
        ..ListParams::default()
    };
    let request = kube::core::Request::new(kind.path())
        .list(&params)
        .map_err(kube::Error::BuildRequest)?;
    let text = body(client, request).await?;
    let page = Page::parse(&text, &kind)?;
    let is_it = |item: &&serde_json::value::RawValue| {
        serde_json::from_str(item.get()).is_ok_and(|item: Value| kind.wants(&item.into()))
    };
    Ok(page.items.iter().any(is_it))
}
