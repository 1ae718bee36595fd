//! One object, as an API server returns it.

use thiserror::Error;

use super::convert::{self, Object};
use super::diagnostic::display_problem;
use super::field_error::FieldError;
use proxier::cluster::ObjectName;

/// An object that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", display_problem(.kind.as_deref(), .name.as_ref(), .field, .reason))]
#[non_exhaustive]
pub struct ObjectError {
    /// Its kind, if it is known.
    pub kind: Option<Box<str>>,
    /// Its name, if it is known; of a Node with the namespace `default`.
    pub name: Option<ObjectName>,
    /// The path of the field, such as `spec.type`; empty for the whole.
    pub field: Box<str>,
    /// What is wrong with it.
    pub reason: Box<str>,
}

/// An object that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectReading {
    /// The object. `None`: no proxy needs it, such as an EndpointSlice without a Service or an object of
    /// another kind.
    pub object: Option<Object>,
    /// The fields and entries that cannot be used. The rest of the object is used.
    pub left_out: Vec<FieldError>,
    /// What is used, but not as it is written.
    pub warnings: Vec<FieldError>,
}

/// Reads one object. An entry that cannot be used, such as an address of an endpoint, costs that entry only.
///
/// Items of an API server's lists lack `apiVersion` and `kind`;
/// [`ListKind::complete`](crate::list::ListKind::complete) adds them.
///
/// # Errors
/// [`ObjectError`] where the object as a whole cannot be used, with the field at fault.
pub fn read_object(value: serde_json::Value) -> Result<ObjectReading, ObjectError> {
    convert::object(value).into_reading()
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
            let object = read_object(value).unwrap().object.unwrap();
            assert_eq!(object.kind(), kind);
        }
        let other = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
        assert_eq!(read_object(other), Ok(ObjectReading::default()));
    }

    #[test]
    fn an_error_names_object_and_field() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"type": "Magic", "clusterIP": "10.0.0.1"}});
        let error = read_object(service).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Service shop/web: spec.type: \"Magic\" is not a type of Service"
        );
        assert!(read_object(json!("text")).unwrap_err().kind.is_none());
    }

    #[test]
    fn a_bad_entry_costs_that_entry_only() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"clusterIP": "10.0.0.1", "externalIPs": [7, "1.2.3", "192.0.2.1", null],
                     "ports": [{"port": 80}, {"port": 65536}, {"port": "eighty"}, {}, {"port": 81, "nodePort": -1}]}});
        let reading = read_object(service).unwrap();
        let left_out: Vec<_> = reading.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(
            left_out,
            [
                "spec.externalIPs[0]: invalid type: integer `7`, expected a string",
                "spec.ports[2].port: invalid type: string \"eighty\", expected i64",
                "spec.ports[3]: missing field `port`",
                "spec.ports[1].port: 65536 is not a port: those are from 1 to 65535",
                "spec.ports[4].nodePort: -1 is not a port: those are from 1 to 65535",
                "spec.externalIPs[3]: is null",
                "spec.externalIPs[1]: \"1.2.3\" is not an IP address",
            ]
        );
        let Some(Object::Service(service)) = reading.object else {
            panic!("no Service");
        };
        let ports: Vec<_> = service.ports.iter().map(|port| port.port.get()).collect();
        assert_eq!((ports, service.external_ips.len()), (vec![80, 81], 1));
    }

    #[test]
    fn addresses_that_every_machine_has_are_left_out() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"clusterIP": "10.0.0.1", "type": "LoadBalancer", "ports": [{"port": 80}],
                     "externalIPs": ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "192.0.2.1"]},
            "status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}, {"ip": "169.254.7.7"}]}}});
        let reading = read_object(service).unwrap();
        let left_out: Vec<_> = reading.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(left_out.len(), 6, "{left_out:#?}");
        assert_eq!(
            left_out[0],
            "spec.externalIPs[0]: 127.0.0.1 is a loopback address, by which every machine means itself"
        );
        assert_eq!(
            left_out[3],
            "spec.externalIPs[3]: 0.0.0.0 is the null address, which nothing can have"
        );
        let Some(Object::Service(service)) = reading.object else {
            panic!("no Service");
        };
        assert_eq!(
            service.external_ips,
            ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]
        );
        assert_eq!(service.load_balancer_ips.len(), 1);
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": ["127.0.0.1"]}, {"addresses": ["10.244.1.5"]}], "ports": [{"port": 80}]});
        let reading = read_object(slice).unwrap();
        assert_eq!(reading.left_out.len(), 1);
        let Some(Object::Slice(slice)) = reading.object else {
            panic!("no slice");
        };
        assert_eq!(slice.endpoints.len(), 1);
    }

    #[test]
    fn a_flood_of_bad_entries_is_counted() {
        let flood = |entry: serde_json::Value| {
            let entries = vec![entry; 5000];
            read_object(json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": "a", "labels": {"kubernetes.io/service-name": "a"}},
                "endpoints": entries}))
        };
        let reading = flood(json!({"addresses": [""]})).unwrap();
        assert_eq!(reading.left_out.len(), 101);
        let last = reading.left_out.last().unwrap().to_string();
        assert_eq!(last, "4900 more entries cannot be used");
        let error = flood(json!({"addresses": 7})).unwrap_err().to_string();
        assert!(error.contains("more than 100 entries"), "{error}");
    }
}
