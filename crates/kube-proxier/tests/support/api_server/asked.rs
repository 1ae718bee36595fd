//! What was asked of the stand-in.

use std::collections::BTreeMap;

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    /// The header of that name.
    pub(crate) authorization: Option<String>,
    /// The header of that name; empty where there is none.
    pub(crate) accept: String,
    /// The header `accept-encoding`; empty where there is none.
    pub(crate) accept_encoding: String,
}

impl Asked {
    pub(crate) fn is_watch(&self) -> bool {
        self.query.get("watch").is_some_and(|watch| watch == "true")
    }

    /// Whether it is a list as a stream.
    pub(crate) fn is_streamed_list(&self) -> bool {
        self.is_watch() && self.query.contains_key("sendInitialEvents")
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.query.get(key).map(String::as_str)
    }

    /// Whether it came with that token.
    pub(crate) fn shows(&self, token: &str) -> bool {
        let bearer = |header: &str| header.strip_prefix("Bearer ") == Some(token);
        self.authorization.as_deref().is_some_and(bearer)
    }
}
