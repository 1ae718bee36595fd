//! The fields of `KubeProxyConfiguration`, as kube-proxy's v1alpha1 API has them.
//!
//! Source: k8s.io/kube-proxy/config/v1alpha1 and k8s.io/component-base/config/v1alpha1. Fields that do not
//! concern the ipvs mode are listed so that they are known; a [`Value`] there has any type.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The fields of a `KubeProxyConfiguration` as they are written: their types are right, their values are not
/// checked. Durations are written as in Go ([`crate::parse_duration`]).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each field is documented by Kubernetes")]
pub struct KubeProxyConfiguration {
    pub api_version: Option<String>,
    pub kind: Option<String>,
    pub mode: Option<String>,
    pub hostname_override: Option<String>,
    pub detect_local_mode: Option<String>,
    pub detect_local: Option<DetectLocalConfiguration>,
    #[serde(rename = "clusterCIDR")]
    pub cluster_cidr: Option<String>,
    pub node_port_addresses: Option<Vec<String>>,
    pub iptables: Option<IptablesConfiguration>,
    pub ipvs: Option<IpvsConfiguration>,
    // For the process, not for what it programs.
    pub feature_gates: Option<BTreeMap<String, bool>>,
    pub client_connection: Option<ClientConnectionConfiguration>,
    pub logging: Option<LoggingConfiguration>,
    pub bind_address: Option<String>,
    pub healthz_bind_address: Option<String>,
    pub metrics_bind_address: Option<String>,
    pub bind_address_hard_fail: Option<bool>,
    pub enable_profiling: Option<bool>,
    pub show_hidden_metrics_for_version: Option<String>,
    #[serde(rename = "oomScoreAdj")]
    pub oom_score_adj: Option<i64>,
    pub conntrack: Option<ConntrackConfiguration>,
    pub config_sync_period: Option<String>,
    pub port_range: Option<String>,
    // For other modes and systems, and from earlier versions.
    pub nftables: Option<Value>,
    pub winkernel: Option<Value>,
    pub windows_run_as_service: Option<Value>,
    #[serde(rename = "udpIdleTimeout")]
    pub udp_idle_timeout: Option<Value>,
    pub resource_container: Option<Value>,
}

impl KubeProxyConfiguration {
    /// The fields that are set and that only other modes or systems use, by their paths.
    #[must_use]
    pub fn of_other_modes(&self) -> Vec<&'static str> {
        let of_iptables = |is_set: fn(&IptablesConfiguration) -> bool| {
            !self.is_iptables() && self.iptables.as_ref().is_some_and(is_set)
        };
        let fields = [
            ("nftables", self.nftables.is_some()),
            ("winkernel", self.winkernel.is_some()),
            ("windowsRunAsService", self.windows_run_as_service.is_some()),
            ("udpIdleTimeout", self.udp_idle_timeout.is_some()),
            ("resourceContainer", self.resource_container.is_some()),
            (
                "iptables.syncPeriod",
                of_iptables(|iptables| iptables.sync_period.is_some()),
            ),
            (
                "iptables.minSyncPeriod",
                of_iptables(|iptables| iptables.min_sync_period.is_some()),
            ),
        ];
        let set = fields.into_iter().filter(|(_, is_set)| *is_set);
        set.map(|(path, _)| path).collect()
    }

    /// Whether it asks for iptables mode.
    pub(super) fn is_iptables(&self) -> bool {
        self.mode.as_deref() == Some("iptables")
    }
}

/// `detectLocal`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each field is documented by Kubernetes")]
pub struct DetectLocalConfiguration {
    pub bridge_interface: Option<String>,
    pub interface_name_prefix: Option<String>,
}

/// `iptables`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each field is documented by Kubernetes")]
pub struct IptablesConfiguration {
    pub masquerade_bit: Option<i64>,
    pub masquerade_all: Option<bool>,
    // For the iptables mode.
    pub localhost_node_ports: Option<bool>,
    pub sync_period: Option<String>,
    pub min_sync_period: Option<String>,
}

/// `ipvs`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each field is documented by Kubernetes")]
pub struct IpvsConfiguration {
    pub sync_period: Option<String>,
    pub min_sync_period: Option<String>,
    pub scheduler: Option<String>,
    #[serde(rename = "excludeCIDRs")]
    pub exclude_cidrs: Option<Vec<String>>,
    #[serde(rename = "strictARP")]
    pub strict_arp: Option<bool>,
    pub tcp_timeout: Option<String>,
    pub tcp_fin_timeout: Option<String>,
    pub udp_timeout: Option<String>,
    /// Which kernel state is programmed, by the name of a [`Layout`](proxier::Layout). Kubernetes has no such field; who
    /// runs the proxy reads it.
    pub layout: Option<String>,
    /// [`Options::route_mark`](proxier::nftables::Options::route_mark), for layout `nftables` alone, like those that follow.
    pub route_mark: Option<i64>,
    /// [`Options::service_marks`](proxier::nftables::Options::service_marks).
    pub service_marks: Option<i64>,
    /// [`Options::routing_table`](proxier::nftables::Options::routing_table).
    pub routing_table: Option<i64>,
    /// [`Options::rule_priority`](proxier::nftables::Options::rule_priority).
    pub rule_priority: Option<i64>,
    /// [`Options::answer_ping`](proxier::nftables::Options::answer_ping).
    pub answer_ping: Option<bool>,
}

/// `clientConnection`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each field is documented by Kubernetes")]
pub struct ClientConnectionConfiguration {
    pub kubeconfig: Option<String>,
    pub accept_content_types: Option<String>,
    pub content_type: Option<String>,
    pub qps: Option<f64>,
    pub burst: Option<i64>,
}

/// `logging`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each field is documented by Kubernetes")]
pub struct LoggingConfiguration {
    pub format: Option<String>,
    pub verbosity: Option<i64>,
    // For klog.
    pub flush_frequency: Option<Value>,
    pub vmodule: Option<Value>,
    pub options: Option<Value>,
}

/// `conntrack`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each field is documented by Kubernetes")]
pub struct ConntrackConfiguration {
    pub max_per_core: Option<i64>,
    pub min: Option<i64>,
    pub tcp_established_timeout: Option<String>,
    pub tcp_close_wait_timeout: Option<String>,
    pub tcp_be_liberal: Option<bool>,
    pub udp_timeout: Option<String>,
    pub udp_stream_timeout: Option<String>,
    // From earlier versions.
    pub max: Option<i64>,
}
