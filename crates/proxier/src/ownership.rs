//! Which virtual servers are the proxy's to remove.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipset_netlink::Entry;
use ipvs_netlink::{Protocol, ServiceFlags, VirtualServerId};

use crate::cluster::Family;
use crate::layout::SetId;
use crate::layout::nftables::OWN_FLAG;

/// Which virtual servers, among those that no Service wants, are the proxy's to remove.
///
/// IPVS does not record which program made a virtual server. The proxy recognizes its own by what it made along with it:
///
/// | what the kernel holds | the proxy's if |
/// |---|---|
/// | a virtual server | it has the flag [`OWN_FLAG`](crate::nftables::OWN_FLAG), as all of the `nftables` layout have; or its address is on the proxy's link; or its address, protocol and port are in one of the proxy's sets; or its port is in a set of node ports and its address is one of the node's |
/// | a virtual server by firewall mark | it has that flag |
/// | a table of nf_tables | it is called [`TABLE`](crate::nftables::TABLE) and of family `ip` or `ip6` |
/// | a routing rule or route | it has the protocol number [`ROUTING_PROTOCOL`](crate::nftables::ROUTING_PROTOCOL) |
/// | a set | it has one of the names of [`SetId`], `KUBE-…` or `KUBE-6-…` |
/// | a chain | it has one of the names of the two layouts; of chains that the kubelet writes too, only the proxy's rules |
/// | a rule in a built-in chain | it is one of the proxy's jumps |
/// | a link | it is called [`LINK`](crate::LINK) and is of kind dummy |
/// | an address | it is on that link, IPv6 link-local ones excepted |
///
/// Addresses and sets count as they are found and as they are to be. A virtual server whose traces somebody else removed
/// is not recognized; it stays until it is deleted by hand, or a Service wants it again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ownership {
    /// Those that are recognized, unless they are at an excluded address.
    Recognized {
        /// Networks in which none is the proxy's to remove (`excludeCIDRs`).
        excluded: Vec<IpNetwork>,
        /// The node's addresses.
        node_addresses: BTreeSet<IpAddr>,
    },
    /// All but those at addresses inside these networks (`excludeCIDRs`): as kube-proxy does it.
    AllBut(Vec<IpNetwork>),
    /// These.
    Only(BTreeSet<VirtualServerId>),
}

impl Ownership {
    /// Whether a virtual server with these flags is the proxy's to remove from a kernel with these holdings.
    pub(crate) fn covers(
        &self,
        id: &VirtualServerId,
        flags: ServiceFlags,
        holdings: &impl Holdings,
    ) -> bool {
        let flagged = flags.contains(OWN_FLAG);
        let VirtualServerId::Address { address, .. } = id else {
            return match self {
                Self::Only(own) => own.contains(id),
                Self::Recognized { .. } | Self::AllBut(_) => flagged,
            };
        };
        let excludes = |networks: &[IpNetwork]| networks.iter().any(|n| n.contains(*address));
        match self {
            Self::Recognized {
                excluded,
                node_addresses,
            } => !excludes(excluded) && (flagged || recognizes(id, node_addresses, holdings)),
            Self::AllBut(excluded) => !excludes(excluded),
            Self::Only(own) => own.contains(id),
        }
    }
}

/// What a kernel holds, as far as virtual servers are recognized by it.
pub(crate) trait Holdings {
    /// Whether an address is on the proxy's link, with whatever prefix length.
    fn binds(&self, address: IpAddr) -> bool;

    /// Whether a set of the proxy's has a member.
    fn has(&self, family: Family, set: SetId, entry: &Entry) -> bool;
}

/// The sets in which a virtual server has an entry of its address, protocol and port, whatever it was made for.
const BY_ADDRESS: [SetId; 8] = [
    SetId::ClusterIp,
    SetId::ExternalIp,
    SetId::ExternalIpLocal,
    SetId::LoadBalancer,
    SetId::LoadBalancerLocal,
    SetId::LoadBalancerFw,
    SetId::NodePortSctp,
    SetId::NodePortLocalSctp,
];

