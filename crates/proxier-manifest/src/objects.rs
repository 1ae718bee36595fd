//! The objects as they are written: every field that is used, nothing checked but its type.
//!
//! Lists may be `null`, as kubectl prints empty ones. So may their entries: what has a wrong type is made
//! null before the object is read once more. Numbers are wide, so that one out of range is reported as such
//! and not as a wrong type.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use proxier::cluster::annotation;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The metadata of an object.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) creation_timestamp: Option<Timestamp>,
    pub(super) resource_version: Option<String>,
    pub(super) labels: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    pub(super) annotations: Annotations,
}

/// The annotations that are read, by key. All others are passed over.
#[derive(Debug, Default)]
pub(super) struct Annotations(pub(super) Vec<(&'static str, Value)>);

impl Annotations {
    /// The key, if annotations of this key are read.
    pub(super) fn known(key: &[u8]) -> Option<&'static str> {
        let mut all = annotation::ALL.into_iter();
        all.find(|known| known.as_bytes() == key)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let mut all = self.0.iter();
        all.find_map(|(known, value)| (*known == key).then_some(value))
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnnotationsVisitor)
    }
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("annotations by key")
    }

    fn visit_unit<E>(self) -> Result<Annotations, E> {
        Ok(Annotations::default())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Annotations, M::Error> {
        let mut annotations = Annotations::default();
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match Annotations::known(key.as_bytes()) {
                Some(known) => annotations.0.push((known, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(annotations)
    }
}

/// When an object was created.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) enum Timestamp {
    /// As RFC 3339 writes it.
    Text(String),
    /// In seconds since the Unix epoch.
    #[cfg(feature = "protobuf")]
    Seconds(i64),
}

impl From<String> for Timestamp {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

#[derive(Deserialize)]
pub(super) struct RawService {
    #[serde(default)]
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: ServiceSpec,
    pub(super) status: Option<ServiceStatus>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    #[serde(rename = "type")]
    pub(super) service_type: Option<String>,
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    pub(super) cluster_ips: Option<Vec<Option<String>>>,
    #[serde(rename = "externalIPs")]
    pub(super) external_ips: Option<Vec<Option<String>>>,
    pub(super) ip_families: Option<Vec<Option<String>>>,
    pub(super) ports: Option<Vec<Option<RawServicePort>>>,
    pub(super) session_affinity: Option<String>,
    pub(super) session_affinity_config: Option<AffinityConfig>,
    pub(super) internal_traffic_policy: Option<String>,
    pub(super) external_traffic_policy: Option<String>,
    pub(super) health_check_node_port: Option<i64>,
    pub(super) load_balancer_source_ranges: Option<Vec<Option<String>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawServicePort {
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) port: i64,
    pub(super) node_port: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct AffinityConfig {
    #[serde(rename = "clientIP")]
    pub(super) client_ip: Option<ClientIp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientIp {
    pub(super) timeout_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceStatus {
    pub(super) load_balancer: Option<LoadBalancer>,
}

#[derive(Deserialize)]
pub(super) struct LoadBalancer {
    pub(super) ingress: Option<Vec<Option<Ingress>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ingress {
    pub(super) ip: Option<String>,
    pub(super) ip_mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawSlice {
    #[serde(default)]
    pub(super) metadata: Metadata,
    pub(super) address_type: Option<String>,
    pub(super) endpoints: Option<Vec<Option<RawEndpoint>>>,
    pub(super) ports: Option<Vec<Option<RawEndpointPort>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawEndpoint {
    pub(super) addresses: Option<Vec<String>>,
    pub(super) conditions: Option<Conditions>,
    pub(super) node_name: Option<String>,
    pub(super) hints: Option<RawHints>,
}

#[derive(Default, Deserialize)]
pub(super) struct Conditions {
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawHints {
    pub(super) for_zones: Option<Vec<Hint>>,
    pub(super) for_nodes: Option<Vec<Hint>>,
}

#[derive(Deserialize)]
pub(super) struct Hint {
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct RawEndpointPort {
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) port: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct RawNode {
    #[serde(default)]
    pub(super) metadata: Metadata,
    pub(super) spec: Option<NodeSpec>,
    pub(super) status: Option<NodeStatus>,
}

#[derive(Deserialize)]
pub(super) struct NodeSpec {
    #[serde(rename = "podCIDR")]
    pub(super) pod_cidr: Option<String>,
    #[serde(rename = "podCIDRs")]
    pub(super) pod_cidrs: Option<Vec<Option<String>>>,
}

#[derive(Deserialize)]
pub(super) struct NodeStatus {
    pub(super) addresses: Option<Vec<Option<NodeAddress>>>,
}

#[derive(Deserialize)]
pub(super) struct NodeAddress {
    #[serde(rename = "type")]
    pub(super) address_type: String,
    pub(super) address: String,
}
