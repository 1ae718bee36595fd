//! The blocking client and the async one, over [`netlink_batch`].

mod change;
mod connections;
mod read;
mod refusal;
#[cfg(test)]
mod tests;

#[cfg(feature = "tokio")]
use netlink_batch::AsyncSocket;
use netlink_batch::{
    AsyncConnection, AsyncTransport, Batch, Connection, Header, Prefixed, Socket,
    uapi::NETLINK_GENERIC,
};
use netlink_packet_generic::GenlFamily;

use crate::uapi::{IPVS_GENL_NAME, IPVS_GENL_VERSION};
use crate::{Error, Request, Result};

pub use change::Outcome;
pub use connections::{ConnectionMonitor, connections};
pub use refusal::{Reason, Refusal};

/// A connection to IPVS in one network namespace: that of the thread which opened it, wherever it
/// is used later. It blocks; [`AsyncClient`] has the same methods for async code.
///
/// Everything it does needs `CAP_NET_ADMIN` in the initial user namespace: root, but not the root
/// of a rootless container.
///
/// ```no_run
/// use ipvs_netlink::{Client, Family, Request, Scheduler, VirtualServerConfig};
///
/// let config = VirtualServerConfig::new(Scheduler::RR);
/// let marks = (1..=1000).filter_map(std::num::NonZeroU32::new);
/// let requests: Vec<Request> = marks
///     .map(|mark| ipvs_netlink::VirtualServerId::FirewallMark { family: Family::V4, mark })
///     .map(|id| Request::NewService { id, config })
///     .collect();
/// for (index, error) in Client::open()?.apply(&requests).failures() {
///     eprintln!("request {index}: {error}");
/// }
/// # Ok::<(), ipvs_netlink::Error>(())
/// ```
#[derive(Debug)]
pub struct Client<T = Socket>(AsyncClient<T>);

/// The same as [`Client`], for async code.
///
/// `AsyncClient::open`, with the feature `tokio`, opens one for a tokio runtime.
///
/// # When a future is dropped
/// The client stays good. A change of one object was made or not: read it back, or make it again. Of
/// [`apply`](Self::apply) the requests up to some point were carried out, in order, and none behind it:
/// [more](netlink_batch::AsyncConnection). What only reads leaves nothing behind.
#[derive(Debug)]
pub struct AsyncClient<#[cfg(feature = "tokio")] T = AsyncSocket, #[cfg(not(feature = "tokio"))] T>
{
    connection: AsyncConnection<T>,
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

#[cfg(feature = "tokio")]
impl AsyncClient<AsyncSocket> {
    /// As [`Client::open`], for the tokio runtime that this is called in.
    ///
    /// # Errors
    /// As [`Client::open`].
    ///
    /// # Panics
    /// As [`AsyncSocket::new`].
    pub async fn open() -> Result<Self> {
        let connection = AsyncConnection::open(NETLINK_GENERIC);
        Self::new(connection.map_err(|error| Error::transport(None, error))?).await
    }
}

impl<T: AsyncTransport> Client<T> {
    /// A client over a connection of protocol generic netlink, with the limits it was given.
    ///
    /// # Errors
    /// As [`open`](Client::open).
    pub fn new(connection: Connection<T>) -> Result<Self> {
        netlink_batch::block_on(AsyncClient::new(connection.into_async())).map(Self)
    }

    /// The connection, to be used otherwise.
    pub fn into_connection(self) -> Connection<T> {
        self.0.into_connection().into_blocking()
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// A client over a connection of protocol generic netlink, with the limits it was given.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub async fn new(mut connection: AsyncConnection<T>) -> Result<Self> {
        let family = connection
            .family(IPVS_GENL_NAME)
            .await
            .map_err(|error| Error::transport(None, error))?
            .id;
        Ok(Self {
            connection,
            family,
            batch: Batch::new(),
        })
    }

    /// The connection, to be used otherwise.
    pub fn into_connection(self) -> AsyncConnection<T> {
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
