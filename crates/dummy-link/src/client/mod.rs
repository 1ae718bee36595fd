//! The blocking client.

mod addresses;
mod links;

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

/// A client for dummy links and addresses, over one rtnetlink socket.
///
/// It works in the network namespace that the opening thread was in. Reading needs no capability,
/// changes need `CAP_NET_ADMIN`. It reads all links but changes only dummy links: another link of the
/// name is an [`Error::NotDummy`].
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
