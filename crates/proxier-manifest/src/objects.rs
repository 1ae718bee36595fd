//! The objects as they are written: every field that is used, nothing checked but its type.
//!
//! Lists may be `null`, as kubectl prints empty ones. So may their entries: what has a wrong type is made
//! null before the object is read once more. Numbers are wide, so that one out of range is reported as such
//! and not as a wrong type.

use proxier::cluster::annotation;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::borrowed::{Chosen, First, Loose, Text, chosen};
use super::convert::LABELS;

/// The annotation that says when the cause of an EndpointSlice's last change came about.
pub const LAST_CHANGE_TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// The annotation of the bookmark that ends the list with which a watch began (`InitialEventsAnnotationKey` in
/// apimachinery's meta/v1).
pub const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// What is read for those who watch.
pub(super) const FOR_WATCHES: [&str; 2] = [LAST_CHANGE_TRIGGER_TIME, INITIAL_EVENTS_END];

/// A field that says of what kind or API version an object is.
#[derive(Debug, Default)]
pub(super) enum Named<'a> {
    /// It is not there. One that is null is of a wrong type.
    #[default]
    Missing,
    As(Text<'a>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Named<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Text::deserialize(from).map(Self::As)
    }
}

/// The metadata of an object.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) creation_timestamp: Option<Timestamp<'a>>,
    pub(super) deletion_timestamp: Option<IgnoredAny>,
    #[serde(borrow)]
    pub(super) resource_version: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "chosen")]
    pub(super) labels: Labels<'a>,
    #[serde(borrow, default, deserialize_with = "chosen")]
    pub(super) annotations: Annotations<'a>,
}

/// The labels that are read, by their place in [`LABELS`](super::convert::LABELS). All others are passed over.
#[derive(Debug, Default)]
pub(super) struct Labels<'a>([Option<Loose<'a>>; LABELS.len()]);

impl<'a> Labels<'a> {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Loose<'a>> {
        let at = LABELS.iter().position(|known| *known == key)?;
        self.0.get(at)?.as_ref()
    }
}

impl<'a> Chosen<'a> for Labels<'a> {
    fn place(&mut self, key: &[u8]) -> Option<&mut Option<Loose<'a>>> {
        let at = LABELS.iter().position(|known| known.as_bytes() == key)?;
        self.0.get_mut(at)
    }
}

/// The annotations that are read, by key. All others are passed over.
#[derive(Debug, Default)]
pub(super) struct Annotations<'a>(Vec<(&'static str, Option<Loose<'a>>)>);

impl<'a> Annotations<'a> {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Loose<'a>> {
        let mut all = self.0.iter();
        all.find_map(|(known, value)| value.as_ref().filter(|_| *known == key))
    }

    /// Whether there are none of those that are read.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Chosen<'a> for Annotations<'a> {
    fn place(&mut self, key: &[u8]) -> Option<&mut Option<Loose<'a>>> {
        let mut all = annotation::ALL.into_iter().chain(FOR_WATCHES);
        let known = all.find(|known| known.as_bytes() == key)?;
        let at = match self.0.iter().position(|(has, _)| *has == known) {
            Some(at) => at,
            None => {
                self.0.push((known, None));
                self.0.len() - 1
            }
        };
        self.0.get_mut(at).map(|(_, value)| value)
    }
}

/// When an object was created.
#[derive(Debug)]
pub(super) enum Timestamp<'a> {
    /// As RFC 3339 writes it.
    Text(Text<'a>),
    /// In seconds since the Unix epoch.
    #[cfg(feature = "protobuf")]
    Seconds(i64),
}

