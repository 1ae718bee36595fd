//! What an API server answers, parsed no further than needed, so that nothing in one object can spoil the rest.

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

/// Whatever came in the place of a page.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    kind: Option<String>,
    api_version: Option<String>,
    #[serde(default)]
    metadata: Option<ListMeta>,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
    /// A Status's.
    #[serde(default)]
    code: Option<u16>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: Option<String>,
    r#continue: Option<String>,
}

impl<'a> Page<'a> {
    /// Parses a page of the list of that kind.
    ///
    /// An API server names kind, API version and version of each list, and its items, if only by an empty array. What
    /// lacks any of them came from something else: taken for a list it would be a cluster without Services.
    pub(super) fn parse(text: &'a [u8], kind: &Kind) -> Result<Self, WatchError> {
        let answer: Answer<'_> = serde_json::from_slice(text).map_err(WatchError::Unreadable)?;
        if answer.kind.as_deref() == Some("Status") {
            return Err(WatchError::Refused {
                code: answer.code.unwrap_or(200),
                message: answer
                    .message
                    .unwrap_or_else(|| "a Status without a message".into()),
            });
        }
        let expected = format!("{}List", kind.name());
        let wrong = |reason: String| WatchError::NotTheList {
            expected: expected.clone(),
            reason,
        };
        for (field, found, wanted) in [
            ("kind", &answer.kind, &*expected),
            ("apiVersion", &answer.api_version, kind.api_version()),
        ] {
            match found.as_deref() {
                Some(found) if found == wanted => {}
                Some(found) => return Err(wrong(format!("its {field} is {found:?}"))),
                None => return Err(wrong(format!("it has no {field}"))),
            }
        }
        let metadata = answer.metadata.unwrap_or_default();
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let Some(version) = filled(metadata.resource_version) else {
            return Err(wrong("it has no metadata.resourceVersion".into()));
        };
        let Some(items) = answer.items else {
            return Err(wrong("it has no items".into()));
        };
        Ok(Self {
            version,
            next: filled(metadata.r#continue),
            items,
        })
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
