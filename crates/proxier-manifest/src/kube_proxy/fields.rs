//! The fields of `KubeProxyConfiguration`, as kube-proxy's v1alpha1 API has them.
//!
//! Source: k8s.io/kube-proxy/config/v1alpha1 and k8s.io/component-base/config/v1alpha1. Fields of no
//! concern to the ipvs mode are here so that they are known, and hold whatever they hold.

use std::collections::BTreeMap;

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
    pub(super) feature_gates: Option<BTreeMap<String, bool>>,
    pub(super) client_connection: Option<ClientConnection>,
    pub(super) logging: Option<Logging>,
    pub(super) bind_address: Option<String>,
    pub(super) healthz_bind_address: Option<String>,
    pub(super) metrics_bind_address: Option<String>,
    pub(super) bind_address_hard_fail: Option<bool>,
    enable_profiling: Option<bool>,
    show_hidden_metrics_for_version: Option<String>,
    #[serde(rename = "oomScoreAdj")]
    pub(super) oom_score_adj: Option<i64>,
    pub(super) conntrack: Option<Conntrack>,
    pub(super) config_sync_period: Option<String>,
    port_range: Option<String>,
    // Of other modes and systems, and of earlier versions.
    nftables: Option<Value>,
    winkernel: Option<Value>,
    windows_run_as_service: Option<Value>,
    #[serde(rename = "udpIdleTimeout")]
    udp_idle_timeout: Option<Value>,
    resource_container: Option<Value>,
}

impl KubeProxyConfiguration {
    /// The fields that are there and change nothing here: those of other modes, and those of the process
    /// that this project has no use for.
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
        let client = self.client_connection.as_ref();
        let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let process = [
            (
                "conntrack.max",
                self.conntrack.as_ref().is_some_and(|c| c.max.is_some()),
            ),
            ("configSyncPeriod", set(&self.config_sync_period)),
            ("portRange", set(&self.port_range)),
            ("enableProfiling", self.enable_profiling == Some(true)),
            (
                "showHiddenMetricsForVersion",
                set(&self.show_hidden_metrics_for_version),
            ),
            (
                "clientConnection.acceptContentTypes",
                client.is_some_and(|c| set(&c.accept_content_types)),
            ),
            (
                "clientConnection.contentType",
                client.is_some_and(|c| set(&c.content_type)),
            ),
            (
                "clientConnection.qps",
                client.is_some_and(|c| c.qps.is_some_and(|qps| qps != 0.0)),
            ),
            (
                "clientConnection.burst",
                client.is_some_and(|c| c.burst.is_some_and(|burst| burst != 0)),
            ),
        ];
        there
            .into_iter()
            .map(|(name, value)| (name, value.is_some()))
            .chain(process)
            .filter(|(_, is_there)| *is_there)
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

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ClientConnection {
    pub(super) kubeconfig: Option<String>,
    pub(super) accept_content_types: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) qps: Option<f64>,
    pub(super) burst: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Logging {
    pub(super) format: Option<String>,
    pub(super) verbosity: Option<i64>,
    // Of klog.
    flush_frequency: Option<Value>,
    vmodule: Option<Value>,
    options: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Conntrack {
    pub(super) max_per_core: Option<i64>,
    pub(super) min: Option<i64>,
    pub(super) tcp_established_timeout: Option<String>,
    pub(super) tcp_close_wait_timeout: Option<String>,
    pub(super) tcp_be_liberal: Option<bool>,
    pub(super) udp_timeout: Option<String>,
    pub(super) udp_stream_timeout: Option<String>,
    // Of earlier versions.
    max: Option<i64>,
}
