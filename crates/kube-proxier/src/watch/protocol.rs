//! What an API server answers, parsed no further than needed, so that nothing in one object can spoil the rest.

use proxier_manifest::list::{ListError, RawList};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Kind;
use super::error::WatchError;

/// A page of a list that was checked to be one of the list asked for.
pub(super) struct Page<'a> {
    /// The version of the cluster that the whole list shows; never empty.
    pub(super) version: String,
    /// What to ask the next page with, where there is one.
    pub(super) next: Option<String>,
    /// The objects, as text: only one at a time is ever parsed.
    pub(super) items: Vec<&'a RawValue>,
}

impl<'a> Page<'a> {
    /// Parses a page of the list of that kind.
    ///
    /// An API server names kind, API version and version of each list, and its items, if only by an empty array. What
    /// lacks any of them came from something else: taken for a list it would be a cluster without Services.
    pub(super) fn parse(text: &'a [u8], kind: &Kind) -> Result<Self, WatchError> {
        let answer: RawList<&RawValue> =
            serde_json::from_slice(text).map_err(WatchError::Unreadable)?;
        match answer.check(kind.list()) {
            Ok(list) => Ok(Self {
                version: list.resource_version.into(),
                next: list.continue_token.map(Into::into),
                items: list.items,
            }),
            Err(ListError::Status { code, message }) => Err(WatchError::Refused {
                code: code.unwrap_or(200),
                message: message.into(),
                retry_after: None,
            }),
            Err(error) => Err(WatchError::NotTheList {
                expected: kind.list().kind().to_owned(),
                reason: error.to_string(),
            }),
        }
    }
}

/// A line of a watch.
#[derive(Deserialize)]
pub(super) struct Line {
    #[serde(rename = "type")]
    pub(super) event: EventType,
    #[serde(default)]
    pub(super) object: Value,
}

impl Line {
    /// Parses a line. A Status in the place of an event is what the server has to report.
    pub(super) fn parse(text: &[u8]) -> Result<Self, WatchError> {
        serde_json::from_slice(text).map_err(|error| match serde_json::from_slice::<Value>(text) {
            Ok(status) if status.get("kind").is_some_and(|kind| kind == "Status") => {
                refusal(&status, 200)
            }
            _ => WatchError::Unreadable(error),
        })
    }
}

/// The type of a watch event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum EventType {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

/// The version of an object, or of the cluster, where it is a bookmark.
pub(super) fn version(object: &Value) -> Option<&str> {
    object
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .filter(|version| !version.is_empty())
}

/// The Status that is in an ERROR line, or is the body of an answer.
pub(super) fn refusal(status: &Value, code: u16) -> WatchError {
    let named = status.get("code").and_then(Value::as_u64);
    let message = status.get("message").and_then(Value::as_str);
    WatchError::Refused {
        code: named
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or(code),
        message: message.unwrap_or("no reason given").to_owned(),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_apart() {
        let text = br#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":""},"items":[]}"#;
        let page = Page::parse(text, &Kind::Services).unwrap();
        assert_eq!(
            (&*page.version, page.next, page.items.len()),
            ("7", None, 0)
        );
        let text = br#"{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":
                        {"resourceVersion":"8","continue":"abc"},"items":[{"a":1},7]}"#;
        let page = Page::parse(text, &Kind::Slices).unwrap();
        assert_eq!(page.items[0].get(), r#"{"a":1}"#);
        assert_eq!(page.next.as_deref(), Some("abc"));
    }

    #[test]
    fn what_is_not_the_list_asked_for_is_refused_and_says_why() {
        for (text, reason) in [
            ("{}", "it has no kind"),
            (
                r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[]}"#,
                r#"its kind is "PodList""#,
            ),
            (
                r#"{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":""},"items":[]}"#,
                r#"its kind is "List""#,
            ),
            (
                r#"{"kind":"ServiceList","metadata":{"resourceVersion":"7"},"items":[]}"#,
                "it has no apiVersion",
            ),
            (
                r#"{"kind":"ServiceList","apiVersion":"v2","metadata":{"resourceVersion":"7"},"items":[]}"#,
                r#"its apiVersion is "v2""#,
            ),
            (
                r#"{"kind":"ServiceList","apiVersion":"v1","items":[]}"#,
                "it has no metadata.resourceVersion",
            ),
            (
                r#"{"kind":"ServiceList","apiVersion":"v1","metadata":null,"items":[]}"#,
                "it has no metadata.resourceVersion",
            ),
            (
                r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":null}"#,
                "it has no items",
            ),
            (
                r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"}}"#,
                "it has no items",
            ),
        ] {
            let error = Page::parse(text.as_bytes(), &Kind::Services).err().unwrap();
            assert_eq!(
                error.to_string(),
                format!("the answer is not a ServiceList: {reason}"),
                "{text}"
            );
            assert!(!error.is_away(), "{text}");
        }
        for text in [
            "",
            "[]",
            "null",
            "7",
            "<html>",
            r#"{"kind":"ServiceList","items":{}}"#,
        ] {
            let error = Page::parse(text.as_bytes(), &Kind::Services).err().unwrap();
            assert!(
                matches!(error, WatchError::Unreadable(_)),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_status_is_shown_in_its_own_words() {
        let text = br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;
        let error = Page::parse(text, &Kind::Services).err().unwrap();
        assert_eq!(
            error.to_string(),
            "the API server answers 401: Unauthorized"
        );
    }

    #[test]
    fn a_bookmark_needs_no_more_than_a_version() {
        let text = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#;
        let line: Line = serde_json::from_str(text).unwrap();
        assert_eq!(line.event, EventType::Bookmark);
        assert_eq!(version(&line.object), Some("9"));
        assert!(serde_json::from_str::<Line>(r#"{"type":"NOVEL","object":{}}"#).is_err());
    }
}
