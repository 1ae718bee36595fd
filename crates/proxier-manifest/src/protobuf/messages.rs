//! Messages of which one comes with a list, or instead of it, with the fields that are used. prost passes over all others.
//!
//! Numbers and types are those of `generated.proto` in github.com/kubernetes/apimachinery.

use prost::Message;

/// `runtime.TypeMeta`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TypeMeta {
    #[prost(string, tag = "1")]
    pub(super) api_version: String,
    #[prost(string, tag = "2")]
    pub(super) kind: String,
}

/// `meta.v1.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusMessage {
    #[prost(string, tag = "3")]
    pub(super) message: String,
    #[prost(string, tag = "4")]
    pub(super) reason: String,
    #[prost(int32, tag = "6")]
    pub(super) code: i32,
}

/// `meta.v1.ListMeta`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListMeta {
    #[prost(string, tag = "2")]
    pub(super) resource_version: String,
    #[prost(string, tag = "3")]
    pub(super) continue_token: String,
}
