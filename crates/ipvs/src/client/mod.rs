//! The blocking client, over [`netlink_batch`].

mod change;
mod read;
mod refusal;
#[cfg(test)]
mod tests;

use netlink_batch::{
    Batch, Connection, Header, Prefixed, Socket, Transport, uapi::NETLINK_GENERIC,
};
use netlink_packet_generic::GenlFamily;

use crate::uapi::{IPVS_GENL_NAME, IPVS_GENL_VERSION};
use crate::{Error, Request, Result};

pub use change::Outcome;
pub use refusal::{Reason, Refusal};

/// A connection to IPVS in one network namespace: that of the thread which opened it, wherever it
/// is used later.
///
/// Everything it does needs `CAP_NET_ADMIN` in the initial user namespace: root, but not the root
/// of a rootless container.
#[derive(Debug)]
pub struct Client<T = Socket> {
    connection: Connection<T>,
    /// The message type that the kernel gave the family.
    family: u16,
    /// Memory that batches use again.
    batch: Batch,
}

impl Client<Socket> {
    /// Opens a socket and looks up IPVS, which makes the kernel load the module if it is allowed to.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if the kernel has no IPVS, [`Error::Transport`] if no socket can
    /// be opened.
    pub fn open() -> Result<Self> {
        Self::new(Connection::open(NETLINK_GENERIC).map_err(|error| Error::transport(None, error))?)
    }
}

impl<T: Transport> Client<T> {
    /// A client over a connection of protocol generic netlink, with the limits it was given.
    ///
    /// # Errors
    /// As [`open`](Client::open).
    pub fn new(mut connection: Connection<T>) -> Result<Self> {
        let family = connection
            .family(IPVS_GENL_NAME)
            .map_err(|error| Error::transport(None, error))?
            .id;
        Ok(Self {
            connection,
            family,
            batch: Batch::new(),
        })
    }

    /// The connection, to be used otherwise.
    pub fn into_connection(self) -> Connection<T> {
        self.connection
    }

    fn header(&self) -> Header {
        Header::new(self.family)
    }
}

/// A request behind its generic netlink header.
fn with_header(request: &Request) -> Prefixed<'_, Request> {
    Prefixed {
        prefix: [request.command(), IPVS_GENL_VERSION, 0, 0],
        payload: request,
    }
}
