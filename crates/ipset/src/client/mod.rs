//! A blocking client of the kernel's ipset, and an async one.
//!
//! ```no_run
//! use ipset_netlink::message::Mode;
//! use ipset_netlink::{Client, Entry, Family, Protocol, SetName, SetSpec, SetType};
//!
//! let mut client = Client::open()?;
//! let web = SetSpec::hash(SetName::new("web")?, SetType::HASH_IP_PORT, Family::V4);
//! client.create(&web, Mode::Idempotent)?;
//! client.add(web.name, &[Entry::ip_port([10, 0, 0, 1].into(), Protocol::TCP, 80)], Mode::Strict)?;
//! for set in client.list_all()? {
//!     print!("{}", set.set);
//! }
//! # Ok::<(), ipset_netlink::Error>(())
//! ```

mod create;
mod entries;
mod list;
mod many;
mod replace;
mod restore;
mod retry;
mod sets;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

#[cfg(feature = "tokio")]
use netlink_batch::AsyncSocket;
use netlink_batch::{
    AsyncConnection, AsyncTransport, Connection, Header, KernelError, Socket, uapi as netlink,
};

pub use crate::client::{
    list::{Item, Listed},
    retry::RetryPolicy,
};
use crate::message::{EntryBatch, Payload, Reply, Request, TypeInfo};
use crate::uapi::{IPSET_PROTOCOL, IPSET_PROTOCOL_MIN};
use crate::{DecodeError, Error, ErrorKind, Family, Operation, SetName, SetType};

/// A connection to the kernel's ipset, in the network namespace that the opening thread was in. It
/// blocks; [`AsyncClient`] has the same methods for async code.
///
/// Every method sends one request and reads its answer, unless it documents more. All need `CAP_NET_ADMIN` in
/// the user namespace that owns the network namespace.
#[derive(Debug)]
pub struct Client<T = Socket>(AsyncClient<T>);

/// The same as [`Client`], for async code.
///
/// `AsyncClient::open`, with the feature `tokio`, opens one for a tokio runtime.
///
/// # When a future is dropped
/// The client stays good. A change of one set was made or not. Of [`add`](Self::add) and
/// [`delete`](Self::delete) the entries up to some point were carried out, in order, and none behind it;
/// of [`execute`](Self::execute) the requests up to some point, of [`restore`](Self::restore) the lines:
/// [more](netlink_batch::AsyncConnection). Of [`replace`](Self::replace) the set has its old contents
/// or all of its new ones; the temporary set may stay, until the client replaces again.
#[derive(Debug)]
pub struct AsyncClient<#[cfg(feature = "tokio")] T = AsyncSocket, #[cfg(not(feature = "tokio"))] T>
{
    connection: AsyncConnection<T>,
    /// The protocol version in use, and the kernel's oldest and newest.
    protocol: u8,
    kernel_protocols: (u8, u8),
    /// The types that the kernel was asked for.
    types: HashMap<(SetType, Option<Family>), TypeInfo>,
    retry_policy: RetryPolicy,
    /// The temporary set of a replacement that has not come to its end.
    temporary: Option<SetName>,
}

impl Client {
    /// Opens a socket and asks for the kernel's protocol versions.
    ///
    /// # Errors
    /// [`Error::NoIpset`] for a kernel without it, [`Error::Netlink`], [`Error::ProtocolVersion`],
    /// and [`Error::Kernel`] with [`ErrorKind::Permission`] without `CAP_NET_ADMIN`.
    pub fn open() -> Result<Self, Error> {
        Self::over(Connection::open(netlink::NETLINK_NETFILTER).map_err(open_error)?)
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
    pub async fn open() -> Result<Self, Error> {
        let connection = AsyncConnection::open(netlink::NETLINK_NETFILTER);
        Self::over(connection.map_err(open_error)?).await
    }
}

impl<T: AsyncTransport> Client<T> {
    /// A client over a connection of protocol [`netlink::NETLINK_NETFILTER`], in the
    /// network namespace that it was opened in.
    ///
    /// # Errors
    /// As [`open`](Client::open).
    pub fn over(connection: Connection<T>) -> Result<Self, Error> {
        netlink_batch::block_on(AsyncClient::over(connection.into_async())).map(Self)
    }

    /// The client with another policy for busy sets.
    #[must_use]
    pub fn with_retry_policy(self, retry_policy: RetryPolicy) -> Self {
        Self(self.0.with_retry_policy(retry_policy))
    }

    /// The protocol version in use: 6 or 7.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.0.protocol()
    }

