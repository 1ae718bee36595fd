//! The machine, and how its proxy is configured.

use std::net::SocketAddr;

use ipvs_netlink::{Scheduler, Timeouts};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proxier::cluster::Host;
use proxier::{Config, DetectLocal, Layout, NodePortAddresses};

use super::v4;

pub(crate) fn host() -> impl Strategy<Value = Host> {
    // The second link may have an address that Services want too.
    let more = subsequence(
        vec!["172.20.5.7/16", "203.0.113.1/32", "2001:db8:20::7/64"],
        0..=3,
    );
    // One that Services want to bind, one that the node has itself; ports that Services and their node ports have.
    let at = [
        SocketAddr::new(v4([198, 51, 100], 1), 80),
        SocketAddr::new(v4([192, 168, 10], 10), 30001),
        SocketAddr::new(v4([192, 168, 10], 10), 80),
    ];
    let api_servers = option::weighted(0.3, select(at.to_vec()));
    let missing = option::weighted(0.2, Just(Scheduler::TWOS));
    let all = (more, proptest::bool::weighted(0.9), api_servers, missing);
    all.prop_map(|(more, ipv6, api_servers, missing)| {
        let mut host = Host::new("node-a");
        host.ipv6 = ipv6;
        host.missing_schedulers = missing.into_iter().collect();
        host.api_servers = api_servers.into_iter().collect();
        let eth0 = "eth0".parse().unwrap();
        host.links.insert(eth0, "192.168.10.10/24".parse().unwrap());
        host.links
            .insert(eth0, "2001:db8:10::10/64".parse().unwrap());
        host.links.insert(eth0, "fe80::1/64".parse().unwrap());
        host.links
            .insert("lo".parse().unwrap(), "127.0.0.1/8".parse().unwrap());
        for address in more {
            host.links
                .insert("eth1".parse().unwrap(), address.parse().unwrap());
        }
        host
    })
}

pub(crate) fn config() -> impl Strategy<Value = Config> {
    config_in(&Layout::ALL)
}

/// In one of these layouts.
pub(crate) fn config_in(layouts: &[Layout]) -> impl Strategy<Value = Config> + use<> {
    let local = prop_oneof![
        Just(DetectLocal::ClusterCidr(Vec::new())),
        Just(DetectLocal::ClusterCidr(vec![
            "10.244.0.0/16".parse().unwrap()
        ])),
        Just(DetectLocal::NodeCidr),
        Just(DetectLocal::BridgeInterface("br0".into())),
        Just(DetectLocal::InterfaceNamePrefix("veth".into())),
    ];
    let node_ports = prop_oneof![
        Just(NodePortAddresses::All),
        Just(NodePortAddresses::Primary),
        Just(NodePortAddresses::Within(vec![
            "192.168.0.0/16".parse().unwrap()
        ])),
        Just(NodePortAddresses::Within(vec![
            "127.0.0.0/8".parse().unwrap()
        ])),
    ];
    let excluded = subsequence(vec!["172.31.0.0/16", "10.0.0.0/30"], 0..=2);
    let excluded = (excluded, any::<bool>());
    (
        (
            select(layouts.to_vec()),
            select(vec![Scheduler::RR, Scheduler::MH, Scheduler::WLC]),
        ),
        (any::<bool>(), any::<bool>(), 0..32u8),
        (local, node_ports, excluded),
        (0..3u32, 0..3u32),
        // So few marks that not all Services get one, and all move.
        (select(vec![0x2000, 0x80]), select(vec![0x1, 0x3, 0x107f])),
    )
        .prop_map(
            |(
                (layout, scheduler),
                (arp, all, bit),
                (local, node_ports, (excluded, foreign)),
                (tcp, udp),
                (route_mark, service_marks),
            )| {
                let mut config = Config::with_layout(layout);
                config.scheduler = scheduler;
                config.nftables.route_mark = route_mark;
                config.nftables.service_marks = service_marks;
                config.nftables.answer_ping = bit % 5 == 0;
                config.strict_arp = arp;
                config.masquerade_all = all;
                config.masquerade_bit = bit;
                config.localhost_node_ports = [None, Some(false), Some(true)]
                    .into_iter()
                    .nth(usize::from(bit % 3))
                    .flatten();
                config.conntrack_tcp_be_liberal = bit % 3 == 0;
                config.detect_local = local;
                config.node_port_addresses = node_ports;
                config.remove_foreign_servers = foreign;
                config.exclude_cidrs = excluded.iter().map(|cidr| cidr.parse().unwrap()).collect();
                config.timeouts = Timeouts {
                    tcp: tcp * 600,
                    tcp_fin: 0,
                    udp: udp * 60,
                };
                config
            },
        )
}
