//! What the fields of a `KubeProxyConfiguration` mean for Services, and what is wrong with their values.

use std::time::Duration;

use ipnetwork::IpNetwork;
use ipvs_netlink::Scheduler;

use super::fields::{IpvsConfiguration, KubeProxyConfiguration};
use crate::address;
use crate::field_error::FieldErrors;
use crate::quantity;
use proxier::cluster::Family;
use proxier::{Config, DetectLocal, Layout, NodePortAddresses};

/// What the fields set for Services. Adds what is wrong with them to `errors`.
pub(super) fn interpret(raw: &KubeProxyConfiguration, errors: &mut FieldErrors) -> Config {
    check_head(raw, errors);
    let mut config = Config::default();
    config.hostname_override = node_name(raw, errors);
    config.detect_local = detect_local(raw, errors);
    config.node_port_addresses = node_port_addresses(raw.node_port_addresses.as_deref(), errors);
    if let Some(iptables) = &raw.iptables {
        config.masquerade_all = iptables.masquerade_all.unwrap_or(false);
        match iptables.masquerade_bit.map(u8::try_from) {
            None => {}
            Some(Ok(bit @ 0..=31)) => config.masquerade_bit = bit,
            Some(_) => errors.add("iptables.masqueradeBit", "is not from 0 to 31"),
        }
        config.localhost_node_ports = iptables.localhost_node_ports;
    }
    if let Some(conntrack) = &raw.conntrack {
        config.conntrack_tcp_be_liberal = conntrack.tcp_be_liberal.unwrap_or(false);
    }
    if raw.is_iptables() {
        config.layout = Layout::Iptables;
    }
    if let Some(ipvs) = &raw.ipvs {
        self::ipvs(ipvs, &mut config, errors);
    }
    sync_periods(raw, &mut config, errors);
    config
}

/// How often the mode that is asked for compares everything and how long it gathers changes.
fn sync_periods(raw: &KubeProxyConfiguration, config: &mut Config, errors: &mut FieldErrors) {
    let defaults = (config.sync_period, config.min_sync_period);
    let ipvs = raw.ipvs.as_ref();
    let ipvs = [
        ipvs.and_then(|ipvs| ipvs.sync_period.as_deref()),
        ipvs.and_then(|ipvs| ipvs.min_sync_period.as_deref()),
    ];
    let mut periods = section_periods("ipvs", ipvs, defaults, errors);
    if raw.is_iptables() {
        let iptables = raw.iptables.as_ref();
        let iptables = [
            iptables.and_then(|iptables| iptables.sync_period.as_deref()),
            iptables.and_then(|iptables| iptables.min_sync_period.as_deref()),
        ];
        periods = section_periods("iptables", iptables, defaults, errors);
    }
    (config.sync_period, config.min_sync_period) = periods;
}

/// `syncPeriod` and `minSyncPeriod` of a section.
fn section_periods(
    section: &str,
    [sync, min]: [Option<&str>; 2],
    defaults: (Duration, Duration),
    errors: &mut FieldErrors,
) -> (Duration, Duration) {
    let mut period = |field: &str, text: Option<&str>| {
        let text = text.filter(|text| !text.is_empty())?;
        let result = quantity::parse_duration(text);
        let period: Duration = errors.take(&format!("{section}.{field}"), result);
        Some(period).filter(|period| !period.is_zero())
    };
    let sync = period("syncPeriod", sync).unwrap_or(defaults.0);
    let min = period("minSyncPeriod", min).unwrap_or(defaults.1);
    if min > sync {
        let reason = format!("is longer than {section}.syncPeriod");
        errors.add(format!("{section}.minSyncPeriod"), reason);
    }
    (sync, min)
}

/// The name of the Node, as kube-proxy takes it: without blanks around it, in lower case.
fn node_name(raw: &KubeProxyConfiguration, errors: &mut FieldErrors) -> Option<Box<str>> {
    let text = raw.hostname_override.as_deref()?;
    let name = text.trim().to_lowercase();
    if name.is_empty() && !text.is_empty() {
        errors.add("hostnameOverride", "is blank");
    }
    Some(name)
        .filter(|name| !name.is_empty())
        .map(String::into_boxed_str)
}

fn check_head(raw: &KubeProxyConfiguration, errors: &mut FieldErrors) {
    match raw.kind.as_deref() {
        Some("KubeProxyConfiguration") => {}
        Some(other) => errors.add("kind", format!("{other:?} is not KubeProxyConfiguration")),
        None => errors.add("kind", "is missing; it should be KubeProxyConfiguration"),
    }
    match raw.api_version.as_deref() {
        Some("kubeproxy.config.k8s.io/v1alpha1") => {}
        Some(other) => {
            errors.add(
                "apiVersion",
                format!("{other:?} is not kubeproxy.config.k8s.io/v1alpha1"),
            );
        }
        None => errors.add(
            "apiVersion",
            "is missing; it should be kubeproxy.config.k8s.io/v1alpha1",
        ),
    }
    match raw.mode.as_deref() {
        None | Some("" | "ipvs" | "iptables") => {}
        Some(other) => errors.add(
            "mode",
            format!("{other:?} is another proxy mode; this proxy has ipvs and iptables"),
        ),
    }
}