/// Whether a virtual server is one that the proxy made, as far as sets and addresses show. See [`Ownership`].
pub(crate) fn recognizes(
    id: &VirtualServerId,
    node_addresses: &BTreeSet<IpAddr>,
    holdings: &impl Holdings,
) -> bool {
    let VirtualServerId::Address {
        protocol,
        address,
        port,
    } = *id
    else {
        return false;
    };
    if holdings.binds(address) {
        return true;
    }
    let family = Family::of(address);
    let entry = Entry::ip_port(address, protocol, port);
    let by_address = || {
        BY_ADDRESS
            .into_iter()
            .any(|set| holdings.has(family, set, &entry))
    };
    // The classic layout serves node ports at loopback addresses too.
    let own = address.is_loopback() || node_addresses.contains(&address);
    let by_port = || match SetId::node_ports(protocol) {
        Some((all, local)) if protocol != Protocol::SCTP && own => {
            let entry = Entry::port(port);
            [all, local]
                .into_iter()
                .any(|set| holdings.has(family, set, &entry))
        }
        _ => false,
    };
    by_address() || by_port()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    /// A kernel with one address on the proxy's link and these members of sets.
    struct Held(Vec<(SetId, Entry)>);

    impl Holdings for Held {
        fn binds(&self, address: IpAddr) -> bool {
            address == IpAddr::from([10, 0, 0, 7])
        }

        fn has(&self, _: Family, set: SetId, entry: &Entry) -> bool {
            self.0
                .iter()
                .any(|(of, member)| *of == set && member == entry)
        }
    }

    #[test]
    fn a_virtual_server_is_recognized_by_what_was_made_along_with_it() {
        let external: IpAddr = [203, 0, 113, 7].into();
        let held = Held(vec![
            (
                SetId::ExternalIp,
                Entry::ip_port(external, Protocol::TCP, 80),
            ),
            (SetId::NodePortTcp, Entry::port(30080)),
            (SetId::NodePortLocalUdp, Entry::port(30090)),
        ]);
        let node_addresses = BTreeSet::from([IpAddr::from([192, 168, 10, 10])]);
        let covered = |text: &str, excluded: &[&str]| {
            let rule = Ownership::Recognized {
                excluded: excluded.iter().map(|cidr| cidr.parse().unwrap()).collect(),
                node_addresses: node_addresses.clone(),
            };
            rule.covers(&text.parse().unwrap(), ServiceFlags::empty(), &held)
        };
        for (server, own) in [
            // On the link, whatever its port.
            ("-t 10.0.0.7:4711", true),
            ("-t 10.0.0.8:4711", false),
            // In a set: address, protocol and port.
            ("-t 203.0.113.7:80", true),
            ("-u 203.0.113.7:80", false),
            ("-t 203.0.113.7:81", false),
            // A node port at one of the node's addresses, and at no other.
            ("-t 192.168.10.10:30080", true),
            ("-t 127.0.0.1:30080", true),
            ("-t 127.0.0.1:30081", false),
            ("-t 192.168.10.11:30080", false),
            ("-u 192.168.10.10:30080", false),
            ("-u 192.168.10.10:30090", true),
            ("-f 7", false),
        ] {
            assert_eq!(covered(server, &[]), own, "{server}");
        }
        assert!(!covered("-t 10.0.0.7:4711", &["10.0.0.0/24"]));
        assert!(covered("-t 203.0.113.7:80", &["10.0.0.0/24"]));
    }

    #[test]
    fn a_virtual_server_with_the_proxys_flag_is_its_own_unless_excluded() {
        let held = Held(Vec::new());
        let excluded = vec!["10.9.0.0/16".parse().unwrap()];
        let recognized = Ownership::Recognized {
            excluded: excluded.clone(),
            node_addresses: BTreeSet::new(),
        };
        let all_but = Ownership::AllBut(excluded);
        for (server, flags, own, own_of_all) in [
            ("-t 203.0.113.9:80", OWN_FLAG, true, true),
            ("-t 203.0.113.9:80", ServiceFlags::SCHED_1, false, true),
            ("-t 10.9.0.1:80", OWN_FLAG, false, false),
            ("-f 7", OWN_FLAG | ServiceFlags::PERSISTENT, true, true),
            ("-f 7", ServiceFlags::PERSISTENT, false, false),
        ] {
            let id = server.parse().unwrap();
            assert_eq!(recognized.covers(&id, flags, &held), own, "{server}");
            assert_eq!(all_but.covers(&id, flags, &held), own_of_all, "{server}");
        }
    }
}
