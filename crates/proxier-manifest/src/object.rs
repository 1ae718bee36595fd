//! One object, as an API server hands it over.

use std::fmt;

use thiserror::Error;

use super::convert::{self, Object};
use proxier::cluster::ObjectName;

/// An object that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", display_fault(.kind.as_deref(), .name.as_ref(), .field, .reason))]
pub struct ObjectError {
    /// Its kind, as far as that could be made out.
    pub kind: Option<Box<str>>,
    /// Its name, as far as that could be made out; of a Node with the namespace `default`.
    pub name: Option<ObjectName>,
    /// The field at fault, such as `spec.ports[1].port`; empty where it is the whole.
    pub field: Box<str>,
    /// What is wrong with it.
    pub reason: Box<str>,
}

/// Reads one object. `Ok(None)`: it is of no concern to a proxy, such as an EndpointSlice without a
/// Service or an object of another kind.
///
/// Items of an API server's lists lack `apiVersion` and `kind`; who passes such an item adds them.
///
/// # Errors
/// [`ObjectError`] where it cannot be used, with the field at fault.
pub fn read_object(value: serde_json::Value) -> Result<Option<Object>, ObjectError> {
    let read = convert::object(value);
    read.object.map_err(|fault| ObjectError {
        kind: read.kind,
        name: read.name,
        field: fault.field,
        reason: fault.reason,
    })
}

/// What is wrong with which object.
pub(super) fn display_fault(
    kind: Option<&str>,
    name: Option<&ObjectName>,
    field: &str,
    reason: &str,
) -> impl fmt::Display {
    let mut parts = Vec::new();
    match (kind, name) {
        (Some(kind), Some(name)) => parts.push(format!("{kind} {name}")),
        (Some(kind), None) => parts.push(kind.to_owned()),
        _ => {}
    }
    if !field.is_empty() {
        parts.push(field.to_owned());
    }
    parts.push(reason.to_owned());
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_is_read() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]}});
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}});
        for (value, kind) in [
            (service, "Service"),
            (slice, "EndpointSlice"),
            (node, "Node"),
        ] {
            let object = read_object(value).unwrap().unwrap();
            assert_eq!(object.kind(), kind);
        }
        let other = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
        assert_eq!(read_object(other), Ok(None));
    }

    #[test]
    fn a_fault_names_object_and_field() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}, {"port": 65536}]}});
        let error = read_object(service).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Service shop/web: spec.ports[1].port: 65536 is no port: those are from 1 to 65535"
        );
        assert!(read_object(json!("text")).unwrap_err().kind.is_none());
    }
}
