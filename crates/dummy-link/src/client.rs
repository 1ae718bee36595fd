//! The blocking client.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use netlink_batch::{
    Batch, Connection, Header, Limits, Message, Socket, SocketOptions, Transport, errno,
    uapi::{NETLINK_ROUTE, NLM_F_CREATE, NLM_F_EXCL},
};

use crate::message::uapi::{
    RTM_DELADDR, RTM_DELLINK, RTM_GETADDR, RTM_GETLINK, RTM_NEWADDR, RTM_NEWLINK,
};
use crate::message::{self, BoundAddress, Link};
use crate::{Error, LinkName, NodeLinks};

/// Whether an operation changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It did.
    Changed,
    /// All was as wished before.
    Unchanged,
}

/// A client for dummy links and addresses, over one rtnetlink socket.
///
/// It works in the network namespace that the opening thread was in. Changing anything takes
/// `CAP_NET_ADMIN` there, reading nothing.
///
/// All operations say what is wanted, so that doing one twice is as good as once.
#[derive(Debug)]
pub struct Client<T = Socket> {
    connection: Connection<T>,
    batch: Batch,
}

impl Client {
    /// Opens a socket.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub fn open() -> Result<Self, Error> {
        let options = SocketOptions::default().strict(true);
        let socket = Socket::open(NETLINK_ROUTE, &options)?;
        // Where pods come and go, so do addresses, and a listing takes but a moment.
        let limits = Limits::default().attempts(30);
        Ok(Self::new(Connection::new(socket).with_limits(limits)))
    }
}

impl<T: Transport> Client<T> {
    /// A client over a connection of protocol `NETLINK_ROUTE`, best with
    /// [strict checking](SocketOptions::strict).
    pub fn new(connection: Connection<T>) -> Self {
        let mut batch = Batch::new();
        // An address that is there cannot be added again, one that is gone not removed.
        batch.set_idempotent(true);
        Self { connection, batch }
    }

    /// Makes a dummy link unless there is one of this name. A new one is not set up; the addresses
    /// of a link are local all the same.
    ///
    /// # Errors
    /// [`Error::NotDummy`] and [`Error::NameTaken`] if another link has the name,
    /// [`Error::DummyUnsupported`], [`Error::NotPermitted`], [`Error::Link`].
    pub fn ensure(&mut self, link: LinkName) -> Result<Effect, Error> {
        let header = Header::new(RTM_NEWLINK).with(NLM_F_CREATE | NLM_F_EXCL);
        let failed = match self.connection.request(header, &message::new_dummy(link)) {
            Ok(()) => return Ok(Effect::Changed),
            Err(error) => error,
        };
        match failed.code() {
            Some(errno::EEXIST) => self.dummy(link).map(|_| Effect::Unchanged),
            Some(errno::EOPNOTSUPP) => Err(Error::DummyUnsupported { link }),
            // The answer is lost, but what matters is whether the link is there.
            None if self.dummy(link).is_ok() => Ok(Effect::Changed),
            _ => Err(link_error("make", link, failed)),
        }
    }

    /// Deletes a dummy link and with it its addresses. Where there is none, all is as wished.
    ///
    /// # Errors
    /// [`Error::NotDummy`] and [`Error::NameTaken`]: other links are left alone.
    /// [`Error::NotPermitted`], [`Error::Link`].
    pub fn delete(&mut self, link: LinkName) -> Result<Effect, Error> {
        let found = match self.dummy(link) {
            Ok(found) => found,
            Err(Error::LinkMissing { .. }) => return Ok(Effect::Unchanged),
            Err(error) => return Err(error),
        };
        // By index: the name may be another link's by now.
        let request = message::link_by_index(found.index);
        match self.connection.request(Header::new(RTM_DELLINK), &request) {
            Ok(()) => Ok(Effect::Changed),
            Err(error) => match link_error("delete", link, error) {
                Error::LinkMissing { .. } => Ok(Effect::Unchanged),
                error => Err(error),
            },
        }
    }

    /// Sets a link up or down.
    ///
    /// # Errors
    /// [`Error::LinkMissing`], [`Error::NotPermitted`], [`Error::Link`].
    pub fn set_up(&mut self, link: LinkName, up: bool) -> Result<Effect, Error> {
        let found = self.link(link)?;
        if found.is_up == up {
            return Ok(Effect::Unchanged);
        }
        let action = if up { "set up" } else { "set down" };
        self.connection
            .request(Header::new(RTM_NEWLINK), &message::set_up(found.index, up))
            .map_err(|error| link_error(action, link, error))?;
        Ok(Effect::Changed)
    }

    /// The link of this name.
    ///
    /// # Errors
    /// [`Error::LinkMissing`], [`Error::NameTaken`], [`Error::Link`], [`Error::Malformed`].
    pub fn link(&mut self, link: LinkName) -> Result<Link, Error> {
        let found = self
            .connection
            .get(
                Header::new(RTM_GETLINK),
                &message::link_by_name(link),
                |reply| parse_link(&reply),
            )
            .map_err(|error| match error {
                Error::Netlink(error) => link_error("look up", link, error),
                error => error,
            })?;
        if found.name != link {
            return Err(Error::NameTaken {
                link,
                holder: found.name,
            });
        }
        Ok(found)
    }

