//! A list, in protobuf where the server has it: as a stream where the server can, else from its cache where that will do, page
//! by page where it will not.
//!
//! What is asked for is what client-go's reflector asks for (`relistResourceVersion` and `list` in its
//! `tools/cache/reflector.go`). Five thousand nodes that start at once then cost the API server no read of etcd.

use std::collections::BTreeSet;

use axum::http::Request;
use axum::http::header::{ACCEPT, HeaderValue};
use axum::http::uri::Uri;
use futures_util::{AsyncBufRead, AsyncBufReadExt};
use kube::api::ListParams;
use proxier_manifest::json::PlainObject;
use proxier_manifest::protobuf::ListReader;
use tokio::time::timeout;

use super::super::Event;
use super::error::{BYTES, WatchError};
use super::follow::Follower;
use super::item::Item;
use super::protocol::{Format, PROTOBUF_OR_JSON, Page, not_the_list};
use super::request::read_all;
use super::stream::Watch;

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

/// The end of a page.
struct PageEnd {
    /// The version of the whole list.
    version: String,
    /// What to ask for the next page with, if there is one.
    next: Option<String>,
}

fn too_many(limit: usize, unit: &'static str) -> WatchError {
    WatchError::TooLarge { limit, unit }
}

impl Follower {
    /// Everything there is, and the watch it was received on, if it was. Nothing is changed by a list that does not come to
    /// its end.
    pub(super) async fn list(&mut self) -> Result<(Vec<Event>, Option<Watch>), WatchError> {
        self.knows_selector = true;
        let listed = match self.list_streamed().await? {
            Some((events, watch)) => (events, Some(watch)),
            None => (self.list_at_once().await?, None),
        };
        self.version_is_unavailable = false;
        self.needs_list = false;
        self.counters.count_list();
        Ok(listed)
    }

    /// Everything there is, in one answer or in pages.
    async fn list_at_once(&mut self) -> Result<Vec<Event>, WatchError> {
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
        listed
    }

    async fn list_since(&mut self, recency: &Recency) -> Result<Vec<Event>, WatchError> {
        self.intake.begin_list();
        let pages = self.timing.limits.pages;
        let mut objects = 0;
        let mut tokens = BTreeSet::new();
        let mut next = None;
        for _ in 0..pages {
            let page = self.list_page(recency, next, &mut objects).await?;
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
        Err(too_many(pages, "pages"))
    }

    /// A page, whose objects are taken in; asked for once more where the server does not know a field to select by.
    async fn list_page(
        &mut self,
        recency: &Recency,
        next: Option<String>,
        objects: &mut usize,
    ) -> Result<PageEnd, WatchError> {
        loop {
            let request = self.list_request(recency, next.clone())?;
            let limit = self.timing.answer;
            let page = timeout(limit, self.take_page(request, objects)).await;
            match page.unwrap_or(Err(WatchError::Timeout(limit))) {
                Err(error) if self.drop_selector(&error) => {}
                Err(error) => {
                    self.drop_protobuf(&error);
                    self.drop_gzip(&error);
                    return Err(error);
                }
                page => return page,
            }
        }
    }

    async fn take_page(
        &mut self,
        request: Request<Vec<u8>>,
        objects: &mut usize,
    ) -> Result<PageEnd, WatchError> {
        let limits = self.timing.limits;
        let unpacked = self.accepts_gzip.then_some(limits.page_bytes);
        let (format, body) = self.client.stream(request, unpacked).await?;
        if format == Format::Protobuf {
            return self.take_protobuf(body, objects).await;
        }
        let text = read_all(body, limits.page_bytes).await?;
        let page = Page::parse(&text, &self.kind)?;
        *objects += page.items.len();
        if *objects > limits.objects {
            return Err(too_many(limits.objects, "objects"));
        }
        for item in page.items {
            // What is JSON as a whole is so in its parts.
            let value = || serde_json::from_str(item.get()).unwrap_or_default();
            let plain = PlainObject::item(self.kind.list(), item.get());
            let item = plain.map_or_else(|| Item::Value(value()), Item::Plain);
            self.intake.list_item(item);
        }
        Ok(PageEnd {
            version: page.version,
            next: page.next,
        })
    }

    /// Takes objects in while they arrive, so that no more than one of them is kept as it was sent.
    async fn take_protobuf(
        &mut self,
        body: impl AsyncBufRead,
        objects: &mut usize,
    ) -> Result<PageEnd, WatchError> {
        let (kind, limits) = (self.kind.list(), self.timing.limits);
        let mut body = std::pin::pin!(body);
        let mut reader = ListReader::new(kind, limits.line_bytes);
        let mut left = limits.page_bytes;
        loop {
            let piece = body.fill_buf().await?;
            let length = piece.len();
            if length == 0 {
                break;
            }
            left = match left.checked_sub(length) {
                Some(left) => left,
                None => return Err(too_many(limits.page_bytes, BYTES)),
            };
            reader.push(piece);
            body.as_mut().consume(length);
            while let Some(object) = reader.next().map_err(|error| not_the_list(kind, error))? {
                *objects += 1;
                if *objects > limits.objects {
                    return Err(too_many(limits.objects, "objects"));
                }
                self.intake.list_item(Item::Protobuf(object));
            }
        }
        let list = reader.finish().map_err(|error| not_the_list(kind, error))?;
        Ok(PageEnd {
            version: list.resource_version.into(),
            next: list.continue_token.map(Into::into),
        })
    }

    /// Asks for protobuf, and for JSON of a server that does not have it.
    pub(super) fn ask_for_protobuf(&self, request: &mut Request<Vec<u8>>) {
        if self.accepts_protobuf {
            let formats = HeaderValue::from_static(PROTOBUF_OR_JSON);
            request.headers_mut().insert(ACCEPT, formats);
        }
    }

    /// From now on JSON is asked for, where protobuf was not understood.
    pub(super) fn drop_protobuf(&mut self, error: &WatchError) {
        if error.is_of_format() && std::mem::replace(&mut self.accepts_protobuf, false) {
            let kind = self.kind.name();
            tracing::warn!(kind, "{error}; from now on JSON is asked for");
        }
    }

    /// From now on lists are asked for as they are, where gzip could not be unpacked.
    fn drop_gzip(&mut self, error: &WatchError) {
        if matches!(error, WatchError::NotUnpacked(_)) {
            self.accepts_gzip = false;
            let kind = self.kind.name();
            tracing::warn!(kind, "from now on lists are not asked for in gzip");
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
        self.ask_for_protobuf(&mut request);
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
