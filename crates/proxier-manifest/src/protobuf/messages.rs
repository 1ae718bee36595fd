//! The messages, with the fields that are used. prost passes over all others.
//!
//! Numbers and types are those of `generated.proto` in github.com/kubernetes/api at 10b39a39 (v0.37.0-beta.0) and, for
//! metadata, in github.com/kubernetes/apimachinery. Fields of type `bytes` that are messages there are decoded later, or
//! not at all: so a malformed entry costs that entry, and a label that nobody asks for costs nothing.
//!
//! Go writes fields that are no pointers always: an empty text stands for one that is not set, as 0 does.

use prost::Message;
use prost::bytes::Bytes;

/// `runtime.TypeMeta`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TypeMeta {
    #[prost(string, tag = "1")]
    pub(super) api_version: String,
    #[prost(string, tag = "2")]
    pub(super) kind: String,
}

/// `runtime.Unknown`: what an object or list is in.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Unknown {
    #[prost(message, optional, tag = "1")]
    pub(super) type_meta: Option<TypeMeta>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) raw: Bytes,
    #[prost(string, tag = "3")]
    pub(super) content_encoding: String,
}

/// `meta.v1.WatchEvent`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchEvent {
    #[prost(string, tag = "1")]
    pub(super) event_type: String,
    #[prost(message, optional, tag = "2")]
    pub(super) object: Option<RawExtension>,
}

/// `runtime.RawExtension`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RawExtension {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) raw: Bytes,
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

/// `meta.v1.ObjectMeta`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ObjectMeta {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "3")]
    pub(super) namespace: String,
    #[prost(string, tag = "5")]
    pub(super) uid: String,
    #[prost(string, tag = "6")]
    pub(super) resource_version: String,
    #[prost(message, optional, tag = "8")]
    pub(super) creation_timestamp: Option<Time>,
    #[prost(message, optional, tag = "9")]
    pub(super) deletion_timestamp: Option<Time>,
    /// Each an entry of a map: its key has the number 1, its value 2.
    #[prost(bytes = "bytes", repeated, tag = "11")]
    pub(super) labels: Vec<Bytes>,
    /// The same.
    #[prost(bytes = "bytes", repeated, tag = "12")]
    pub(super) annotations: Vec<Bytes>,
}

/// `meta.v1.Time`. Without seconds it is the null time.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Time {
    #[prost(int64, optional, tag = "1")]
    pub(super) seconds: Option<i64>,
}

/// `core.v1.Service`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Service {
    #[prost(message, optional, tag = "2")]
    pub(super) spec: Option<ServiceSpec>,
    #[prost(message, optional, tag = "3")]
    pub(super) status: Option<ServiceStatus>,
}

/// `core.v1.ServiceSpec`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ServiceSpec {
    /// Each a [`ServicePort`].
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) ports: Vec<Bytes>,
    #[prost(string, tag = "3")]
    pub(super) cluster_ip: String,
    #[prost(string, tag = "4")]
    pub(super) service_type: String,
    #[prost(string, repeated, tag = "5")]
    pub(super) external_ips: Vec<String>,
    #[prost(string, tag = "7")]
    pub(super) session_affinity: String,
    #[prost(string, repeated, tag = "9")]
    pub(super) load_balancer_source_ranges: Vec<String>,
    #[prost(string, tag = "11")]
    pub(super) external_traffic_policy: String,
    #[prost(int32, tag = "12")]
    pub(super) health_check_node_port: i32,
    #[prost(message, optional, tag = "14")]
    pub(super) session_affinity_config: Option<SessionAffinityConfig>,
    #[prost(string, repeated, tag = "18")]
    pub(super) cluster_ips: Vec<String>,
    #[prost(string, repeated, tag = "19")]
    pub(super) ip_families: Vec<String>,
    #[prost(string, optional, tag = "22")]
    pub(super) internal_traffic_policy: Option<String>,
}

