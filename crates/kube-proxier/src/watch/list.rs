//! A list: from the server's cache where that will do, page by page where it will not.
//!
//! What is asked for is what client-go's reflector asks for (`relistResourceVersion` and `list` in its
//! `tools/cache/reflector.go`). Five thousand nodes that start at once then cost the API server no read of etcd.

use std::collections::BTreeSet;

use axum::http::Request;
use axum::http::uri::Uri;
use kube::api::ListParams;

use super::super::Event;
use super::error::WatchError;
use super::follow::Follower;
use super::protocol::Page;

/// How recent a list has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Recency {
    /// As the server has it in its cache (`resourceVersion=0`). Who knows nothing yet is content with that: the watch that
    /// follows brings the rest. A server with a cache answers in one piece, one without it in pages.
    Any,
    /// Not older than what is known, so that nothing goes back in time. Without `limit` the server answers from its cache;
    /// with it, it would list the very version, from etcd.
    NotOlderThan(String),
    /// As it is now, in pages: each server reads it from etcd.
    MostRecent,
}

impl Follower {
    /// Everything there is. Nothing is changed by a list that does not come to its end.
    pub(super) async fn list(&mut self) -> Result<Vec<Event>, WatchError> {
        self.knows_selector = true;
        let recency = match &self.version {
            _ if self.version_is_unavailable || self.in_pages => Recency::MostRecent,
            None => Recency::Any,
            Some(version) => Recency::NotOlderThan(version.clone()),
        };
        let mut listed = self.list_since(&recency).await;
        if let Err(error) = &listed
            && recency != Recency::MostRecent
        {
            let too_large = error.has_too_many_bytes();
            self.in_pages |= too_large;
            self.version_is_unavailable |= error.is_version_unavailable();
            if self.version_is_unavailable || too_large {
                let kind = self.kind.name();
                tracing::debug!(kind, "{error}; listing the most recent version in pages");
                listed = self.list_since(&Recency::MostRecent).await;
            }
        }
        let events = listed?;
        self.version_is_unavailable = false;
        self.needs_list = false;
        self.counters.count_list();
        Ok(events)
    }

    async fn list_since(&mut self, recency: &Recency) -> Result<Vec<Event>, WatchError> {
        self.intake.begin_list();
        let limits = self.timing.limits;
        let too_many = |limit, unit| WatchError::TooLarge { limit, unit };
        let mut objects = 0;
        let mut tokens = BTreeSet::new();
        let mut next = None;
        for _ in 0..limits.pages {
            let text = self.list_page(recency, next).await?;
            let page = Page::parse(&text, &self.kind)?;
            objects += page.items.len();
            if objects > limits.objects {
                return Err(too_many(limits.objects, "objects"));
            }
            for item in page.items {
                // What is JSON as a whole is so in its parts.
                let item = serde_json::from_str(item.get()).unwrap_or_default();
                self.intake.list_item(item);
            }
            let Some(token) = page.next else {
                self.version = Some(page.version);
                return Ok(self.intake.end_list());
            };
            // The limit has no effect on what comes from a cache.
            self.in_pages |= *recency == Recency::Any;
            if !tokens.insert(token.clone()) {
                return Err(WatchError::RepeatedToken);
            }
            next = Some(token);
        }
        Err(too_many(limits.pages, "pages"))
    }

    /// A page, asked for once more where the server does not know a field to select by.
    async fn list_page(
        &mut self,
        recency: &Recency,
        next: Option<String>,
    ) -> Result<Vec<u8>, WatchError> {
        loop {
            let request = self.list_request(recency, next.clone())?;
            let answer = self.client.body(request, self.timing.limits.page_bytes);
            match self.within(answer).await {
                Err(error) if self.drop_selector(&error) => {}
                answer => return answer,
            }
        }
    }

    /// Whether the server refused a selector that can be left out; from now on it is.
    pub(super) fn drop_selector(&mut self, error: &WatchError) -> bool {
        let refused = error.is_bad_request() && self.kind.has_optional_selector();
        refused && std::mem::replace(&mut self.knows_selector, false)
    }

    fn list_request(
        &self,
        recency: &Recency,
        next: Option<String>,
    ) -> Result<Request<Vec<u8>>, WatchError> {
        let (version, limit) = match recency {
            Recency::NotOlderThan(version) => (Some(version.clone()), None),
            Recency::Any | Recency::MostRecent => (None, Some(self.timing.page)),
        };
        let is_first = next.is_none();
        let params = ListParams {
            label_selector: self.kind.label_selector(),
            field_selector: self.kind.field_selector(self.knows_selector),
            limit,
            continue_token: next,
            resource_version: version,
            ..ListParams::default()
        };
        let mut request = kube::core::Request::new(self.kind.path())
            .list(&params)
            .map_err(kube::Error::BuildRequest)?;
        if *recency == Recency::Any && is_first {
            // kube leaves this out where there is a limit, which a server without a cache needs.
            *request.uri_mut() = with_query(request.uri(), "resourceVersion=0");
        }
        Ok(request)
    }
}

/// A URI with one more part of its query.
fn with_query(uri: &Uri, part: &str) -> Uri {
    let extended = format!("{uri}&{part}");
    extended.parse().unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_extended() {
        let uri = Uri::from_static("/api/v1/nodes?limit=5");
        assert_eq!(
            with_query(&uri, "resourceVersion=0"),
            "/api/v1/nodes?limit=5&resourceVersion=0"
        );
    }
}
