//! Services.

use std::net::IpAddr;
use std::num::NonZeroU16;

use ipvs_netlink::Protocol;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proxier::cluster::{ObjectName, Service, ServicePort, ServiceType, TrafficPolicy};

use super::{options, protocol, v4, v6};

pub(crate) fn any_service() -> impl Strategy<Value = Service> {
    (0..5u8).prop_flat_map(service)
}

pub(super) fn service(name: u8) -> impl Strategy<Value = Service> {
    let types = [
        ServiceType::ClusterIp,
        ServiceType::NodePort,
        ServiceType::LoadBalancer,
    ];
    let ranges = [
        "10.0.0.0/8",
        "192.168.0.0/16",
        "0.0.0.0/0",
        "fd00::/8",
        "2001:db8::/32",
    ];
    let what = (
        select(types.to_vec()),
        // Mostly its own cluster IP, sometimes one that another has.
        (option::of(0..12u8), option::of(0..12u8), any::<bool>()),
        addresses(
            (1..3)
                .map(|n| v4([203, 0, 113], n))
                .chain([v4([192, 168, 10], 10)])
                .collect(),
            vec![v6(3, 1)],
            2,
        ),
        addresses(
            (1..3).map(|n| v4([198, 51, 100], n)).collect(),
            vec![v6(4, 1)],
            2,
        ),
        subsequence(ranges.to_vec(), 0..3),
        service_ports(),
    );
    let how = (
        option::weighted(0.4, 1..86_400u32),
        policy(),
        policy(),
        option::of(31_000..31_002u16),
        option::of(0..3i64),
        proptest::bool::weighted(0.05),
        options(),
    );
    (what, how).prop_map(move |(what, how)| {
        let (service_type, (own_v4, own_v6, own), external_ips, load_balancer_ips, ranges, ports) =
            what;
        let (affinity_seconds, internal, external, health, created, other_proxy, options) = how;
        let ip = |n: u8| if own { name * 16 } else { n };
        let cluster_ips = own_v4
            .map(|n| v4([10, 0, 0], ip(n) + 1))
            .into_iter()
            .chain(own_v6.map(|n| v6(1, u16::from(ip(n)) + 1)));
        let mut service = Service::new(
            ObjectName::new("default", format!("s{name}")),
            cluster_ips.collect(),
        );
        service.service_type = service_type;
        service.external_ips = external_ips;
        service.load_balancer_ips = load_balancer_ips;
        service.source_ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
        service.ports = ports;
        service.affinity_seconds = affinity_seconds;
        service.internal_policy = internal;
        service.external_policy = external;
        service.health_check_node_port = health.and_then(NonZeroU16::new);
        service.created = created;
        service.other_proxy = other_proxy;
        service.options = options;
        service
    })
}

fn addresses(
    v4s: Vec<IpAddr>,
    v6s: Vec<IpAddr>,
    most: usize,
) -> impl Strategy<Value = Vec<IpAddr>> {
    let all: Vec<_> = v4s.into_iter().chain(v6s).collect();
    subsequence(all, 0..=most)
}

fn policy() -> impl Strategy<Value = TrafficPolicy> {
    select(vec![TrafficPolicy::Cluster, TrafficPolicy::Local])
}

fn service_ports() -> impl Strategy<Value = Vec<ServicePort>> {
    let port = (
        protocol(),
        select(vec![80u16, 81, 443]),
        option::of(30_000u16..30_004),
    );
    vec(port, 0..3).prop_map(|ports| {
        let names = ["", "b", "c"];
        let port = |(name, (protocol, port, node_port)): (&&str, (Protocol, u16, Option<u16>))| {
            let mut port = ServicePort::new(*name, protocol, NonZeroU16::new(port).unwrap());
            port.node_port = node_port.and_then(NonZeroU16::new);
            port
        };
        names.iter().zip(ports).map(port).collect()
    })
}
