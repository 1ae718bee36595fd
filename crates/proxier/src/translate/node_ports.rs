//! Which addresses of the node serve node ports.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use crate::cluster::{Family, Host, Node};
use crate::config::{Config, NodePortAddresses};
use crate::desired::LINK;

/// The address every node has.
pub(super) const fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

/// The node's addresses of a family on which node ports are served, sorted.
pub(super) fn node_port_addresses(
    host: &Host,
    node: Option<&Node>,
    config: &Config,
    family: Family,
) -> Vec<IpAddr> {
    let loopback_too = config.layout.node_ports_on_loopback();
    let networks = config.node_port_addresses.networks(family);
    let wanted = |address: IpAddr| match (&config.node_port_addresses, &networks) {
        (NodePortAddresses::Primary, _) => node.and_then(|n| n.address(family)) == Some(address),
        (_, Some(networks)) => networks.iter().any(|network| network.contains(address)),
        (_, None) => true,
    };
    let mut addresses: BTreeSet<_> = host
        .links
        .iter()
        .filter(|(link, _)| link.as_str() != LINK)
        .flat_map(|(_, addresses)| addresses)
        .map(IpNetwork::ip)
        .filter(|ip| Family::of(*ip) == family && !is_link_local(*ip))
        .filter(|ip| loopback_too || !ip.is_loopback())
        .collect();
    if loopback_too {
        addresses.insert(loopback(family));
    }
    addresses
        .into_iter()
        .filter(|address| wanted(*address))
        .collect()
}

/// IPv6 link-local addresses mean nothing without a link, which a virtual server does not name.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
