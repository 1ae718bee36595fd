//! Lists of objects, as an API server answers with them.
//!
//! A server names kind, API version and version of each list, and its items, if only by an empty array. What lacks
//! any of these did not come from one: taken for a list it would be a cluster without Services.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::text::printable;

/// A kind of list that a proxy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListKind {
    /// `ServiceList`.
    Services,
    /// `EndpointSliceList`.
    EndpointSlices,
    /// `NodeList`.
    Nodes,
}

impl ListKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Services, Self::EndpointSlices, Self::Nodes];

    /// The kind of the list itself.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Services => "ServiceList",
            Self::EndpointSlices => "EndpointSliceList",
            Self::Nodes => "NodeList",
        }
    }

    /// The kind of its items, which the items of a server's list do not name.
    #[must_use]
    pub const fn item_kind(self) -> &'static str {
        match self {
            Self::Services => "Service",
            Self::EndpointSlices => "EndpointSlice",
            Self::Nodes => "Node",
        }
    }

    /// The API version of the list and of its items.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Services | Self::Nodes => "v1",
            Self::EndpointSlices => "discovery.k8s.io/v1",
        }
    }

    /// The one whose list has this kind.
    #[must_use]
    pub fn from_kind(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.kind() == kind)
    }

    /// Adds kind and API version to an item that lacks them.
    pub fn complete(self, item: &mut Value) {
        if let Some(object) = item.as_object_mut() {
            object
                .entry("apiVersion")
                .or_insert_with(|| self.api_version().into());
            object
                .entry("kind")
                .or_insert_with(|| self.item_kind().into());
        }
    }
}

/// Why something is not the list that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The server reports a failure instead.
    #[error("it is a Status: {}", printable(.message))]
    Status {
        /// The status code, as in HTTP.
        code: Option<u16>,
        /// The server's own words.
        message: Box<str>,
    },
    /// It has another kind, or none.
    #[error("{}", other("kind", .0.as_deref()))]
    Kind(Option<Box<str>>),
    /// It has another API version, or none.
    #[error("{}", other("apiVersion", .0.as_deref()))]
    ApiVersion(Option<Box<str>>),
    /// `metadata.resourceVersion` is missing or empty.
    #[error("it has no metadata.resourceVersion")]
    NoResourceVersion,
    /// `items` is missing or null.
    #[error("it has no items")]
    NoItems,
    /// A field has the wrong type.
    #[error("{}", printable(.0))]
    Malformed(Box<str>),
}

fn other(field: &str, found: Option<&str>) -> String {
    match found {
        Some(found) => format!("its {field} is {:?}", printable(found)),
        None => format!("it has no {field}"),
    }
}

/// Whatever was answered in the place of a list, its items as `T`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "T: Deserialize<'de>"))]
#[non_exhaustive]
pub struct RawList<T> {
    kind: Option<String>,
    api_version: Option<String>,
    metadata: Option<RawMeta>,
    items: Option<Vec<T>>,
    // Fields of a Status.
    code: Option<i64>,
    message: Option<String>,
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta {
    resource_version: Option<String>,
    r#continue: Option<String>,
}

/// A list that was checked to be the one asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct List<T> {
    /// The version of the cluster that the list shows; not empty.
    pub resource_version: Box<str>,
    /// What to ask for the next page with, if there is one.
    pub continue_token: Option<Box<str>>,
    /// The items.
    pub items: Vec<T>,
}

