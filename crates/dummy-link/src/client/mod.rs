//! The blocking client.

mod addresses;
mod links;
mod routing;

use std::collections::BTreeMap;

use netlink_batch::{
    Batch, Connection, Limits, Socket, SocketOptions, Transport, errno, uapi::NETLINK_ROUTE,
};

use crate::{AddressProtocol, Error, LinkName};

/// Whether an operation changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Everything was as requested before.
    Unchanged,
    /// The kernel made the change.
    Changed,
}

/// The outcome of each item, in order.
type Outcomes = Vec<Result<Outcome, Error>>;

/// A client for dummy links and addresses, rules by mark and local routes, over one rtnetlink socket.
///
/// It works in the network namespace that the opening thread was in. Reading needs no capability,
/// changes need `CAP_NET_ADMIN`. It reads all links but changes only dummy links: another link of the
/// name is an [`Error::NotDummy`]. It reads all rules and routes but changes only rules by mark and local
/// routes.
///
/// All operations are idempotent: the second of two equal ones is [`Outcome::Unchanged`].
#[derive(Debug)]
pub struct Client<T = Socket> {
    connection: Connection<T>,
    batch: Batch,
    protocol: AddressProtocol,
}

impl Client {
    /// Opens a socket.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub fn open() -> Result<Self, Error> {
        let options = SocketOptions::default().strict(true);
        let socket = Socket::open(NETLINK_ROUTE, &options)?;
        // Where pods come and go, so do addresses, and a listing is quickly repeated.
        let limits = Limits::default().attempts(30);
        Ok(Self::new(Connection::new(socket).with_limits(limits)))
    }
}

impl<T: Transport> Client<T> {
    /// A client over a connection of protocol `NETLINK_ROUTE`, best with
    /// [strict checking](SocketOptions::strict).
    pub fn new(connection: Connection<T>) -> Self {
        let mut batch = Batch::new();
        // An address that is there cannot be added again, one that is gone cannot be removed again.
        batch.set_idempotent(true);
        Self {
            connection,
            batch,
            protocol: AddressProtocol::UNSPEC,
        }
    }

    /// Marks the addresses that this client adds with this number (`IFA_PROTO`), by which a program
    /// recognises its addresses also on a link that was renamed. Kernels before 5.18 ignore it.
    #[must_use]
    pub fn with_address_protocol(mut self, protocol: AddressProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sends a request for each item.
    fn change<I>(
        &mut self,
        items: &[I],
        mut push: impl FnMut(&mut Batch, &I),
        explain: impl Fn(&I, netlink_batch::Error) -> Result<Outcome, Error>,
    ) -> Outcomes {
        let report = self
            .connection
            .execute_all(&mut self.batch, items, |batch, item| push(batch, item));
        let mut failures: BTreeMap<_, _> = report.into_failures().collect();
        let outcomes = items.iter().enumerate().map(|(place, item)| {
            failures
                .remove(&place)
                .map_or(Ok(Outcome::Changed), |error| explain(item, error))
        });
        outcomes.collect()
    }
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