/// `core.v1.ServicePort`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ServicePort {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) protocol: String,
    #[prost(int32, tag = "3")]
    pub(super) port: i32,
    #[prost(int32, tag = "5")]
    pub(super) node_port: i32,
}

/// `core.v1.SessionAffinityConfig`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct SessionAffinityConfig {
    #[prost(message, optional, tag = "1")]
    pub(super) client_ip: Option<ClientIpConfig>,
}

/// `core.v1.ClientIPConfig`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct ClientIpConfig {
    #[prost(int32, optional, tag = "1")]
    pub(super) timeout_seconds: Option<i32>,
}

/// `core.v1.ServiceStatus`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ServiceStatus {
    #[prost(message, optional, tag = "1")]
    pub(super) load_balancer: Option<LoadBalancerStatus>,
}

/// `core.v1.LoadBalancerStatus`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LoadBalancerStatus {
    /// Each a [`LoadBalancerIngress`].
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) ingress: Vec<Bytes>,
}

/// `core.v1.LoadBalancerIngress`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LoadBalancerIngress {
    #[prost(string, tag = "1")]
    pub(super) ip: String,
    #[prost(string, optional, tag = "3")]
    pub(super) ip_mode: Option<String>,
}

/// `core.v1.Node`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Node {
    #[prost(message, optional, tag = "2")]
    pub(super) spec: Option<NodeSpec>,
    #[prost(message, optional, tag = "3")]
    pub(super) status: Option<NodeStatus>,
}

/// `core.v1.NodeSpec`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeSpec {
    #[prost(string, tag = "1")]
    pub(super) pod_cidr: String,
    /// Each a [`Taint`].
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(super) taints: Vec<Bytes>,
    #[prost(string, repeated, tag = "7")]
    pub(super) pod_cidrs: Vec<String>,
}

/// `core.v1.Taint`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Taint {
    #[prost(string, tag = "1")]
    pub(super) key: String,
}

/// `core.v1.NodeStatus`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeStatus {
    /// Each a [`NodeAddress`].
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(super) addresses: Vec<Bytes>,
}

/// `core.v1.NodeAddress`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeAddress {
    #[prost(string, tag = "1")]
    pub(super) address_type: String,
    #[prost(string, tag = "2")]
    pub(super) address: String,
}

/// `discovery.v1.EndpointSlice`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EndpointSlice {
    /// Each an [`Endpoint`].
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) endpoints: Vec<Bytes>,
    /// Each an [`EndpointPort`].
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(super) ports: Vec<Bytes>,
    #[prost(string, optional, tag = "4")]
    pub(super) address_type: Option<String>,
}

/// `discovery.v1.Endpoint`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Endpoint {
    #[prost(string, repeated, tag = "1")]
    pub(super) addresses: Vec<String>,
    #[prost(message, optional, tag = "2")]
    pub(super) conditions: Option<EndpointConditions>,
    #[prost(string, optional, tag = "6")]
    pub(super) node_name: Option<String>,
    #[prost(message, optional, tag = "8")]
    pub(super) hints: Option<EndpointHints>,
}

/// `discovery.v1.EndpointConditions`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct EndpointConditions {
    #[prost(bool, optional, tag = "1")]
    pub(super) ready: Option<bool>,
    #[prost(bool, optional, tag = "2")]
    pub(super) serving: Option<bool>,
    #[prost(bool, optional, tag = "3")]
    pub(super) terminating: Option<bool>,
}

/// `discovery.v1.EndpointHints`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EndpointHints {
    #[prost(message, repeated, tag = "1")]
    pub(super) for_zones: Vec<Named>,
    #[prost(message, repeated, tag = "2")]
    pub(super) for_nodes: Vec<Named>,
}

/// `discovery.v1.ForZone` and `ForNode`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Named {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// `discovery.v1.EndpointPort`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EndpointPort {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) protocol: Option<String>,
    #[prost(int32, optional, tag = "3")]
    pub(super) port: Option<i32>,
}
