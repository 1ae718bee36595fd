//! The blocking client and the async one, and their monitors.

mod apply;
mod list;
mod monitor;

pub use monitor::{AsyncMonitor, Change, Changes, Event, Monitor};

#[cfg(feature = "tokio")]
use netlink_batch::AsyncSocket;
use netlink_batch::{
    AsyncConnection, AsyncTransport, Batch, Connection, Header, Socket, errno, uapi as netlink,
};

use crate::message::{Get, Reply, parse};
use crate::{Error, Generation};

/// `ERESTART`: the generation is not the one that a transaction asks for.
const ERESTART: i32 = 85;

/// A client for nf_tables, over one nfnetlink socket. It blocks; [`AsyncClient`] has the same methods for
/// async code.
///
/// It works in the network namespace that the opening thread was in, and needs `CAP_NET_ADMIN` there for
/// everything. Tables that it makes with [`TableFlags::OWNER`](crate::TableFlags::OWNER) belong to its
/// socket: they are gone when it is dropped, unless they are
/// [`PERSIST`](crate::TableFlags::PERSIST) too.
#[derive(Debug)]
pub struct Client<T = Socket>(AsyncClient<T>);

/// The same as [`Client`], for async code.
///
/// `AsyncClient::open`, with the feature `tokio`, opens one for a tokio runtime.
///
/// # When a future is dropped
/// The client stays good. A transaction was made whole or not at all: only the kernel's answer is lost
/// ([more](netlink_batch::AsyncConnection)). [`generation`](Self::generation) shows which, if nobody else
/// changes the rule set. The thread waits while the kernel carries a transaction out, which takes
/// a second for a million elements: send such on a thread of their own.
#[derive(Debug)]
pub struct AsyncClient<#[cfg(feature = "tokio")] T = AsyncSocket, #[cfg(not(feature = "tokio"))] T>
{
    connection: AsyncConnection<T>,
    batch: Batch,
}

impl Client {
    /// Opens a socket.
    ///
    /// # Errors
    /// [`Error::NoNftables`] for a kernel without nfnetlink, [`Error::Netlink`].
    pub fn open() -> Result<Self, Error> {
        Connection::open(netlink::NETLINK_NETFILTER)
            .map(Self::new)
            .map_err(open_error)
    }
}

#[cfg(feature = "tokio")]
impl AsyncClient<AsyncSocket> {
    /// Opens a socket for the tokio runtime that this is called in.
    ///
    /// # Errors
    /// As [`Client::open`].
    ///
    /// # Panics
    /// As [`AsyncSocket::new`].
    pub fn open() -> Result<Self, Error> {
        AsyncConnection::open(netlink::NETLINK_NETFILTER)
            .map(Self::new)
            .map_err(open_error)
    }
}

impl<T: AsyncTransport> Client<T> {
    /// A client over a connection of protocol [`netlink::NETLINK_NETFILTER`].
    pub fn new(connection: Connection<T>) -> Self {
        Self(AsyncClient::new(connection.into_async()))
    }

    /// The port of its socket, which is the [`owner`](crate::Table::owner) of its tables.
    pub fn port(&self) -> u32 {
        self.0.port()
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// A client over a connection of protocol [`netlink::NETLINK_NETFILTER`].
    pub fn new(connection: AsyncConnection<T>) -> Self {
        Self {
            connection,
            batch: Batch::new(),
        }
    }

    /// The port of its socket, which is the [`owner`](crate::Table::owner) of its tables.
    pub fn port(&self) -> u32 {
        self.connection.transport().socket_info().port
    }
}

netlink_batch::methods! { Client, AsyncClient;
    /// The generation: a number that each change anywhere in the rule set raises.
    ///
    /// # Errors
    /// [`Error::NoNftables`], [`Error::NotPermitted`], [`Error::Malformed`], [`Error::Netlink`].
    pub async fn generation(&mut self) -> Result<u32, Error> {
        let get = Get::Generation;
        let header = Header::new(get.message_type());
        let reply: Result<Generation, GetError> = self
            .connection
            .get(header, &get, |message| {
                match parse(message.message_type, message.payload).map_err(Error::Malformed)? {
                    Reply::Generation(generation) => Ok(generation),
                    _ => Err(netlink_batch::Error::NoReply.into()),
                }
            })
            .await;
        Ok(reply.map_err(|error| error.0)?.id)
    }
}

/// An error on the way through netlink-batch.
struct GetError(Error);

impl From<Error> for GetError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<netlink_batch::Error> for GetError {
    fn from(error: netlink_batch::Error) -> Self {
        Self(request_error(error))
    }
}

fn open_error(error: netlink_batch::Error) -> Error {
    if error.lacks_protocol() {
        Error::NoNftables
    } else {
        Error::Netlink(error)
    }
}

/// The error of a question, none of which can be wrong in itself.
fn request_error(error: netlink_batch::Error) -> Error {
    match error.code() {
        // nfnetlink's answer where the subsystem is missing.
        Some(errno::EINVAL | errno::EOPNOTSUPP) => Error::NoNftables,
        Some(errno::EPERM) => Error::NotPermitted,
        _ => Error::Netlink(error),
    }
}

#[cfg(test)]
mod tests;
