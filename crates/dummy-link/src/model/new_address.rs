//! Addresses to be added.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;

use crate::{AddressFlags, AddressLabel, AddressProtocol, AddressScope, BoundAddress, Lifetimes};

/// An address to be added to a link, with the choices that the kernel offers.
///
/// ```
/// use dummy_link::{Lifetimes, NewAddress};
///
/// let address = NewAddress::new("192.0.2.10/24".parse()?)
///     .with_label("lb0:web".parse()?)
///     .with_lifetimes(Lifetimes::seconds(3000, 4000));
/// # assert_eq!(address.lifetimes.to_string(), "valid_lft 4000sec preferred_lft 3000sec");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct NewAddress {
    /// The local address with its prefix length. Where there is a peer, the prefix is the peer's.
    pub address: IpNetwork,
    /// The address of the other end of a point-to-point link, of the same family.
    pub peer: Option<IpAddr>,
    /// The broadcast address of an IPv4 subnet.
    pub broadcast: Option<Ipv4Addr>,
    /// The label of an IPv4 address; the kernel's choice is the name of the link.
    pub label: Option<AddressLabel>,
    /// Where an IPv4 address is valid. Of an IPv6 address the kernel takes it from the address.
    pub scope: AddressScope,
    /// How long it is used.
    pub lifetimes: Lifetimes,
    /// Its flags; the kernel accepts those that are not states.
    pub flags: AddressFlags,
    /// Whose address it is. [`AddressProtocol::UNSPEC`] leaves it to the client.
    pub protocol: AddressProtocol,
}

impl NewAddress {
    /// An address as [`Client::add_addresses`](crate::Client::add_addresses) adds it: of global scope, an
    /// IPv4 loopback address of host scope; without an end of its lifetime. An IPv6 address is usable at once,
    /// without duplicate address detection ([`AddressFlags::NODAD`]), and one of length 128 gets no route to its
    /// prefix ([`AddressFlags::NOPREFIXROUTE`]).
    #[must_use]
    pub fn new(address: IpNetwork) -> Self {
        let is_ipv4_loopback = address.is_ipv4() && address.ip().is_loopback();
        let flags = match (address.is_ipv6(), address.prefix()) {
            (false, _) => AddressFlags::empty(),
            (true, 128) => AddressFlags::NODAD | AddressFlags::NOPREFIXROUTE,
            (true, _) => AddressFlags::NODAD,
        };
        Self {
            address,
            peer: None,
            broadcast: None,
            label: None,
            scope: if is_ipv4_loopback {
                AddressScope::HOST
            } else {
                AddressScope::UNIVERSE
            },
            lifetimes: Lifetimes::FOREVER,
            flags,
            protocol: AddressProtocol::UNSPEC,
        }
    }

    /// The same with a peer: the address of the other end of a point-to-point link, of the same family. The
    /// prefix length is then the peer's.
    #[must_use]
    pub const fn with_peer(mut self, peer: IpAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// The same with a broadcast address (IPv4).
    #[must_use]
    pub const fn with_broadcast(mut self, broadcast: Ipv4Addr) -> Self {
        self.broadcast = Some(broadcast);
        self
    }

    /// The same with a label (IPv4).
    #[must_use]
    pub const fn with_label(mut self, label: AddressLabel) -> Self {
        self.label = Some(label);
        self
    }

    /// The same with another scope (IPv4).
    #[must_use]
    pub const fn with_scope(mut self, scope: AddressScope) -> Self {
        self.scope = scope;
        self
    }

    /// The same with lifetimes.
    #[must_use]
    pub const fn with_lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.lifetimes = lifetimes;
        self
    }

    /// The same with these flags and no others.
    #[must_use]
    pub const fn with_flags(mut self, flags: AddressFlags) -> Self {
        self.flags = flags;
        self
    }

    /// The same with the number of whose address it is (Linux 5.18; older kernels ignore it).
    #[must_use]
    pub const fn with_protocol(mut self, protocol: AddressProtocol) -> Self {
        self.protocol = protocol;
        self
    }
}

impl From<IpNetwork> for NewAddress {
    /// As [`NewAddress::new`].
    fn from(address: IpNetwork) -> Self {
        Self::new(address)
    }
}

/// What adds the address again as it is, with the time that was left of its lifetimes.
impl From<&BoundAddress> for NewAddress {
    fn from(bound: &BoundAddress) -> Self {
        Self {
            address: bound.address,
            peer: bound.peer,
            broadcast: bound.broadcast,
            label: bound.label,
            scope: bound.scope,
            lifetimes: bound.lifetimes,
            // The others are states, which the kernel makes of the rest.
            flags: bound.flags
                & (AddressFlags::NODAD
                    | AddressFlags::OPTIMISTIC
                    | AddressFlags::HOMEADDRESS
                    | AddressFlags::MANAGETEMPADDR
                    | AddressFlags::NOPREFIXROUTE
                    | AddressFlags::MCAUTOJOIN),
            protocol: bound.protocol,
        }
    }
}
