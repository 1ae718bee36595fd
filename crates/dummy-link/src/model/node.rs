//! Which addresses a node has, and on which link.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

use crate::{LinkName, host_address};

/// The links of a node with the addresses bound to them, both in order.
///
/// An address keeps the prefix length it is bound with (`192.0.2.7/24`); of an address with a peer it
/// is the local one. The kernel lets one address be on several links, and on one link with several
/// prefix lengths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct NodeLinks {
    links: BTreeMap<LinkName, BTreeSet<IpNetwork>>,
}

impl NodeLinks {
    /// A node without links.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a link without addresses. `false` if it is there already: then its addresses stay.
    pub fn insert_link(&mut self, link: LinkName) -> bool {
        let links = self.links.len();
        self.links.entry(link).or_default();
        self.links.len() != links
    }

    /// Removes a link, and returns its addresses.
    pub fn remove_link(&mut self, link: LinkName) -> Option<BTreeSet<IpNetwork>> {
        self.links.remove(&link)
    }

    /// Adds an address, and the link if it is not there. `false` if the link has this address with this
    /// prefix length already.
    pub fn insert(&mut self, link: LinkName, address: IpNetwork) -> bool {
        self.links.entry(link).or_default().insert(address)
    }

    /// Removes an address, but never the link. `false` if the link does not have it with this
    /// prefix length.
    pub fn remove(&mut self, link: LinkName, address: IpNetwork) -> bool {
        self.links
            .get_mut(&link)
            .is_some_and(|addresses| addresses.remove(&address))
    }

    /// The addresses of a link; `None` if there is no such link.
    pub fn addresses(&self, link: LinkName) -> Option<&BTreeSet<IpNetwork>> {
        self.links.get(&link)
    }

    /// Whether the link has this address, whatever the prefix length.
    pub fn has(&self, link: LinkName, address: IpAddr) -> bool {
        self.links
            .get(&link)
            .is_some_and(|addresses| contains(addresses, address))
    }

    /// The links that have this address, whatever the prefix length. Takes logarithmic time per
    /// link.
    pub fn links_with(&self, address: IpAddr) -> impl Iterator<Item = LinkName> + '_ {
        self.iter()
            .filter(move |(_, addresses)| contains(addresses, address))
            .map(|(link, _)| link)
    }

    /// All links with their addresses.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (LinkName, &BTreeSet<IpNetwork>)> {
        self.links
            .iter()
            .map(|(link, addresses)| (*link, addresses))
    }
}

impl Extend<(LinkName, IpNetwork)> for NodeLinks {
    fn extend<I: IntoIterator<Item = (LinkName, IpNetwork)>>(&mut self, addresses: I) {
        for (link, address) in addresses {
            self.insert(link, address);
        }
    }
}

impl FromIterator<(LinkName, IpNetwork)> for NodeLinks {
    fn from_iter<I: IntoIterator<Item = (LinkName, IpNetwork)>>(addresses: I) -> Self {
        let mut links = Self::new();
        links.extend(addresses);
        links
    }
}

/// The order of `IpNetwork` is family, address, prefix length: one address with all its lengths is
/// one range.
fn contains(addresses: &BTreeSet<IpNetwork>, address: IpAddr) -> bool {
    let shortest = match address {
        IpAddr::V4(address) => Ipv4Network::new(address, 0).map(IpNetwork::V4),
        IpAddr::V6(address) => Ipv6Network::new(address, 0).map(IpNetwork::V6),
    };
    shortest.is_ok_and(|shortest| {
        addresses
            .range(shortest..=host_address(address))
            .next()
            .is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn finds_links_by_address_whatever_the_length() {
        let [eth0, ipvs0, lo] =
            ["eth0", "kube-ipvs0", "lo"].map(|name| LinkName::new(name).unwrap());
        let mut links = NodeLinks::from_iter([
            (ipvs0, net("192.0.2.7/32")),
            (eth0, net("192.0.2.7/24")),
            (eth0, net("2001:db8::7/64")),
        ]);
        assert!(links.insert_link(lo));
        assert!(!links.insert_link(eth0));

        assert_eq!(
            links.links_with(ip("192.0.2.7")).collect::<Vec<_>>(),
            [eth0, ipvs0]
        );
        assert_eq!(
            links.links_with(ip("2001:db8::7")).collect::<Vec<_>>(),
            [eth0]
        );
        assert_eq!(links.links_with(ip("192.0.2.8")).count(), 0);
        assert_eq!(
            links.iter().map(|(link, _)| link).collect::<Vec<_>>(),
            [eth0, ipvs0, lo]
        );

        assert!(
            !links.remove(eth0, net("192.0.2.7/32")),
            "another prefix length"
        );
        assert!(links.remove(eth0, net("192.0.2.7/24")));
        assert!(!links.has(eth0, ip("192.0.2.7")));
        assert_eq!(links.addresses(eth0).map(BTreeSet::len), Some(1));
        assert_eq!(links.remove_link(lo), Some(BTreeSet::new()));
        assert_eq!(links.addresses(lo), None);
    }

    proptest! {
        #[test]
        fn lookup_agrees_with_a_plain_search(
            bound in prop::collection::vec((0u32..16, 0u8..=32), 0..12),
            sought in 0u32..16,
        ) {
            let link = LinkName::new("dummy0").unwrap();
            let address = |number: u32| IpAddr::V4(number.wrapping_mul(0x1111_1111).into());
            let links: NodeLinks =
                bound.iter().map(|(n, len)| (link, IpNetwork::new(address(*n), *len).unwrap())).collect();
            prop_assert_eq!(links.has(link, address(sought)), bound.iter().any(|(n, _)| *n == sought));
        }
    }
}
