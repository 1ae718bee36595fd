//! Strategies for objects as an API server may send them, with values that are wrong among those that are right.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// An object of these fields, without those that are not set, as Go leaves them out.
fn object(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let set = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(set.collect::<Map<_, _>>())
}

fn maybe(values: &'static [&'static str]) -> impl Strategy<Value = Option<Value>> {
    option::of(select(values).prop_map(Value::from))
}

fn many(values: &'static [&'static str], most: usize) -> impl Strategy<Value = Option<Value>> {
    option::of(vec(select(values), 1..=most).prop_map(Value::from))
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![Just(80), Just(65_536), Just(-1), any::<i32>(), 1..1000]
}

const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.0.0.2",
    "010.0.0.3",
    "fd00::1",
    "127.0.0.1",
    "::",
    "None",
    "no address",
    "1.2.3.4.5",
];
const NETWORKS: &[&str] = &[
    "10.0.0.0/8",
    "fd00::/64",
    "0.0.0.0/0",
    "10.0.0.1",
    " 10.1.0.0/16 ",
    "::/x",
];
const PROTOCOLS: &[&str] = &["TCP", "UDP", "SCTP", "ICMP"];
const LABELS: &[&str] = &[
    "kubernetes.io/service-name",
    "service.kubernetes.io/service-proxy-name",
    "topology.kubernetes.io/zone",
    "app",
];

const ANNOTATIONS: &[&str] = &[
    "app",
    "kube-proxier/scheduler",
    "kube-proxier/scheduler-flags",
    "kube-proxier/upper-threshold",
    "kube-proxier/lower-threshold",
    "kube-proxier/drain",
    "kube-proxier/drain-udp",
    "kube-proxier/ports",
    "kube-proxier/affinity",
    "kube-proxier/masquerade",
    "kube-proxier/weight",
    "kube-router.io/service.scheduler",
    "kube-router.io/service.schedflags",
];

fn metadata() -> impl Strategy<Value = Value> {
    let map = |keys, values| {
        option::of(btree_map(select(keys), select(values), 1..4).prop_map(|map| json!(map)))
    };
    (
        maybe(&["web", "db"]),
        maybe(&["shop", "kube-system"]),
        maybe(&["2026-01-31T12:00:00Z", "1970-01-01T00:00:00Z"]),
        maybe(&["1", "12345"]),
        map(LABELS, &["web", "a", ""][..]),
        map(
            ANNOTATIONS,
            &[
                "sh",
                "mh",
                "none",
                "sh-port",
                "7",
                "7/tcp",
                "all",
                "all-ports",
                "a",
                "",
            ][..],
        ),
        option::of(Just(json!([{"manager": "m", "fieldsV1": {"f:spec": {}}}]))),
    )
        .prop_map(
            |(name, namespace, created, version, labels, annotations, managed)| {
                object([
                    ("name", name),
                    ("namespace", namespace),
                    ("creationTimestamp", created),
                    ("resourceVersion", version),
                    ("labels", labels),
                    ("annotations", annotations),
                    ("managedFields", managed),
                ])
            },
        )
}

fn service_port() -> impl Strategy<Value = Value> {
    (
        maybe(&["http", "dns"]),
        maybe(PROTOCOLS),
        number(),
        option::of(number()),
    )
        .prop_map(|(name, protocol, port, node_port)| {
            // Go leaves a node port of 0 out.
            let node_port = node_port.filter(|port| *port != 0);
            object([
                ("name", name),
                ("protocol", protocol),
                ("port", Some(port.into())),
                ("nodePort", node_port.map(Value::from)),
                ("targetPort", Some(8080.into())),
            ])
        })
}

