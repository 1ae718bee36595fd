//! Which addresses of the node serve node ports.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dummy_link::host_address;
use ipnetwork::IpNetwork;

use crate::cluster::{Family, Host, Node};
use crate::config::{Config, NodePortAddresses};
use crate::layout::Layout;

/// The address every node has.
pub(super) const fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

/// The node's addresses of a family on which node ports are served, sorted.
pub(crate) fn node_port_addresses(
    host: &Host,
    node: Option<&Node>,
    config: &Config,
    family: Family,
) -> Vec<IpAddr> {
    let loopback_too = match config.layout {
        Layout::Iptables => family == Family::V4 && config.asks_for_localhost_node_ports(),
        layout => layout.node_ports_on_loopback(),
    };
    let networks = config.node_port_addresses.networks(family);
    let wanted = |address: IpAddr| match (&config.node_port_addresses, &networks) {
        (NodePortAddresses::Primary, _) => node.and_then(|n| n.address(family)) == Some(address),
        (_, Some(networks)) => networks.iter().any(|network| network.contains(address)),
        (_, None) => true,
    };
    let mut addresses: BTreeSet<_> = host
        .addresses()
        .filter(|ip| Family::of(*ip) == family)
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

/// The networks of a family in which node ports are served; `None` where they are not restricted.
pub(super) fn node_port_networks(
    node: Option<&Node>,
    config: &Config,
    family: Family,
) -> Option<Vec<IpNetwork>> {
    match config.node_port_addresses {
        NodePortAddresses::Primary => {
            let address = node.and_then(|node| node.address(family));
            Some(address.map(host_address).into_iter().collect())
        }
        _ => config.node_port_addresses.networks(family),
    }
}
