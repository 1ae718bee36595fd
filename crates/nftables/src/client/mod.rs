//! The blocking client.

mod apply;
mod list;
mod monitor;

pub use monitor::{Change, Changes, Event, Monitor};

use netlink_batch::{Batch, Connection, Header, Socket, Transport, errno, uapi as netlink};

use crate::message::{Get, Reply, parse};
use crate::{Error, Generation};

/// `ERESTART`: the generation is not the one that a transaction asks for.
const ERESTART: i32 = 85;

/// A client for nf_tables, over one nfnetlink socket.
///
/// It works in the network namespace that the opening thread was in, and needs `CAP_NET_ADMIN` there for
/// everything. Tables that it makes with [`TableFlags::OWNER`](crate::TableFlags::OWNER) belong to its
/// socket: they are gone when it is dropped, unless they are
/// [`PERSIST`](crate::TableFlags::PERSIST) too.
#[derive(Debug)]
pub struct Client<T = Socket> {
    connection: Connection<T>,
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

impl<T: Transport> Client<T> {
    /// A client over a connection of protocol [`netlink::NETLINK_NETFILTER`].
    pub fn new(connection: Connection<T>) -> Self {
        Self {
            connection,
            batch: Batch::new(),
        }
    }

    /// The port of its socket, which is the [`owner`](crate::Table::owner) of its tables.
    pub fn port(&self) -> u32 {
        self.connection.transport().port()
    }

    /// The generation: a number that each change anywhere in the rule set raises.
    ///
    /// # Errors
    /// [`Error::NoNftables`], [`Error::NotPermitted`], [`Error::Malformed`], [`Error::Netlink`].
    pub fn generation(&mut self) -> Result<u32, Error> {
        let get = Get::Generation;
        let header = Header::new(get.message_type());
        let reply: Result<Generation, GetError> = self.connection.get(header, &get, |message| {
            match parse(message.message_type, message.payload).map_err(Error::Malformed)? {
                Reply::Generation(generation) => Ok(generation),
                _ => Err(netlink_batch::Error::NoReply.into()),
            }
        });
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
