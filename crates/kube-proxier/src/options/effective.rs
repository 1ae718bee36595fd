//! The effective configuration, as the file that would set it.

use std::fmt::Write;
use std::time::Duration;

use proxier::{Config, DetectLocal, NodePortAddresses, nftables};
use serde_json::{Value, json};

use crate::config::{LogFormat, Process};
use crate::layout::LayoutChoice;

/// A `KubeProxyConfiguration` with every field. An address that is not served on has no form in it, as in
/// kube-proxy, whose empty address is the default one. The layout is a field only where one was named, and so are marks and
/// routing only where they are not the usual ones: kube-proxy does not know them.
pub(super) fn value(config: &Config, layout: LayoutChoice, process: &Process) -> Value {
    let texts = |networks: &[_]| networks.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (mode, cidrs, bridge, prefix) = match &config.detect_local {
        DetectLocal::ClusterCidr(networks) => ("ClusterCIDR", texts(networks), "", ""),
        DetectLocal::NodeCidr => ("NodeCIDR", Vec::new(), "", ""),
        DetectLocal::BridgeInterface(name) => ("BridgeInterface", Vec::new(), &**name, ""),
        DetectLocal::InterfaceNamePrefix(name) => ("InterfaceNamePrefix", Vec::new(), "", &**name),
        // The file has no word for any other.
        _ => ("", Vec::new(), "", ""),
    };
    let node_ports = match &config.node_port_addresses {
        NodePortAddresses::Primary => vec!["primary".to_owned()],
        NodePortAddresses::Within(networks) => texts(networks),
        _ => Vec::new(),
    };
    let address =
        |address: Option<std::net::SocketAddr>| address.map(|a| a.to_string()).unwrap_or_default();
    let conntrack = &process.conntrack;
    let seconds = |seconds: u32| duration(Duration::from_secs(seconds.into()));
    let mut value = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": config.layout.proxy_mode(),
        "hostnameOverride": config.hostname_override.as_deref().unwrap_or_default(),
        "clientConnection": {"kubeconfig": process.kubeconfig.as_deref().unwrap_or_default()},
        "featureGates": process.feature_gates.iter().map(|(k, v)| (k.to_string(), json!(v))).collect::<serde_json::Map<_, _>>(),
        "clusterCIDR": cidrs.join(","),
        "detectLocalMode": mode,
        "detectLocal": {"bridgeInterface": bridge, "interfaceNamePrefix": prefix},
        "nodePortAddresses": node_ports,
        "iptables": {
            "masqueradeAll": config.masquerade_all,
            "masqueradeBit": config.masquerade_bit,
            "localhostNodePorts": config.localhost_node_ports,
        },
        "ipvs": {
            "scheduler": config.scheduler.to_string(),
            "syncPeriod": duration(config.sync_period),
            "minSyncPeriod": duration(config.min_sync_period),
            "excludeCIDRs": texts(&config.exclude_cidrs),
            "strictARP": config.strict_arp,
            "tcpTimeout": seconds(config.timeouts.tcp),
            "tcpFinTimeout": seconds(config.timeouts.tcp_fin),
            "udpTimeout": seconds(config.timeouts.udp),
        },
        "conntrack": {
            "maxPerCore": conntrack.max_per_core,
            "min": conntrack.min,
            "tcpEstablishedTimeout": seconds(conntrack.tcp_established_timeout),
            "tcpCloseWaitTimeout": seconds(conntrack.tcp_close_wait_timeout),
            "tcpBeLiberal": conntrack.tcp_be_liberal,
            "udpTimeout": seconds(conntrack.udp_timeout),
            "udpStreamTimeout": seconds(conntrack.udp_stream_timeout),
        },
        "healthzBindAddress": address(process.healthz_bind_address),
        "metricsBindAddress": address(process.metrics_bind_address),
        "bindAddressHardFail": process.bind_address_hard_fail,
        "oomScoreAdj": process.oom_score_adj,
        "logging": {
            "format": match process.logging.format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            },
            "verbosity": process.logging.verbosity,
        },
    });
    if let (false, Some(Value::Object(iptables))) =
        (config.layout.uses_ipvs(), value.pointer_mut("/iptables"))
    {
        for (field, period) in [
            ("syncPeriod", config.sync_period),
            ("minSyncPeriod", config.min_sync_period),
        ] {
            iptables.insert(field.to_owned(), duration(period).into());
        }
    }
    if let (Some(layout), Some(Value::Object(ipvs))) = (layout.named(), value.pointer_mut("/ipvs"))
    {
        ipvs.insert("layout".to_owned(), json!(layout.as_str()));
    }
    let (marks, usual) = (&config.nftables, nftables::Options::default());
    let own = [
        ("routeMark", marks.route_mark, usual.route_mark),
        ("serviceMarks", marks.service_marks, usual.service_marks),
        ("routingTable", marks.routing_table.0, usual.routing_table.0),
        ("rulePriority", marks.rule_priority, usual.rule_priority),
    ];
    if let Some(Value::Object(ipvs)) = value.pointer_mut("/ipvs") {
        if marks.answer_ping {
            ipvs.insert("answerPing".to_owned(), true.into());
        }
        let set = own.into_iter().filter(|(_, number, usual)| number != usual);
        ipvs.extend(set.map(|(field, number, _)| (field.to_owned(), number.into())));
    }
    value
}

/// As Go prints it, whose `1h0m0s` is as good as `1h`.
fn duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let mut text = String::new();
    for (unit, name) in [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ] {
        if unit > 0 {
            let _ = write!(text, "{unit}{name}");
        }
    }
    if nanos > 0 {
        let _ = write!(text, "{nanos}ns");
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}
