//! Addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_batch::{
    AsyncTransport, Batch, Header, errno,
    uapi::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE},
};

use super::{AsyncClient, Client, Outcome, Outcomes, link_error};
use crate::message;
use crate::uapi::{RTM_DELADDR, RTM_GETADDR, RTM_NEWADDR};
use crate::{AddressProtocol, BoundAddress, Error, LinkName, NewAddress, NodeLinks};

netlink_batch::methods! { Client, AsyncClient;
    /// Adds addresses to a dummy link, many at a time; the result of each is at its place.
    ///
    /// [`Outcome::Unchanged`]: the link has the address. The kernel lets a link have an IPv6 address
    /// once, so that one with another prefix length counts as well.
    ///
    /// # Errors
    /// As [`dummy`](Self::dummy); of an address [`Error::Ipv6Disabled`], [`Error::Ipv6Unsupported`],
    /// [`Error::NotPermitted`], [`Error::LinkMissing`], [`Error::Address`].
    pub async fn add_addresses(
        &mut self,
        link: LinkName,
        addresses: &[IpNetwork],
    ) -> Result<Outcomes, Error> {
        let index = self.dummy(link).await?.index;
        let news = addresses.iter().copied().map(NewAddress::new).collect::<Vec<_>>();
        Ok(self.add(link, index, &news, NLM_F_EXCL).await)
    }

    /// As [`add_addresses`](Self::add_addresses), with the choices that the kernel offers: peer, broadcast
    /// address, label, scope, lifetimes, flags, protocol.
    ///
    /// [`Outcome::Unchanged`]: the link has the address, whatever its choices are;
    /// [`replace_addresses`](Self::replace_addresses) changes these.
    ///
    /// # Errors
    /// As [`add_addresses`](Self::add_addresses), and of an address [`Error::InvalidLifetimes`].
    pub async fn add_addresses_with(
        &mut self,
        link: LinkName,
        addresses: &[NewAddress],
    ) -> Result<Outcomes, Error> {
        let index = self.dummy(link).await?.index;
        Ok(self.add(link, index, addresses, NLM_F_EXCL).await)
    }

    /// Adds addresses to a dummy link, and gives those that the link has new lifetimes and another protocol (of
    /// IPv6 other flags and another peer too), as `ip address replace` does. Label, scope and broadcast address of
    /// an address that is there stay.
    ///
    /// The kernel does not report whether it had the address: the outcome is always [`Outcome::Changed`].
    ///
    /// # Errors
    /// As [`add_addresses_with`](Self::add_addresses_with).
    pub async fn replace_addresses(
        &mut self,
        link: LinkName,
        addresses: &[NewAddress],
    ) -> Result<Outcomes, Error> {
        let index = self.dummy(link).await?.index;
        Ok(self.add(link, index, addresses, NLM_F_REPLACE).await)
    }

    /// Removes addresses from a dummy link, many at a time; the result of each is at its place.
    ///
    /// An address with a peer is removed by its local address and the prefix length, as
    /// [`addresses`](Self::addresses) lists it. [`Outcome::Unchanged`]: the link does not have the
    /// address with this prefix length. Of an IPv4 address that the link has both without a peer and
    /// with one, the first removal takes the former and the next removal the latter. Removing the first
    /// IPv4 address of a subnet (shorter than 32) removes those that came after it in the same subnet,
    /// unless the sysctl `promote_secondaries` is set.
    ///
    /// # Errors
    /// As [`dummy`](Self::dummy); of an address [`Error::NotPermitted`], [`Error::LinkMissing`],
    /// [`Error::Address`].
    pub async fn remove_addresses(
        &mut self,
        link: LinkName,
        addresses: &[IpNetwork],
    ) -> Result<Outcomes, Error> {
        let index = self.dummy(link).await?.index;
        let plain: Vec<_> = addresses.iter().map(|address| (*address, None)).collect();
        let mut outcomes = self.remove(link, index, &plain).await;
        // The kernel finds an IPv4 address with a peer only by its peer, which takes a listing.
        let not_found: BTreeMap<_, _> = addresses
            .iter()
            .enumerate()
            .filter(|(place, address)| {
                address.is_ipv4() && outcomes.get(*place) == Some(&Ok(Outcome::Unchanged))
            })
            .map(|(place, address)| (*address, place))
            .collect();
        if not_found.is_empty() {
            return Ok(outcomes);
        }
        let bound = self.bound_to(link, index).await?;
        let (places, with_peers): (Vec<_>, Vec<_>) = bound
            .iter()
            .filter(|bound| bound.peer.is_some())
            .filter_map(|bound| {
                let place = *not_found.get(&bound.address)?;
                Some((place, (bound.address, bound.peer)))
            })
            .unzip();
        for (place, outcome) in places
            .into_iter()
            .zip(self.remove(link, index, &with_peers).await)
        {
            if let Some(known) = outcomes.get_mut(place) {
                if known.is_ok() && outcome != Ok(Outcome::Unchanged) {
                    *known = outcome;
                }
            }
        }
        Ok(outcomes)
    }

    /// Removes addresses as they were listed, with their peers, from the dummy link of this name; the result of
    /// each is at its place. Of several that differ in their peers it removes the one that is meant.
    ///
    /// # Errors
    /// As [`remove_addresses`](Self::remove_addresses).
    pub async fn remove_bound_addresses(
        &mut self,
        link: LinkName,
        addresses: &[BoundAddress],
    ) -> Result<Outcomes, Error> {
        let index = self.dummy(link).await?.index;
        let addresses: Vec<_> = addresses.iter().map(|bound| (bound.address, bound.peer)).collect();
        Ok(self.remove(link, index, &addresses).await)
    }

    /// The addresses of a link, of whatever kind. Of an address with a peer: the local address.
    ///
    /// # Errors
    /// [`Error::LinkMissing`], [`Error::NameTaken`], [`Error::Link`], [`Error::Malformed`].
    pub async fn addresses(&mut self, link: LinkName) -> Result<BTreeSet<IpNetwork>, Error> {
        let bound = self.bound_addresses(link).await?;
        Ok(bound.into_iter().map(|bound| bound.address).collect())
    }

    /// The addresses of a link, of whatever kind, with all that the kernel lists of them, as it orders
    /// them.
    ///
    /// # Errors
    /// As [`addresses`](Self::addresses).
    pub async fn bound_addresses(&mut self, link: LinkName) -> Result<Vec<BoundAddress>, Error> {
        let index = self.link(link).await?.index;
        self.bound_to(link, index).await
    }

    /// The addresses of all links, with all that the kernel lists of them, as it orders them.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::Malformed`].
    pub async fn all_addresses(&mut self) -> Result<Vec<BoundAddress>, Error> {
        self.dump_addresses(0).await
    }

    /// All links of the node with their addresses.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::Malformed`].
    pub async fn node_links(&mut self) -> Result<NodeLinks, Error> {
        // Links last: an address whose link is missing then went together with it.
        let bound = self.all_addresses().await?;
        let names: BTreeMap<_, _> = self
            .links()
            .await?
            .into_iter()
            .map(|link| (link.index, link.name))
            .collect();
        let mut links = NodeLinks::new();
        for name in names.values() {
            links.insert_link(*name);
        }
        links.extend(
            bound
                .into_iter()
                .filter_map(|b| Some((*names.get(&b.index)?, b.address))),
        );
        Ok(links)
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// Adds addresses, with this flag beside `NLM_F_CREATE`.
    async fn add(
        &mut self,
        link: LinkName,
        index: u32,
        addresses: &[NewAddress],
        flag: u16,
    ) -> Outcomes {
        let header = Header::new(RTM_NEWADDR).with(NLM_F_CREATE | flag);
        let protocol = self.protocol;
        let push = |batch: &mut Batch, new: &NewAddress| {
            let is_marked = new.protocol != AddressProtocol::UNSPEC;
            let protocol = if is_marked { new.protocol } else { protocol };
            let new = new.with_protocol(protocol);
            batch.push(header, &message::address_with(index, &new));
        };
        self.change(addresses, push, |new, reason| {
            let address = new.address;
            match (reason.code(), address) {
                (Some(errno::EEXIST), _) => Ok(Outcome::Unchanged),
                (Some(errno::EINVAL), _) if !new.lifetimes.is_valid() => {
                    Err(Error::InvalidLifetimes {
                        link,
                        address,
                        lifetimes: new.lifetimes,
                    })
                }
                (Some(errno::EACCES), IpNetwork::V6(_)) => {
                    Err(Error::Ipv6Disabled { link, address })
                }
                (Some(errno::EOPNOTSUPP | errno::EAFNOSUPPORT), IpNetwork::V6(_)) => {
                    Err(Error::Ipv6Unsupported { link, address })
                }
                _ => Err(address_error("add", link, address, reason)),
            }
        })
        .await
    }

    async fn remove(
        &mut self,
        link: LinkName,
        index: u32,
        addresses: &[(IpNetwork, Option<IpAddr>)],
    ) -> Outcomes {
        let push = |batch: &mut Batch, (address, peer): &(IpNetwork, Option<IpAddr>)| {
            let request = message::delete_address(index, *address, *peer);
            batch.push(Header::new(RTM_DELADDR), &request);
        };
        self.change(addresses, push, |(address, _), reason| {
            match reason.code() {
                Some(errno::EADDRNOTAVAIL) => Ok(Outcome::Unchanged),
                _ => Err(address_error("remove", link, *address, reason)),
            }
        })
        .await
    }

    async fn bound_to(&mut self, link: LinkName, index: u32) -> Result<Vec<BoundAddress>, Error> {
        let mut bound = self
            .dump_addresses(index)
            .await
            .map_err(|error| match error {
                Error::Netlink(error) => link_error("list the addresses of", link, error),
                error => error,
            })?;
        // Without strict checking the kernel lists those of all links.
        bound.retain(|bound| bound.index == index);
        Ok(bound)
    }

    async fn dump_addresses(&mut self, index: u32) -> Result<Vec<BoundAddress>, Error> {
        let header = Header::dump(RTM_GETADDR);
        self.connection
            .dump_all(header, &message::all_addresses(index), |reply| {
                message::parse_address(reply.payload).map_err(|reason| Error::Malformed {
                    what: "address",
                    reason,
                })
            })
            .await
    }
}

fn address_error(
    action: &'static str,
    link: LinkName,
    address: IpNetwork,
    reason: netlink_batch::Error,
) -> Error {
    match reason.code() {
        Some(errno::ENODEV) => Error::LinkMissing { link },
        Some(errno::EPERM) => Error::NotPermitted { link },
        _ => Error::Address {
            action,
            link,
            address,
            reason,
        },
    }
}