pub(crate) fn services() -> impl Strategy<Value = Value> {
    let ingress = (
        maybe(ADDRESSES),
        maybe(&["VIP", "Proxy", "", "Other"]),
        maybe(&["lb.example"]),
    )
        .prop_map(|(ip, mode, host)| object([("ip", ip), ("ipMode", mode), ("hostname", host)]));
    let affinity = (maybe(&["ClientIP", "None", "Other"]), option::of(number())).prop_map(
        |(affinity, seconds)| {
            let config = seconds.map(|seconds| json!({"clientIP": {"timeoutSeconds": seconds}}));
            (affinity, config)
        },
    );
    let addresses = (
        maybe(ADDRESSES),
        many(ADDRESSES, 3),
        many(ADDRESSES, 3),
        many(&["IPv4", "IPv6"], 2),
        many(NETWORKS, 3),
    );
    let rest = (
        maybe(&[
            "ClusterIP",
            "NodePort",
            "LoadBalancer",
            "ExternalName",
            "Magic",
        ]),
        maybe(&["Cluster", "Local", "", "Other"]),
        maybe(&["Cluster", "Local", "Other"]),
        option::of(number()),
    );
    let ports = option::of(vec(service_port(), 0..4));
    (
        metadata(),
        addresses,
        rest,
        affinity,
        ports,
        option::of(vec(ingress, 1..3)),
    )
        .prop_map(
            |(
                metadata,
                (ip, ips, external, families, ranges),
                rest,
                (affinity, config),
                ports,
                ingress,
            )| {
                let (service_type, internal, outer, health) = rest;
                let spec = object([
                    ("clusterIP", ip),
                    ("clusterIPs", ips),
                    ("externalIPs", external),
                    ("ipFamilies", families),
                    ("loadBalancerSourceRanges", ranges),
                    ("type", service_type),
                    ("internalTrafficPolicy", internal),
                    ("externalTrafficPolicy", outer),
                    (
                        "healthCheckNodePort",
                        health.filter(|port| *port != 0).map(Value::from),
                    ),
                    ("sessionAffinity", affinity),
                    ("sessionAffinityConfig", config),
                    ("ports", ports.map(Value::from)),
                ]);
                let status = ingress.map(|ingress| json!({"loadBalancer": {"ingress": ingress}}));
                object([
                    ("metadata", Some(metadata)),
                    ("spec", Some(spec)),
                    ("status", status),
                ])
            },
        )
}

pub(crate) fn slices() -> impl Strategy<Value = Value> {
    let flag = || option::of(any::<bool>().prop_map(Value::from));
    let conditions = (flag(), flag(), flag()).prop_map(|(ready, serving, terminating)| {
        object([
            ("ready", ready),
            ("serving", serving),
            ("terminating", terminating),
        ])
    });
    let names = || {
        option::of(vec(select(&["a", "b"][..]), 1..3).prop_map(|names| {
            let named = names.iter().map(|name| json!({"name": name}));
            named.collect::<Value>()
        }))
    };
    let hints = (names(), names())
        .prop_map(|(zones, nodes)| object([("forZones", zones), ("forNodes", nodes)]));
    let endpoint = (
        many(ADDRESSES, 2),
        option::of(conditions),
        maybe(&["node-a", ""]),
        option::of(hints),
    )
        .prop_map(|(addresses, conditions, node, hints)| {
            object([
                ("addresses", Some(addresses.unwrap_or_else(|| json!([])))),
                ("conditions", conditions),
                ("nodeName", node),
                ("hints", hints),
            ])
        });
    let port = (
        maybe(&["http", ""]),
        maybe(&["TCP", "UDP", "", "ICMP"]),
        option::of(number()),
    )
        .prop_map(|(name, protocol, port)| {
            object([
                ("name", name),
                ("protocol", protocol),
                ("port", port.map(Value::from)),
            ])
        });
    (
        metadata(),
        select(&["IPv4", "IPv6", "FQDN", "", "IPX"][..]),
        option::of(vec(endpoint, 0..5)),
        option::of(vec(port, 0..3)),
    )
        .prop_map(|(metadata, address_type, endpoints, ports)| {
            object([
                ("metadata", Some(metadata)),
                ("addressType", Some(address_type.into())),
                ("endpoints", endpoints.map(Value::from)),
                ("ports", ports.map(Value::from)),
            ])
        })
}

pub(crate) fn nodes() -> impl Strategy<Value = Value> {
    let address = (
        select(&["InternalIP", "ExternalIP", "Hostname"][..]),
        select(ADDRESSES),
    )
        .prop_map(|(kind, address)| json!({"type": kind, "address": address}));
    (
        metadata(),
        maybe(NETWORKS),
        many(NETWORKS, 3),
        option::of(vec(address, 1..4)),
    )
        .prop_map(|(metadata, cidr, cidrs, addresses)| {
            let spec = object([("podCIDR", cidr), ("podCIDRs", cidrs)]);
            let status = addresses.map(|addresses| json!({"addresses": addresses}));
            object([
                ("metadata", Some(metadata)),
                ("spec", Some(spec)),
                ("status", status),
            ])
        })
}
