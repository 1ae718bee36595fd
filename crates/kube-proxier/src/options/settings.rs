//! Which field of the configuration file a flag stands for.

use serde_json::{Map, Value, json};

use super::Flags;

/// A flag with the meaning of a field of the configuration file.
pub(super) struct Setting {
    /// The flag, without its hyphens.
    pub(super) flag: &'static str,
    /// The field's path.
    pub(super) field: &'static str,
    /// What was given.
    pub(super) value: Value,
}

impl Flags {
    /// The flags given that a configuration file has fields for, and overrules.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let (process, proxy, servers) = (&self.process, &self.proxy, &self.servers);
        let (iptables, ipvs) = (&self.iptables, &self.ipvs);
        let gates = &process.feature_gates;
        let named = gates.iter().filter(|(name, _)| !name.is_empty());
        let gates: Map<_, _> = named.cloned().map(|(k, v)| (k, v.into())).collect();
        let list = |list: &Vec<String>| (!list.is_empty()).then(|| json!(list));
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        let switch = |switch: Option<bool>| switch.map(Value::Bool);
        let number = |number: Option<i64>| number.map(Value::from);
        [
            (
                "feature-gates",
                "featureGates",
                (!gates.is_empty()).then_some(Value::Object(gates)),
            ),
            (
                "oom-score-adj",
                "oomScoreAdj",
                number(process.oom_score_adj),
            ),
            (
                "kubeconfig",
                "clientConnection.kubeconfig",
                text(&self.api.kubeconfig),
            ),
            ("proxy-mode", "mode", text(&proxy.proxy_mode)),
            ("cluster-cidr", "clusterCIDR", text(&proxy.cluster_cidr)),
            (
                "detect-local-mode",
                "detectLocalMode",
                text(&proxy.detect_local_mode),
            ),
            (
                "pod-bridge-interface",
                "detectLocal.bridgeInterface",
                text(&proxy.pod_bridge_interface),
            ),
            (
                "pod-interface-name-prefix",
                "detectLocal.interfaceNamePrefix",
                text(&proxy.pod_interface_name_prefix),
            ),
            (
                "masquerade-all",
                "iptables.masqueradeAll",
                switch(proxy.masquerade_all),
            ),
            (
                "iptables-masquerade-bit",
                "iptables.masqueradeBit",
                number(proxy.iptables_masquerade_bit),
            ),
            (
                "iptables-localhost-nodeports",
                "iptables.localhostNodePorts",
                switch(iptables.iptables_localhost_nodeports),
            ),
            (
                "iptables-sync-period",
                "iptables.syncPeriod",
                text(&iptables.iptables_sync_period),
            ),
            (
                "iptables-min-sync-period",
                "iptables.minSyncPeriod",
                text(&iptables.iptables_min_sync_period),
            ),
            (
                "nodeport-addresses",
                "nodePortAddresses",
                list(&proxy.nodeport_addresses),
            ),
            (
                "ipvs-scheduler",
                "ipvs.scheduler",
                text(&ipvs.ipvs_scheduler),
            ),
            (
                "ipvs-sync-period",
                "ipvs.syncPeriod",
                text(&ipvs.ipvs_sync_period),
            ),
            (
                "ipvs-min-sync-period",
                "ipvs.minSyncPeriod",
                text(&ipvs.ipvs_min_sync_period),
            ),
            (
                "ipvs-exclude-cidrs",
                "ipvs.excludeCIDRs",
                list(&ipvs.ipvs_exclude_cidrs),
            ),
            (
                "ipvs-strict-arp",
                "ipvs.strictARP",
                switch(ipvs.ipvs_strict_arp),
            ),
            (
                "ipvs-tcp-timeout",
                "ipvs.tcpTimeout",
                text(&ipvs.ipvs_tcp_timeout),
            ),
            (
                "ipvs-tcpfin-timeout",
                "ipvs.tcpFinTimeout",
                text(&ipvs.ipvs_tcpfin_timeout),
            ),
            (
                "ipvs-udp-timeout",
                "ipvs.udpTimeout",
                text(&ipvs.ipvs_udp_timeout),
            ),
            (
                "healthz-bind-address",
                "healthzBindAddress",
                servers.healthz(),
            ),
            (
                "metrics-bind-address",
                "metricsBindAddress",
                servers.metrics(),
            ),
            ("bind-address", "bindAddress", text(&servers.bind_address)),
            (
                "bind-address-hard-fail",
                "bindAddressHardFail",
                switch(servers.bind_address_hard_fail),
            ),
        ]
        .into_iter()
        .chain(self.conntrack.fields())
        .filter_map(|(flag, field, value)| {
            Some(Setting {
                flag,
                field,
                value: value?,
            })
        })
        .collect()
    }
}
