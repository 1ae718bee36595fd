//! The blocking client and the async one.

mod addresses;
mod links;
mod routing;

use std::collections::BTreeMap;

#[cfg(feature = "tokio")]
use netlink_batch::AsyncSocket;
use netlink_batch::{
    AsyncConnection, AsyncTransport, Batch, Connection, Limits, Socket, SocketOptions, errno,
    uapi::NETLINK_ROUTE,
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

/// A client for dummy links and addresses, rules by mark and local routes, over one rtnetlink socket. It
/// blocks; [`AsyncClient`] has the same methods for async code.
///
/// It works in the network namespace that the opening thread was in. Reading needs no capability,
/// changes need `CAP_NET_ADMIN`. It reads all links but changes only dummy links: another link of the
/// name is an [`Error::NotDummy`]. It reads all rules and routes but changes only rules by mark and local
/// routes.
///
/// All operations are idempotent: the second of two equal ones is [`Outcome::Unchanged`].
#[derive(Debug)]
pub struct Client<T = Socket>(AsyncClient<T>);

/// The same as [`Client`], for async code.
///
/// `AsyncClient::open`, with the feature `tokio`, opens one for a tokio runtime.
///
/// # When a future is dropped
/// The client stays good. Of many changes those up to some point were made, in order, and none behind it:
/// [more](netlink_batch::AsyncConnection). To make them again does no harm.
#[derive(Debug)]
pub struct AsyncClient<#[cfg(feature = "tokio")] T = AsyncSocket, #[cfg(not(feature = "tokio"))] T>
{
    connection: AsyncConnection<T>,
    batch: Batch,
    protocol: AddressProtocol,
}

impl Client {
    /// Opens a socket.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub fn open() -> Result<Self, Error> {
        Ok(Self::new(
            Connection::new(socket()?).with_limits(default_limits()),
        ))
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
        let socket = AsyncSocket::new(socket()?)?;
        Ok(Self::new(
            AsyncConnection::new(socket).with_limits(default_limits()),
        ))
    }
}

fn socket() -> Result<Socket, Error> {
    let options = SocketOptions::default().strict(true);
    Ok(Socket::open(NETLINK_ROUTE, &options)?)
}

/// Where pods come and go, so do addresses, and a listing is quickly repeated.
fn default_limits() -> Limits {
    Limits::default().attempts(30)
}

impl<T: AsyncTransport> Client<T> {
    /// A client over a connection of protocol `NETLINK_ROUTE`, best with
    /// [strict checking](SocketOptions::strict).
    pub fn new(connection: Connection<T>) -> Self {
        Self(AsyncClient::new(connection.into_async()))
    }

    /// Marks the addresses that this client adds with this number (`IFA_PROTO`), by which a program
    /// recognises its addresses also on a link that was renamed. Kernels before 5.18 ignore it.
    #[must_use]
    pub fn with_address_protocol(self, protocol: AddressProtocol) -> Self {
        Self(self.0.with_address_protocol(protocol))
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// A client over a connection of protocol `NETLINK_ROUTE`, best with
    /// [strict checking](SocketOptions::strict).
    pub fn new(connection: AsyncConnection<T>) -> Self {
        let mut batch = Batch::new();
        // An address that is there cannot be added again, one that is gone cannot be removed again.
        batch.set_idempotent(true);
        Self {
            connection,
            batch,
            protocol: AddressProtocol::UNSPEC,
        }
    }

    /// As [`Client::with_address_protocol`].
    #[must_use]
    pub fn with_address_protocol(mut self, protocol: AddressProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sends a request for each item.
    async fn change<I>(
        &mut self,
        items: &[I],
        mut push: impl FnMut(&mut Batch, &I),
        explain: impl Fn(&I, netlink_batch::Error) -> Result<Outcome, Error>,
    ) -> Outcomes {
        let report = self
            .connection
            .execute_all(&mut self.batch, items, |batch, item| push(batch, item))
            .await;
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
