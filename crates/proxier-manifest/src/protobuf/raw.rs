//! From messages to the values that objects in JSON are read to as well, and that are converted in one place.

use std::collections::BTreeMap;

use prost::Message;
use prost::bytes::Bytes;
use serde_json::Value;

use super::object::{lookup, reason};
use super::{messages, wire};
use crate::convert::{Convert, LABELS, Notes, Object};
use crate::field_error::FieldError;
use crate::list::ListKind;
use crate::objects::{
    AffinityConfig, Annotations, ClientIp, Conditions, Hint, Ingress, LoadBalancer, Metadata,
    NodeAddress, NodeSpec, NodeStatus, RawEndpoint, RawEndpointPort, RawHints, RawNode, RawService,
    RawServicePort, RawSlice, ServiceSpec, ServiceStatus, Timestamp,
};

/// Decodes an object whose metadata are decoded, and converts it.
pub(super) fn convert(
    kind: ListKind,
    metadata: Metadata,
    bytes: Bytes,
    notes: &mut Notes,
) -> Result<Option<Object>, FieldError> {
    match kind {
        ListKind::Services => service(metadata, decoded(bytes)?, notes).convert(notes),
        ListKind::EndpointSlices => slice(metadata, decoded(bytes)?, notes).convert(notes),
        ListKind::Nodes => node(metadata, decoded(bytes)?, notes).convert(notes),
    }
}

fn decoded<M: Message + Default>(bytes: Bytes) -> Result<M, FieldError> {
    M::decode(bytes).map_err(|error| FieldError::new("", reason(&error)))
}

/// Go writes a text that is not set as an empty one.
fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// The entries of a list. One that is malformed is noted and left out.
fn entries<M: Message + Default, R>(
    field: &str,
    entries: Vec<Bytes>,
    notes: &mut Notes,
    raw: impl Fn(M) -> R,
) -> Option<Vec<Option<R>>> {
    let entries = entries.into_iter().enumerate();
    let decoded = entries.map(|(n, entry)| match M::decode(entry) {
        Ok(message) => Some(raw(message)),
        Err(error) => {
            notes.leave_out(format!("{field}[{n}]"), reason(&error));
            None
        }
    });
    Some(decoded.collect())
}

fn texts(texts: Vec<String>) -> Option<Vec<Option<String>>> {
    Some(texts.into_iter().map(Some).collect())
}

impl From<messages::ObjectMeta> for Metadata {
    fn from(metadata: messages::ObjectMeta) -> Self {
        let label = |key: &&str| {
            let value = lookup(&metadata.labels, key)?;
            let value = String::from_utf8_lossy(&value).into_owned();
            Some(((*key).to_owned(), Value::from(value)))
        };
        let labels: BTreeMap<_, _> = LABELS.iter().filter_map(label).collect();
        let created = metadata.creation_timestamp.and_then(|time| time.seconds);
        Self {
            name: filled(metadata.name),
            namespace: filled(metadata.namespace),
            creation_timestamp: created.map(Timestamp::Seconds),
            resource_version: filled(metadata.resource_version),
            labels: Some(labels),
            annotations: annotations(&metadata.annotations),
        }
    }
}

/// Those that are read. Values of others are not looked at.
fn annotations(all: &[Bytes]) -> Annotations {
    let known = all.iter().filter_map(|entry| {
        let key = Annotations::known(entry.get(wire::first(entry, 1)?)?)?;
        let value = wire::first(entry, 2).and_then(|range| entry.get(range));
        let value = String::from_utf8_lossy(value.unwrap_or_default());
        Some((key, Value::from(value)))
    });
    Annotations(known.collect())
}

fn service(metadata: Metadata, service: messages::Service, notes: &mut Notes) -> RawService {
    let spec = service.spec.unwrap_or_default();
    let port = |port: messages::ServicePort| RawServicePort {
        name: Some(port.name),
        protocol: filled(port.protocol),
        port: port.port.into(),
        node_port: Some(port.node_port.into()),
    };
    let affinity = |config: messages::SessionAffinityConfig| AffinityConfig {
        client_ip: config.client_ip.map(|config| ClientIp {
            timeout_seconds: config.timeout_seconds.map(Into::into),
        }),
    };
    let spec = ServiceSpec {
        service_type: filled(spec.service_type),
        cluster_ip: filled(spec.cluster_ip),
        cluster_ips: texts(spec.cluster_ips),
        external_ips: texts(spec.external_ips),
        ip_families: texts(spec.ip_families),
        ports: entries("spec.ports", spec.ports, notes, port),
        session_affinity: filled(spec.session_affinity),
        session_affinity_config: spec.session_affinity_config.map(affinity),
        internal_traffic_policy: spec.internal_traffic_policy,
        external_traffic_policy: filled(spec.external_traffic_policy),
        health_check_node_port: Some(spec.health_check_node_port.into()),
        load_balancer_source_ranges: texts(spec.load_balancer_source_ranges),
    };
    let ingress = |ingress: messages::LoadBalancerIngress| Ingress {
        ip: filled(ingress.ip),
        ip_mode: ingress.ip_mode,
    };
    let load_balancer = service.status.and_then(|status| status.load_balancer);
    let load_balancer = load_balancer.map(|balancer| LoadBalancer {
        ingress: entries(
            "status.loadBalancer.ingress",
            balancer.ingress,
            notes,
            ingress,
        ),
    });
    RawService {
        metadata,
        spec,
        status: Some(ServiceStatus { load_balancer }),
    }
}

fn slice(metadata: Metadata, slice: messages::EndpointSlice, notes: &mut Notes) -> RawSlice {
    let endpoint = |endpoint: messages::Endpoint| RawEndpoint {
        addresses: Some(endpoint.addresses),
        conditions: endpoint.conditions.map(|conditions| Conditions {
            ready: conditions.ready,
            serving: conditions.serving,
            terminating: conditions.terminating,
        }),
        node_name: endpoint.node_name,
        hints: endpoint.hints.map(|hints| RawHints {
            for_zones: Some(names(hints.for_zones)),
            for_nodes: Some(names(hints.for_nodes)),
        }),
    };
    let port = |port: messages::EndpointPort| RawEndpointPort {
        name: port.name,
        protocol: port.protocol,
        port: port.port.map(Into::into),
    };
    // In the order of the fields in JSON.
    let endpoints = entries("endpoints", slice.endpoints, notes, endpoint);
    let ports = entries("ports", slice.ports, notes, port);
    RawSlice {
        metadata,
        address_type: slice.address_type,
        endpoints,
        ports,
    }
}

fn names(named: Vec<messages::Named>) -> Vec<Hint> {
    let named = named.into_iter();
    named.map(|named| Hint { name: named.name }).collect()
}

fn node(metadata: Metadata, node: messages::Node, notes: &mut Notes) -> RawNode {
    let spec = node.spec.map(|spec| NodeSpec {
        pod_cidr: filled(spec.pod_cidr),
        pod_cidrs: texts(spec.pod_cidrs),
    });
    let address = |address: messages::NodeAddress| NodeAddress {
        address_type: address.address_type,
        address: address.address,
    };
    let status = node.status.map(|status| NodeStatus {
        addresses: entries("status.addresses", status.addresses, notes, address),
    });
    RawNode {
        metadata,
        spec,
        status,
    }
}
