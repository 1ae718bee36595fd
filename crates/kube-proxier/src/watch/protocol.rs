//! What an API server answers, parsed no further than needed, so that nothing in one object can spoil the rest.

use proxier_manifest::json::PlainObject;
use proxier_manifest::list::{ListError, ListKind, RawList};
use proxier_manifest::protobuf;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Kind;
use super::error::WatchError;
use super::item::Item;

/// The formats that lists and watches are asked for in: the second where a server does not have the first.
pub(super) const PROTOBUF_OR_JSON: &str = "application/vnd.kubernetes.protobuf,application/json";

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Protobuf,
}

impl Format {
    /// The format of a media type, which may have parameters (`;stream=watch`). What is not known is tried as JSON.
    pub(super) fn of(media_type: &str) -> Self {
        let name = media_type.split(';').next().unwrap_or_default();
        match name.trim().eq_ignore_ascii_case(protobuf::MEDIA_TYPE) {
            true => Self::Protobuf,
            false => Self::Json,
        }
    }
}

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
        let list = answer.check(kind.list());
        let list = list.map_err(|error| not_the_list(kind.list(), error))?;
        Ok(Self {
            version: list.resource_version.into(),
            next: list.continue_token.map(Into::into),
            items: list.items,
        })
    }
}

/// Why an answer is not the list that was asked for.
pub(super) fn not_the_list(asked: ListKind, error: ListError) -> WatchError {
    match error {
        ListError::Status { code, message } => WatchError::Refused {
            code: code.unwrap_or(200),
            message: message.into(),
            retry_after: None,
        },
        // Of JSON that was found before.
        error @ ListError::Malformed(_) => WatchError::Malformed(error.to_string()),
        error => WatchError::NotTheList {
            expected: asked.kind().to_owned(),
            reason: error.to_string(),
        },
    }
}

/// An event of a watch.
pub(super) struct Received<'a> {
    pub(super) event: EventType,
    pub(super) object: Item<'a>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    event: EventType,
    #[serde(default)]
    object: Value,
}

impl<'a> Received<'a> {
    /// Parses a line of JSON. A Status in the place of an event, or in one, is what the server has to report.
    pub(super) fn parse(text: &'a [u8], kind: &Kind) -> Result<Self, WatchError> {
        let plain = PlainObject::event(kind.list(), text);
        if let Some((event, object)) = plain.filter(|(event, _)| *event != EventType::Error) {
            let object = Item::Plain(object);
            return Ok(Self { event, object });
        }
        let line: Line =
            serde_json::from_slice(text).map_err(|error| {
                match serde_json::from_slice::<Value>(text) {
                    Ok(status) if status.get("kind").is_some_and(|kind| kind == "Status") => {
                        refusal(&status, 200)
                    }
                    _ => WatchError::Unreadable(error),
                }
            })?;
        if line.event == EventType::Error {
            return Err(refusal(&line.object, 500));
        }
        Ok(Self {
            event: line.event,
            object: line.object.into(),
        })
    }

    /// Decodes an event in protobuf. A Status in it is what the server has to report.
    pub(super) fn decode(bytes: &'a [u8], kind: &Kind) -> Result<Self, WatchError> {
        let malformed = |error: protobuf::Malformed| WatchError::Malformed(error.to_string());
        let event = protobuf::Event::decode(kind.list(), bytes).map_err(malformed)?;
        let (event, object) = match event {
            protobuf::Event::Object(event, object) => (event, object),
            protobuf::Event::Failed(status) => return Err(refusal_in(status, 500)),
            _ => return Err(WatchError::Malformed("it is an event of a new kind".into())),
        };
        let event = match event {
            protobuf::EventType::Added => EventType::Added,
            protobuf::EventType::Modified => EventType::Modified,
            protobuf::EventType::Deleted => EventType::Deleted,
            protobuf::EventType::Bookmark => EventType::Bookmark,
            _ => EventType::Error,
        };
        Ok(Self {
            event,
            object: Item::Protobuf(object),
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

/// The body of an answer that failed, if it is a Status in either format.
pub(super) fn failure(body: &[u8], code: u16) -> WatchError {
    match serde_json::from_slice::<Value>(body) {
        Ok(status) if status.is_object() => return refusal(&status, code),
        _ => {}
    }
    match protobuf::Status::decode(body) {
        Ok(status) => refusal_in(status, code),
        Err(_) => WatchError::Refused {
            code,
            message: String::from_utf8_lossy(body).trim().to_owned(),
            retry_after: None,
        },
    }
}

/// A Status in protobuf.
fn refusal_in(status: protobuf::Status, code: u16) -> WatchError {
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    WatchError::Refused {
        code: if status.code == 0 { code } else { status.code },
        message: filled(status.message).unwrap_or_else(|| "no reason given".into()),
        retry_after: None,
    }
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
        let received = Received::parse(text.as_bytes(), &Kind::Services).unwrap();
        assert_eq!(received.event, EventType::Bookmark);
        assert_eq!(received.object.version(), Some("9"));
        assert!(Received::parse(br#"{"type":"NOVEL","object":{}}"#, &Kind::Services).is_err());
    }

    #[test]
    fn a_format_is_known_by_its_media_type() {
        for (media_type, format) in [
            ("application/json", Format::Json),
            ("application/vnd.kubernetes.protobuf", Format::Protobuf),
            (
                "application/vnd.kubernetes.protobuf;stream=watch",
                Format::Protobuf,
            ),
            (
                "Application/Vnd.Kubernetes.Protobuf ; stream=watch",
                Format::Protobuf,
            ),
            ("application/vnd.kubernetes.protobuf2", Format::Json),
            ("text/html", Format::Json),
            ("", Format::Json),
        ] {
            assert_eq!(Format::of(media_type), format, "{media_type}");
        }
    }

    #[test]
    fn a_failure_is_shown_in_its_own_words_in_either_format() {
        let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "code": 410, "message": "too old"});
        for body in [
            status.to_string().into_bytes(),
            protobuf::encode::object(&status),
        ] {
            assert_eq!(
                failure(&body, 500).to_string(),
                "the API server answers 410: too old"
            );
        }
        let plain = failure(b" no such path\n", 404).to_string();
        assert_eq!(plain, "the API server answers 404: no such path");
    }
}