impl<T> RawList<T> {
    /// Checks that this is the list asked for.
    ///
    /// # Errors
    /// [`ListError`] with what is missing or different, or a Status's message.
    pub fn check(self, asked: ListKind) -> Result<List<T>, ListError> {
        let kind = self.kind.map(String::into_boxed_str);
        match kind.as_deref() {
            Some(kind) if kind == asked.kind() => {}
            Some("Status") => {
                let message = filled(self.message).or(filled(self.reason));
                return Err(ListError::Status {
                    code: self.code.and_then(|code| code.try_into().ok()),
                    message: message.unwrap_or_else(|| "it has no message".into()),
                });
            }
            _ => return Err(ListError::Kind(kind)),
        }
        let api_version = self.api_version.map(String::into_boxed_str);
        if api_version.as_deref() != Some(asked.api_version()) {
            return Err(ListError::ApiVersion(api_version));
        }
        let items = self.items.ok_or(ListError::NoItems)?;
        let metadata = self.metadata.unwrap_or_default();
        Ok(List {
            resource_version: filled(metadata.resource_version)
                .ok_or(ListError::NoResourceVersion)?,
            continue_token: filled(metadata.r#continue),
            items,
        })
    }
}

fn filled(text: Option<String>) -> Option<Box<str>> {
    text.filter(|text| !text.is_empty())
        .map(String::into_boxed_str)
}

/// Checks that a value is the list asked for.
///
/// # Errors
/// [`ListError`] with what is missing or different, or a Status's message.
pub fn check(asked: ListKind, value: &Value) -> Result<(), ListError> {
    let list: RawList<IgnoredAny> = serde_path_to_error::deserialize(value)
        .map_err(|error| ListError::Malformed(error.to_string().into()))?;
    list.check(asked).map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_asked_for_is_taken() {
        let text = r#"{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1",
                       "metadata":{"resourceVersion":"8","continue":"abc"},"items":[{"a":1},7]}"#;
        let raw: RawList<Value> = serde_json::from_str(text).unwrap();
        let list = raw.check(ListKind::EndpointSlices).unwrap();
        assert_eq!(list.items, [json!({"a": 1}), json!(7)]);
        assert_eq!(
            (&*list.resource_version, list.continue_token.as_deref()),
            ("8", Some("abc"))
        );
        for kind in ListKind::ALL {
            let value = json!({"kind": kind.kind(), "apiVersion": kind.api_version(),
                               "metadata": {"resourceVersion": "7", "continue": ""}, "items": []});
            assert_eq!(check(kind, &value), Ok(()));
            assert_eq!(ListKind::from_kind(kind.kind()), Some(kind));
        }
    }

    /// What was answered with status 200 in the place of a list (../../cases/lists).
    #[test]
    fn anything_else_is_not_a_list() {
        let list = |change: &dyn Fn(&mut Value)| {
            let mut value = json!({"kind": "ServiceList", "apiVersion": "v1",
                                   "metadata": {"resourceVersion": "7"}, "items": []});
            change(&mut value);
            value
        };
        for (value, says) in [
            (json!({}), "it has no kind"),
            (json!([]), ""),
            (json!("ServiceList"), "invalid type"),
            (
                list(&|v| v["kind"] = "PodList".into()),
                r#"its kind is "PodList""#,
            ),
            (
                list(&|v| v["kind"] = "List".into()),
                r#"its kind is "List""#,
            ),
            (
                list(&|v| v["kind"] = "NodeList".into()),
                r#"its kind is "NodeList""#,
            ),
            (
                list(&|v| v["apiVersion"] = "v2".into()),
                r#"its apiVersion is "v2""#,
            ),
            (
                list(&|v| v["apiVersion"] = Value::Null),
                "it has no apiVersion",
            ),
            (list(&|v| v["items"] = Value::Null), "it has no items"),
            (
                list(&|v| drop(v.as_object_mut().unwrap().remove("items"))),
                "it has no items",
            ),
            (list(&|v| v["items"] = json!({})), "items"),
            (
                list(&|v| v["metadata"] = json!({})),
                "it has no metadata.resourceVersion",
            ),
            (
                list(&|v| v["metadata"]["resourceVersion"] = "".into()),
                "it has no metadata.resourceVersion",
            ),
            (
                serde_json::from_str(include_str!("../tests/cases/lists/status.json")).unwrap(),
                "it is a Status: Unauthorized",
            ),
            (
                json!({"kind": "Status", "message": "a\nb\u{202e}"}),
                "a\\nb\\u{202e}",
            ),
        ] {
            let error = check(ListKind::Services, &value).unwrap_err().to_string();
            assert!(error.contains(says), "{value}: {error}");
        }
    }
}
