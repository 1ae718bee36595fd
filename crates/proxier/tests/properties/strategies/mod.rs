//! Random clusters, configurations, machines and states found. Names, addresses and ports come from small
//! supplies, so that they meet.

mod node;
mod options;
mod services;
mod slices;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipvs_netlink::Protocol;
use proptest::collection::btree_set;
use proptest::prelude::*;
use proptest::sample::select;
use proxier::Config;
use proxier::Observed;
use proxier::cluster::{Cluster, Host, Node, ObjectName};

pub(crate) use self::node::{config, config_in, host};
pub(crate) use self::options::options;
pub(crate) use self::services::any_service;
use self::services::service;
pub(crate) use self::slices::any_slice;
use self::slices::slice;

/// A cluster, where it is seen from, and what that machine's kernel holds at first.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) cluster: Cluster,
    pub(crate) host: Host,
    pub(crate) config: Config,
    pub(crate) found: Observed,
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    (cluster(), host(), config(), crate::found::found()).prop_map(
        |(cluster, host, config, found)| Case {
            cluster,
            host,
            config,
            found,
        },
    )
}

pub(crate) fn cluster() -> impl Strategy<Value = Cluster> {
    let services = btree_set(0..5u8, 0..5)
        .prop_flat_map(|names| names.into_iter().map(service).collect::<Vec<_>>());
    let slices = btree_set(0..8u8, 0..8)
        .prop_flat_map(|names| names.into_iter().map(slice).collect::<Vec<_>>());
    (services, slices).prop_map(|(services, slices)| {
        let mut cluster = Cluster::default();
        let addresses = [v4([192, 168, 10], 10), "2001:db8:10::10".parse().unwrap()];
        let mut node = Node::new("node-a").with_addresses(addresses);
        node.zone = Some("zone-a".into());
        node.pod_cidrs = vec![
            "10.244.1.0/24".parse().unwrap(),
            "fd00:2::/64".parse().unwrap(),
        ];
        cluster.add_node(node);
        services
            .into_iter()
            .for_each(|service| drop(cluster.add_service(service)));
        slices
            .into_iter()
            .for_each(|slice| drop(cluster.add_slice(slice)));
        cluster
    })
}

/// The same cluster many times over, each time with other names and addresses.
pub(crate) fn repeated(cluster: &Cluster, times: u8) -> Cluster {
    let mut many = cluster.clone();
    let moved = |ip: IpAddr, by: u8| match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            // No bit in which addresses of Services differ: else a copy would have the address of another Service.
            IpAddr::V4(Ipv4Addr::new(a, b, c ^ (by << 3), d))
        }
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) ^ (u128::from(by) << 16))),
    };
    for n in 1..=times {
        for service in cluster.services.values() {
            let mut copy = service.clone();
            copy.name = ObjectName::new(format!("copy-{n}"), service.name.name());
            let lists = [
                &mut copy.cluster_ips,
                &mut copy.external_ips,
                &mut copy.load_balancer_ips,
            ];
            for ip in lists.into_iter().flatten() {
                *ip = moved(*ip, n);
            }
            many.add_service(copy);
        }
        for slice in cluster.slices.values() {
            let mut copy = slice.clone();
            copy.name = ObjectName::new(format!("copy-{n}"), slice.name.name());
            // They stay addresses that the copies of Services bind, or stay none.
            for endpoint in &mut copy.endpoints {
                endpoint.address = moved(endpoint.address, n);
            }
            many.add_slice(copy);
        }
    }
    many
}

fn v4(net: [u8; 3], last: u8) -> IpAddr {
    Ipv4Addr::new(net[0], net[1], net[2], last).into()
}

fn v6(net: u16, last: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, net, 0, 0, 0, 0, 0, last).into()
}

fn protocol() -> impl Strategy<Value = Protocol> {
    select(vec![
        Protocol::TCP,
        Protocol::TCP,
        Protocol::UDP,
        Protocol::SCTP,
    ])
}