fn ipvs(raw: &IpvsConfiguration, config: &mut Config, errors: &mut FieldErrors) {
    match raw.scheduler.as_deref() {
        None | Some("") => {}
        Some(name) => match name.parse::<Scheduler>() {
            Ok(scheduler) => config.scheduler = scheduler,
            Err(error) => errors.add("ipvs.scheduler", error.to_string()),
        },
    }
    config.strict_arp = raw.strict_arp.unwrap_or(false);
    config.exclude_cidrs = networks("ipvs.excludeCIDRs", raw.exclude_cidrs.as_deref(), errors);
    let mut period = |field: &str, text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty())?;
        let result = quantity::parse_duration(text);
        Some(errors.take(&format!("ipvs.{field}"), result))
    };
    let timeouts = [
        ("tcpTimeout", &raw.tcp_timeout, &mut config.timeouts.tcp),
        (
            "tcpFinTimeout",
            &raw.tcp_fin_timeout,
            &mut config.timeouts.tcp_fin,
        ),
        ("udpTimeout", &raw.udp_timeout, &mut config.timeouts.udp),
    ];
    for (field, text, timeout) in timeouts {
        if let Some(period) = period(field, text) {
            *timeout = u32::try_from(period.as_secs()).unwrap_or(u32::MAX);
        }
    }
    if let Some(answer) = raw.answer_ping {
        config.nftables.answer_ping = answer;
    }
    let marks = &mut config.nftables;
    let numbers = [
        ("routeMark", raw.route_mark, &mut marks.route_mark),
        ("serviceMarks", raw.service_marks, &mut marks.service_marks),
        (
            "routingTable",
            raw.routing_table,
            &mut marks.routing_table.0,
        ),
        ("rulePriority", raw.rule_priority, &mut marks.rule_priority),
    ];
    for (field, given, value) in numbers {
        match given.map(u32::try_from) {
            None => {}
            Some(Ok(number)) => *value = number,
            Some(Err(_)) => {
                errors.add(format!("ipvs.{field}"), "is not from 0 to 4294967295");
            }
        }
    }
}

fn cluster_cidrs(raw: &KubeProxyConfiguration) -> Vec<String> {
    let all = raw.cluster_cidr.iter().flat_map(|cidrs| cidrs.split(','));
    all.map(|cidr| cidr.trim().to_owned())
        .filter(|cidr| !cidr.is_empty())
        .collect()
}

fn detect_local(raw: &KubeProxyConfiguration, errors: &mut FieldErrors) -> DetectLocal {
    let cidrs = cluster_cidrs(raw);
    let networks = networks("clusterCIDR", Some(&cidrs), errors);
    let of = |family| {
        networks
            .iter()
            .filter(|n| Family::of(n.ip()) == family)
            .count()
    };
    if Family::ALL.into_iter().any(|family| of(family) > 1) {
        errors.add("clusterCIDR", "has more than one network of a family");
    }
    let named = |name: Option<&Option<String>>| -> Option<Box<str>> {
        name.and_then(Option::as_deref)
            .filter(|name| !name.is_empty())
            .map(Into::into)
    };
    let detail = raw.detect_local.as_ref();
    match raw.detect_local_mode.as_deref() {
        None | Some("" | "ClusterCIDR") => DetectLocal::ClusterCidr(networks),
        Some("NodeCIDR") => DetectLocal::NodeCidr,
        Some("BridgeInterface") => match named(detail.map(|d| &d.bridge_interface)) {
            Some(name) => DetectLocal::BridgeInterface(name),
            None => {
                errors.add(
                    "detectLocal.bridgeInterface",
                    "is needed with BridgeInterface",
                );
                DetectLocal::NodeCidr
            }
        },
        Some("InterfaceNamePrefix") => match named(detail.map(|d| &d.interface_name_prefix)) {
            Some(prefix) => DetectLocal::InterfaceNamePrefix(prefix),
            None => {
                errors.add(
                    "detectLocal.interfaceNamePrefix",
                    "is needed with InterfaceNamePrefix",
                );
                DetectLocal::NodeCidr
            }
        },
        Some(other) => {
            let modes = "ClusterCIDR, NodeCIDR, BridgeInterface and InterfaceNamePrefix";
            errors.add(
                "detectLocalMode",
                format!("{other:?} is not one of {modes}"),
            );
            DetectLocal::NodeCidr
        }
    }
}

fn node_port_addresses(texts: Option<&[String]>, errors: &mut FieldErrors) -> NodePortAddresses {
    match texts.unwrap_or_default() {
        [] => NodePortAddresses::All,
        [primary] if primary == "primary" => NodePortAddresses::Primary,
        texts => NodePortAddresses::Within(networks("nodePortAddresses", Some(texts), errors)),
    }
}

fn networks(field: &str, texts: Option<&[String]>, errors: &mut FieldErrors) -> Vec<IpNetwork> {
    let mut networks = Vec::new();
    for (n, text) in texts.unwrap_or_default().iter().enumerate() {
        match address::network(text) {
            Ok(network) => networks.push(network.value),
            Err(reason) => errors.add(format!("{field}[{n}]"), reason),
        }
    }
    networks
}

/// Warns of networks with leading zeros, which are read as decimal.
pub(super) fn warn_of_zeros(raw: &KubeProxyConfiguration, warnings: &mut FieldErrors) {
    let cluster_cidrs = cluster_cidrs(raw);
    let ipvs = raw.ipvs.as_ref();
    let lists = [
        ("clusterCIDR", Some(&cluster_cidrs)),
        ("nodePortAddresses", raw.node_port_addresses.as_ref()),
        (
            "ipvs.excludeCIDRs",
            ipvs.and_then(|ipvs| ipvs.exclude_cidrs.as_ref()),
        ),
    ];
    for (field, texts) in lists {
        for (n, text) in texts.into_iter().flatten().enumerate() {
            if let Ok(address::Parsed { value, zeros: true }) = address::network(text) {
                let reason = format!("{text:?} has leading zeros, and is read as {value}");
                warnings.add(format!("{field}[{n}]"), reason);
            }
        }
    }
}