    /// The client with protocol version 6, as older tools use it, even if the kernel has 7. Version 6 has
    /// no indexes of sets.
    #[must_use]
    pub fn with_protocol_6(self) -> Self {
        Self(self.0.with_protocol_6())
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// A client over a connection of protocol [`netlink::NETLINK_NETFILTER`], in the
    /// network namespace that it was opened in.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub async fn over(connection: AsyncConnection<T>) -> Result<Self, Error> {
        let mut client = Self {
            connection,
            protocol: IPSET_PROTOCOL,
            kernel_protocols: (0, 0),
            types: HashMap::new(),
            retry_policy: RetryPolicy::default(),
            temporary: None,
        };
        let (min, max) = client
            .get(&Request::Protocol, |reply| match reply {
                Reply::Protocol { max, min } => Some((min, max)),
                _ => None,
            })
            .await
            .map_err(|error| {
                if error.kind() == Some(ErrorKind::Invalid) {
                    Error::NoIpset
                } else {
                    error
                }
            })?;
        client.kernel_protocols = (min, max);
        client.protocol = max.min(IPSET_PROTOCOL);
        if max < IPSET_PROTOCOL_MIN || min > IPSET_PROTOCOL {
            return Err(client.needs_protocol(Operation::Negotiate, IPSET_PROTOCOL));
        }
        Ok(client)
    }

    /// The client with another policy for busy sets.
    #[must_use]
    pub fn with_retry_policy(mut self, retry_policy: RetryPolicy) -> Self {
        self.retry_policy = retry_policy;
        self
    }

    /// The protocol version in use: 6 or 7.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The client with protocol version 6, as older tools use it, even if the kernel has 7. Version 6 has
    /// no indexes of sets.
    #[must_use]
    pub fn with_protocol_6(mut self) -> Self {
        self.protocol = IPSET_PROTOCOL_MIN;
        self
    }

    fn needs_protocol_7(&self, operation: Operation) -> Result<(), Error> {
        if self.protocol < IPSET_PROTOCOL {
            Err(self.needs_protocol(operation, IPSET_PROTOCOL))
        } else {
            Ok(())
        }
    }

    fn needs_protocol(&self, operation: Operation, needed: u8) -> Error {
        let (min, max) = self.kernel_protocols;
        let max = if needed > self.protocol {
            self.protocol
        } else {
            max
        };
        Error::ProtocolVersion {
            operation: Box::new(operation),
            min,
            max,
            needed,
        }
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// Sends a request that has no reply but its acknowledgement.
    async fn send(&mut self, request: &Request<'_>) -> Result<(), Error> {
        let payload = Payload {
            protocol: self.protocol,
            request,
        };
        let sent = self.connection.request(header_of(request), &payload).await;
        match sent {
            Ok(()) => Ok(()),
            Err(error) => Err(self.error(request, error).await),
        }
    }

    /// Sends a request and reads its reply.
    async fn get<R>(
        &mut self,
        request: &Request<'_>,
        read: impl FnMut(Reply<'_>) -> Option<R>,
    ) -> Result<R, Error> {
        match self.ask(request, read).await {
            Ok(reply) => Ok(reply),
            Err(Failure::Netlink(error)) => Err(self.error(request, error).await),
            Err(Failure::Decode(error)) => Err(Error::Decode {
                operation: Box::new(Operation::of(request, None)),
                error,
            }),
        }
    }

    async fn ask<R>(
        &mut self,
        request: &Request<'_>,
        mut read: impl FnMut(Reply<'_>) -> Option<R>,
    ) -> Result<R, Failure> {
        let payload = Payload {
            protocol: self.protocol,
            request,
        };
        self.connection
            .get(header_of(request), &payload, |message| {
                let reply = Reply::parse(message.message_type, message.payload)?;
                read(reply).ok_or(Failure::Decode(DecodeError::MessageType {
                    message_type: message.message_type,
                }))
            })
            .await
    }

    /// The error with its meaning for this request. Asks the kernel for the type of the set if the number
    /// depends on it.
    async fn error(&mut self, request: &Request<'_>, error: netlink_batch::Error) -> Error {
        let netlink_batch::Error::Kernel(KernelError {
            code,
            message,
            request: echo,
            ..
        }) = error
        else {
            return Error::Netlink {
                operation: Box::new(Operation::of(request, None)),
                error,
            };
        };
        let set_type = match request {
            Request::Create { spec, .. } => Some(spec.set_type),
            _ if ErrorKind::depends_on_type(code) => match request.set() {
                Some(set) => self.type_of(set).await,
                None => None,
            },
            _ => None,
        };
        Error::Kernel {
            operation: Box::new(Operation::of(request, EntryBatch::failed(&echo))),
            kind: ErrorKind::new(code, request.command(), set_type.as_ref()),
            code,
            message,
        }
    }

    /// The type of a set, if the kernel has it.
    async fn type_of(&mut self, set: SetName) -> Option<SetType> {
        let request = Request::Header { set };
        let info = self.ask(&request, |reply| match reply {
            Reply::Header { info, .. } => Some(info.set_type),
            _ => None,
        });
        info.await.ok()
    }
}

fn open_error(error: netlink_batch::Error) -> Error {
    if error.lacks_protocol() {
        Error::NoIpset
    } else {
        Error::Netlink {
            operation: Box::new(Operation::Negotiate),
            error,
        }
    }
}

fn header_of(request: &Request<'_>) -> Header {
    Header::new(request.message_type()).with(request.flags())
}

/// What can go wrong while a reply is read.
enum Failure {
    Netlink(netlink_batch::Error),
    Decode(DecodeError),
}

impl From<netlink_batch::Error> for Failure {
    fn from(error: netlink_batch::Error) -> Self {
        Self::Netlink(error)
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