    /// All links, by index.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::Malformed`].
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let header = Header::dump(RTM_GETLINK);
        let mut links = self
            .connection
            .dump_all(header, &message::all_links(), |reply| {
                parse_link(&reply).map(Some)
            })?;
        links.sort_by_key(|link| link.index);
        Ok(links)
    }

    /// All dummy links, by index.
    ///
    /// # Errors
    /// As [`links`](Self::links).
    pub fn dummies(&mut self) -> Result<Vec<Link>, Error> {
        let mut links = self.links()?;
        links.retain(Link::is_dummy);
        Ok(links)
    }

    /// Adds addresses to a link, many at a time; the result of each is at its place.
    ///
    /// [`Effect::Unchanged`]: the link has the address. Of IPv6 the kernel takes an address for there
    /// also when it is with another prefix length.
    ///
    /// # Errors
    /// [`Error::LinkMissing`], [`Error::NameTaken`], [`Error::Link`]; of an address
    /// [`Error::Ipv6Disabled`], [`Error::Ipv6Unsupported`], [`Error::NotPermitted`],
    /// [`Error::LinkMissing`], [`Error::Address`].
    pub fn add_addresses(
        &mut self,
        link: LinkName,
        addresses: &[IpNetwork],
    ) -> Result<Vec<Result<Effect, Error>>, Error> {
        let header = Header::new(RTM_NEWADDR).with(NLM_F_CREATE | NLM_F_EXCL);
        self.change_addresses(link, addresses, header, |address, reason| {
            match (reason.code(), address) {
                (Some(errno::EEXIST), _) => Ok(Effect::Unchanged),
                (Some(errno::EACCES), IpNetwork::V6(_)) => {
                    Err(Error::Ipv6Disabled { link, address })
                }
                (Some(errno::EOPNOTSUPP | errno::EAFNOSUPPORT), IpNetwork::V6(_)) => {
                    Err(Error::Ipv6Unsupported { link, address })
                }
                _ => Err(address_error("add", link, address, reason)),
            }
        })
    }

    /// Removes addresses from a link, many at a time; the result of each is at its place.
    ///
    /// [`Effect::Unchanged`]: the link does not have the address with this prefix length. Removing
    /// the first IPv4 address of a subnet (shorter than 32) removes those that came after it in the
    /// same subnet, unless the sysctl `promote_secondaries` is set.
    ///
    /// # Errors
    /// [`Error::LinkMissing`], [`Error::NameTaken`], [`Error::Link`]; of an address
    /// [`Error::NotPermitted`], [`Error::LinkMissing`], [`Error::Address`].
    pub fn remove_addresses(
        &mut self,
        link: LinkName,
        addresses: &[IpNetwork],
    ) -> Result<Vec<Result<Effect, Error>>, Error> {
        self.change_addresses(
            link,
            addresses,
            Header::new(RTM_DELADDR),
            |address, reason| match reason.code() {
                Some(errno::EADDRNOTAVAIL) => Ok(Effect::Unchanged),
                _ => Err(address_error("remove", link, address, reason)),
            },
        )
    }

    fn change_addresses(
        &mut self,
        link: LinkName,
        addresses: &[IpNetwork],
        header: Header,
        explain: impl Fn(IpNetwork, netlink_batch::Error) -> Result<Effect, Error>,
    ) -> Result<Vec<Result<Effect, Error>>, Error> {
        let index = self.link(link)?.index;
        let report = self
            .connection
            .execute_all(&mut self.batch, addresses, |batch, address| {
                batch.push(header, &message::address(index, *address));
            });
        let mut failures: BTreeMap<_, _> = report.into_failures().collect();
        let results = addresses.iter().enumerate().map(|(request, address)| {
            failures
                .remove(&request)
                .map_or(Ok(Effect::Changed), |error| explain(*address, error))
        });
        Ok(results.collect())
    }

    /// The addresses of a link.
    ///
    /// # Errors
    /// [`Error::LinkMissing`], [`Error::NameTaken`], [`Error::Link`], [`Error::Malformed`].
    pub fn addresses(&mut self, link: LinkName) -> Result<BTreeSet<IpNetwork>, Error> {
        let index = self.link(link)?.index;
        let bound = self.dump_addresses(index).map_err(|error| match error {
            Error::Netlink(error) => link_error("list the addresses of", link, error),
            error => error,
        })?;
        // Without strict checking the kernel lists those of all links.
        let ours = bound.into_iter().filter(|bound| bound.index == index);
        Ok(ours.map(|bound| bound.address).collect())
    }

    /// All links of the node with their addresses.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::Malformed`].
    pub fn node_links(&mut self) -> Result<NodeLinks, Error> {
        // Links last: the link of an address that is not there then is gone together with it.
        let bound = self.dump_addresses(0)?;
        let names: BTreeMap<_, _> = self
            .links()?
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

    fn dump_addresses(&mut self, index: u32) -> Result<Vec<BoundAddress>, Error> {
        let header = Header::dump(RTM_GETADDR);
        self.connection
            .dump_all(header, &message::all_addresses(index), |reply| {
                message::parse_address(reply.payload).map_err(|error| Error::Malformed {
                    what: "address",
                    reason: error.to_string(),
                })
            })
    }

    /// The link of this name, which must be a dummy link.
    fn dummy(&mut self, link: LinkName) -> Result<Link, Error> {
        let found = self.link(link)?;
        if found.is_dummy() {
            Ok(found)
        } else {
            Err(Error::NotDummy {
                link,
                kind: found.kind,
            })
        }
    }
}

fn parse_link(reply: &Message<'_>) -> Result<Link, Error> {
    message::parse_link(reply.payload).map_err(|error| Error::Malformed {
        what: "link",
        reason: error.to_string(),
    })
}

fn link_error(action: &'static str, link: LinkName, reason: netlink_batch::Error) -> Error {
    match reason.code() {
        Some(errno::ENODEV) => Error::LinkMissing { link },
        Some(errno::EPERM) => Error::NotPermitted { link },
        _ => Error::Link {
            action,
            link,
            reason,
        },
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
