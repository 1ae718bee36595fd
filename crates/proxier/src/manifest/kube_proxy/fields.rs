//! The fields of `KubeProxyConfiguration`, as kube-proxy's v1alpha1 API has them.
//!
//! Source: k8s.io/kube-proxy/config/v1alpha1 and k8s.io/component-base/config/v1alpha1. Fields of no
//! concern to the ipvs mode are here so that they are known, and hold whatever they hold.

use serde::Deserialize;
use serde_json::Value;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KubeProxyConfiguration {
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) hostname_override: Option<String>,
    pub(super) detect_local_mode: Option<String>,
    pub(super) detect_local: Option<DetectLocal>,
    #[serde(rename = "clusterCIDR")]
    pub(super) cluster_cidr: Option<String>,
    pub(super) node_port_addresses: Option<Vec<String>>,
    pub(super) iptables: Option<Iptables>,
    pub(super) ipvs: Option<Ipvs>,
    // Of the process, not of what it programs.
    feature_gates: Option<Value>,
    client_connection: Option<Value>,
    logging: Option<Value>,
    bind_address: Option<Value>,
    healthz_bind_address: Option<Value>,
    metrics_bind_address: Option<Value>,
    bind_address_hard_fail: Option<Value>,
    enable_profiling: Option<Value>,
    show_hidden_metrics_for_version: Option<Value>,
    #[serde(rename = "oomScoreAdj")]
    oom_score_adj: Option<Value>,
    conntrack: Option<Value>,
    config_sync_period: Option<Value>,
    port_range: Option<Value>,
    // Of other modes and systems, and of earlier versions.
    nftables: Option<Value>,
    winkernel: Option<Value>,
    windows_run_as_service: Option<Value>,
    #[serde(rename = "udpIdleTimeout")]
    udp_idle_timeout: Option<Value>,
    resource_container: Option<Value>,
}

impl KubeProxyConfiguration {
    /// The fields that are there and concern other modes.
    pub(super) fn unused(&self) -> Vec<Box<str>> {
        let iptables = self.iptables.as_ref();
        let there = [
            ("nftables", self.nftables.as_ref()),
            ("winkernel", self.winkernel.as_ref()),
            ("windowsRunAsService", self.windows_run_as_service.as_ref()),
            ("udpIdleTimeout", self.udp_idle_timeout.as_ref()),
            ("resourceContainer", self.resource_container.as_ref()),
            (
                "iptables.localhostNodePorts",
                iptables.and_then(|i| i.localhost_node_ports.as_ref()),
            ),
            (
                "iptables.syncPeriod",
                iptables.and_then(|i| i.sync_period.as_ref()),
            ),
            (
                "iptables.minSyncPeriod",
                iptables.and_then(|i| i.min_sync_period.as_ref()),
            ),
        ];
        there
            .into_iter()
            .filter(|(_, value)| value.is_some())
            .map(|(name, _)| name.into())
            .collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DetectLocal {
    pub(super) bridge_interface: Option<String>,
    pub(super) interface_name_prefix: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Iptables {
    pub(super) masquerade_bit: Option<i64>,
    pub(super) masquerade_all: Option<bool>,
    // Of the iptables mode.
    localhost_node_ports: Option<Value>,
    sync_period: Option<Value>,
    min_sync_period: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Ipvs {
    pub(super) sync_period: Option<String>,
    pub(super) min_sync_period: Option<String>,
    pub(super) scheduler: Option<String>,
    #[serde(rename = "excludeCIDRs")]
    pub(super) exclude_cidrs: Option<Vec<String>>,
    #[serde(rename = "strictARP")]
    pub(super) strict_arp: Option<bool>,
    pub(super) tcp_timeout: Option<String>,
    pub(super) tcp_fin_timeout: Option<String>,
    pub(super) udp_timeout: Option<String>,
}