impl<'de: 'a, 'a> Deserialize<'de> for Timestamp<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Text::deserialize(from).map(Self::Text)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawService<'a> {
    #[serde(borrow, default)]
    pub(super) kind: Named<'a>,
    #[serde(borrow, default)]
    pub(super) api_version: Named<'a>,
    #[serde(borrow, default)]
    pub(super) metadata: Metadata<'a>,
    #[serde(borrow, default)]
    pub(super) spec: ServiceSpec<'a>,
    #[serde(borrow)]
    pub(super) status: Option<ServiceStatus<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSpec<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) service_type: Option<Text<'a>>,
    #[serde(borrow, rename = "clusterIP")]
    pub(super) cluster_ip: Option<Text<'a>>,
    #[serde(borrow, rename = "clusterIPs")]
    pub(super) cluster_ips: Option<Vec<Option<Text<'a>>>>,
    #[serde(borrow, rename = "externalIPs")]
    pub(super) external_ips: Option<Vec<Option<Text<'a>>>>,
    #[serde(borrow)]
    pub(super) ip_families: Option<Vec<Option<Text<'a>>>>,
    #[serde(borrow)]
    pub(super) ports: Option<Vec<Option<RawServicePort<'a>>>>,
    #[serde(borrow)]
    pub(super) session_affinity: Option<Text<'a>>,
    pub(super) session_affinity_config: Option<AffinityConfig>,
    #[serde(borrow)]
    pub(super) internal_traffic_policy: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) external_traffic_policy: Option<Text<'a>>,
    pub(super) health_check_node_port: Option<i64>,
    #[serde(borrow)]
    pub(super) load_balancer_source_ranges: Option<Vec<Option<Text<'a>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawServicePort<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) protocol: Option<Text<'a>>,
    pub(super) port: i64,
    pub(super) node_port: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct AffinityConfig {
    #[serde(rename = "clientIP")]
    pub(super) client_ip: Option<ClientIp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientIp {
    pub(super) timeout_seconds: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceStatus<'a> {
    #[serde(borrow)]
    pub(super) load_balancer: Option<LoadBalancer<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoadBalancer<'a> {
    #[serde(borrow)]
    pub(super) ingress: Option<Vec<Option<Ingress<'a>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ingress<'a> {
    #[serde(borrow)]
    pub(super) ip: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) ip_mode: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawSlice<'a> {
    #[serde(borrow, default)]
    pub(super) kind: Named<'a>,
    #[serde(borrow, default)]
    pub(super) api_version: Named<'a>,
    #[serde(borrow, default)]
    pub(super) metadata: Metadata<'a>,
    #[serde(borrow)]
    pub(super) address_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) endpoints: Option<Vec<Option<RawEndpoint<'a>>>>,
    #[serde(borrow)]
    pub(super) ports: Option<Vec<Option<RawEndpointPort<'a>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawEndpoint<'a> {
    #[serde(borrow)]
    pub(super) addresses: Option<First<'a>>,
    pub(super) conditions: Option<Conditions>,
    #[serde(borrow)]
    pub(super) node_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) hints: Option<RawHints<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Conditions {
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawHints<'a> {
    #[serde(borrow)]
    pub(super) for_zones: Option<Vec<Hint<'a>>>,
    #[serde(borrow)]
    pub(super) for_nodes: Option<Vec<Hint<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Hint<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawEndpointPort<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) protocol: Option<Text<'a>>,
    pub(super) port: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawNode<'a> {
    #[serde(borrow, default)]
    pub(super) metadata: Metadata<'a>,
    #[serde(borrow)]
    pub(super) spec: Option<NodeSpec<'a>>,
    #[serde(borrow)]
    pub(super) status: Option<NodeStatus<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct NodeSpec<'a> {
    #[serde(borrow, rename = "podCIDR")]
    pub(super) pod_cidr: Option<Text<'a>>,
    #[serde(borrow, rename = "podCIDRs")]
    pub(super) pod_cidrs: Option<Vec<Option<Text<'a>>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct NodeStatus<'a> {
    #[serde(borrow)]
    pub(super) addresses: Option<Vec<Option<NodeAddress<'a>>>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct NodeAddress<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) address_type: Text<'a>,
    #[serde(borrow)]
    pub(super) address: Text<'a>,
}
