//! Which virtual servers a set member is there for.

use std::net::IpAddr;

use ipset_netlink::{Element, Entry};
use ipvs_netlink::{Protocol, VirtualServerId};

use super::SetId;

/// What a set member and a virtual server have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// A port of one address.
    Address(Protocol, IpAddr, u16),
    /// A port of all addresses of the node.
    AnyAddress(Protocol, u16),
}

impl Reach {
    /// By what a virtual server is found.
    pub(crate) fn of_server(id: &VirtualServerId) -> impl Iterator<Item = Self> + use<> {
        let reaches = match *id {
            VirtualServerId::Address {
                protocol,
                address,
                port,
            } => Some([
                Self::Address(protocol, address, port),
                Self::AnyAddress(protocol, port),
            ]),
            VirtualServerId::FirewallMark { .. } => None,
        };
        reaches.into_iter().flatten()
    }

    /// What a member of one of the proxy's sets is there for; `None` where it is for no virtual server.
    pub(crate) fn of_entry(set: SetId, entry: &Entry) -> Option<Self> {
        let any = |protocol| match entry.element() {
            Element::Port(ports) => Some(Self::AnyAddress(protocol, ports.first())),
            _ => None,
        };
        match set {
            SetId::LoopBack | SetId::HealthCheckNodePort | SetId::IpvsIps => None,
            SetId::NodePortTcp | SetId::NodePortLocalTcp => any(Protocol::TCP),
            SetId::NodePortUdp | SetId::NodePortLocalUdp => any(Protocol::UDP),
            _ => match entry.element() {
                Element::IpPort(addresses, ports)
                | Element::IpPortIp(addresses, ports, _)
                | Element::IpPortNet(addresses, ports, _) => {
                    let protocol = ports.protocol();
                    Some(Self::Address(
                        protocol,
                        addresses.as_ip()?,
                        ports.port_range().first(),
                    ))
                }
                _ => None,
            },
        }
    }
}
