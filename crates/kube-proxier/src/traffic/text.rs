//! The metrics of traffic in Prometheus' text format.
//!
//! Written by hand, and not through a registry: with ten thousand ports that would keep a hundred thousand values, of which
//! each is set anew at each scrape.

use std::fmt::Write as _;

use ipvs_netlink::Counters;

use super::count::{Counted, PortTraffic};

/// The value of the labels of what is summed up: no name of Kubernetes has parentheses.
const OTHER: &str = "(other)";

/// The metrics of traffic, which `/metrics` has beside those of [`Metrics`](crate::metrics::Metrics): name and type of each.
pub const TRAFFIC: [(&str, &str); 8] = [
    ("kube_proxier_service_connections_total", "counter"),
    ("kube_proxier_service_packets_total", "counter"),
    ("kube_proxier_service_bytes_total", "counter"),
    ("kube_proxier_service_connections_per_second", "gauge"),
    ("kube_proxier_service_packets_per_second", "gauge"),
    ("kube_proxier_service_bytes_per_second", "gauge"),
    ("kube_proxier_service_ports_without_series", "gauge"),
    ("kube_proxier_traffic_read_failures_total", "counter"),
];

/// A metric: what its name ends with, what it is, and its values, each with the direction of its packets.
struct Family {
    what: &'static str,
    of: fn(&PortTraffic) -> &Counters,
    values: &'static [(&'static str, Value)],
    help: &'static str,
    kind: &'static str,
}

type Value = fn(&Counters) -> u64;

const CONNECTIONS: &[(&str, Value)] = &[("", |of| of.connections)];
const PACKETS: &[(&str, Value)] = &[
    (",direction=\"in\"", |of| of.incoming_packets),
    (",direction=\"out\"", |of| of.outgoing_packets),
];
const BYTES: &[(&str, Value)] = &[
    (",direction=\"in\"", |of| of.incoming_bytes),
    (",direction=\"out\"", |of| of.outgoing_bytes),
];

const FAMILIES: [Family; 6] = [
    Family {
        what: "connections_total",
        of: |port| &port.totals,
        values: CONNECTIONS,
        help: "Connections that IPVS gave to endpoints, by Service port",
        kind: "counter",
    },
    Family {
        what: "packets_total",
        of: |port| &port.totals,
        values: PACKETS,
        help: "Packets that went through IPVS, from clients (in) and to clients (out), by Service port",
        kind: "counter",
    },
    Family {
        what: "bytes_total",
        of: |port| &port.totals,
        values: BYTES,
        help: "Bytes that went through IPVS, from clients (in) and to clients (out), by Service port",
        kind: "counter",
    },
    Family {
        what: "connections_per_second",
        of: |port| &port.rates,
        values: CONNECTIONS,
        help: "Connections per second as IPVS estimates them over some seconds, by Service port",
        kind: "gauge",
    },
    Family {
        what: "packets_per_second",
        of: |port| &port.rates,
        values: PACKETS,
        help: "Packets per second as IPVS estimates them over some seconds, by Service port",
        kind: "gauge",
    },
    Family {
        what: "bytes_per_second",
        of: |port| &port.rates,
        values: BYTES,
        help: "Bytes per second as IPVS estimates them over some seconds, by Service port",
        kind: "gauge",
    },
];

/// All that was counted.
pub(super) fn text(counted: &Counted) -> String {
    let (hidden, rest) = counted.rest();
    let mut ports: Vec<(String, &PortTraffic)> = counted
        .shown()
        .map(|(name, traffic)| {
            let (namespace, service) = (name.service.namespace(), name.service.name());
            (labels(namespace, service, &name.port), traffic)
        })
        .collect();
    // Also once all have series again: a counter that goes and comes back looks like one that began anew.
    if hidden > 0 || rest.totals != Counters::default() {
        ports.push((labels(OTHER, OTHER, OTHER), rest));
    }
    let lines = ports.iter().map(|(labels, _)| 10 * (labels.len() + 64));
    let mut text = String::with_capacity(lines.sum::<usize>() + 2048);
    for family in &FAMILIES {
        let name = format!("kube_proxier_service_{}", family.what);
        head(&mut text, &name, family.help, family.kind);
        for (labels, traffic) in &ports {
            let counters = (family.of)(traffic);
            for (direction, value) in family.values {
                // A String takes whatever is written.
                let _ = writeln!(text, "{name}{{{labels}{direction}}} {}", value(counters));
            }
        }
    }
    let name = "kube_proxier_service_ports_without_series";
    head(
        &mut text,
        name,
        "Service ports whose traffic is summed up as (other), since there are more than --service-metrics-limit",
        "gauge",
    );
    let _ = writeln!(text, "{name} {hidden}");
    text
}

/// How often virtual servers could not be read.
pub(super) fn failures(text: &mut String, failures: u64) {
    let name = "kube_proxier_traffic_read_failures_total";
    head(
        text,
        name,
        "How often the statistics of IPVS could not be read",
        "counter",
    );
    let _ = writeln!(text, "{name} {failures}");
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn labels(namespace: &str, service: &str, port: &str) -> String {
    let mut labels = String::with_capacity(64);
    for (label, value) in [
        ("namespace=\"", namespace),
        ("\",service=\"", service),
        ("\",port=\"", port),
    ] {
        labels.push_str(label);
        escape(&mut labels, value);
    }
    labels.push('"');
    labels
}

fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_listed_with_its_type() {
        let mut text = text(&Counted::new(1));
        failures(&mut text, 0);
        let heads = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let heads: Vec<_> = heads.filter_map(|head| head.split_once(' ')).collect();
        assert_eq!(heads, TRAFFIC);
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(
            labels("a\"b", "c\\d", "e\nf"),
            r#"namespace="a\"b",service="c\\d",port="e\nf""#
        );
    }
}
