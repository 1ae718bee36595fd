//! What an API server answers, read no further than needed, so that nothing in an object can spoil the rest.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A page of a list. Items are still text: only one at a time is ever unfolded.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(default)]
    pub(super) metadata: ListMeta,
    #[serde(borrow, default)]
    pub(super) items: Option<Vec<&'a RawValue>>,
}

/// What a page says of its list.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListMeta {
    resource_version: Option<String>,
    r#continue: Option<String>,
}

impl ListMeta {
    /// The version that the list is of.
    pub(super) fn version(&self) -> Option<&str> {
        self.resource_version.as_deref().filter(|v| !v.is_empty())
    }

    /// What to ask the next page with, where there is one.
    pub(super) fn next(self) -> Option<String> {
        self.r#continue.filter(|token| !token.is_empty())
    }
}

/// A line of a watch.
#[derive(Deserialize)]
pub(super) struct Line {
    #[serde(rename = "type")]
    pub(super) what: What,
    #[serde(default)]
    pub(super) object: Value,
}

/// What a line of a watch is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum What {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_may_lack_anything() {
        let page: Page<'_> = serde_json::from_str("{}").unwrap();
        assert!(page.metadata.version().is_none() && page.items.is_none());
        let text = r#"{"kind":"ServiceList","metadata":{"resourceVersion":"7","continue":""},"items":null}"#;
        let page: Page<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(page.metadata.version(), Some("7"));
        assert_eq!(page.metadata.next(), None);
        let text = r#"{"metadata":{"continue":"abc"},"items":[{"a":1},7]}"#;
        let page: Page<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(page.items.unwrap()[0].get(), r#"{"a":1}"#);
        assert_eq!(page.metadata.next().as_deref(), Some("abc"));
    }

    #[test]
    fn a_bookmark_needs_no_more_than_a_version() {
        let text = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#;
        let line: Line = serde_json::from_str(text).unwrap();
        assert_eq!(line.what, What::Bookmark);
        assert_eq!(version(&line.object), Some("9"));
        assert!(serde_json::from_str::<Line>(r#"{"type":"NOVEL","object":{}}"#).is_err());
    }
}
