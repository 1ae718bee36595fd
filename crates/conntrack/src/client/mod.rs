//! The blocking client and the async one.

use std::ops::ControlFlow;

#[cfg(feature = "tokio")]
use netlink_batch::AsyncSocket;
use netlink_batch::{
    AsyncConnection, AsyncTransport, Batch, Connection, Dumped, Header, Socket, errno,
    uapi as netlink,
};

use crate::message::{FLOW, Request, parse_flow};
use crate::{Error, Family, Flow, FlowKey};

/// What [`Client::visit`] hands to its visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpItem {
    /// A flow.
    Flow(Flow),
    /// The kernel lost part of the listing, which starts again: forget the flows so far.
    Restart,
}

/// A client for flows, over one nfnetlink socket. It blocks; [`AsyncClient`] has the same methods for
/// async code.
///
/// It works in the network namespace that the opening thread was in, and needs `CAP_NET_ADMIN`
/// there for everything.
#[derive(Debug)]
pub struct Client<T = Socket>(AsyncClient<T>);

/// The same as [`Client`], for async code.
///
/// `AsyncClient::open`, with the feature `tokio`, opens one for a tokio runtime.
///
/// # When a future is dropped
/// The client stays good. Of [`delete`](Self::delete) the flows up to some point are deleted, in order,
/// and none behind it: [more](netlink_batch::AsyncConnection). To delete them again does no harm.
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
    /// [`Error::NoConntrack`] for a kernel without nfnetlink, [`Error::Netlink`].
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
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// A client over a connection of protocol [`netlink::NETLINK_NETFILTER`].
    pub fn new(connection: AsyncConnection<T>) -> Self {
        let mut batch = Batch::new();
        // A flow that is gone cannot be deleted again.
        batch.set_idempotent(true);
        Self { connection, batch }
    }
}

netlink_batch::methods! { Client, AsyncClient;
    /// Hands each flow of a family to `visit` as it comes, in no order, without collecting them.
    /// Returns the value that the visitor stopped with, if it did.
    ///
    /// The first answer may take some time, in which the kernel loads modules.
    ///
    /// # Errors
    /// [`Error::NoConntrack`], [`Error::NotPermitted`], [`Error::Malformed`], [`Error::Netlink`].
    pub async fn visit<B>(
        &mut self,
        family: Family,
        visit: impl FnMut(DumpItem) -> ControlFlow<B>,
    ) -> Result<Option<B>, Error> {
        let mut visit = visit;
        let request = Request::List(family);
        let header = Header::new(request.message_type()).with(request.flags());
        let stopped = self
            .connection
            .dump(header, &request, |item| {
                let item = match item {
                    Dumped::StartOver => DumpItem::Restart,
                    Dumped::Message(message) if message.message_type == FLOW => {
                        match parse_flow(message.payload) {
                            Ok(flow) => DumpItem::Flow(flow),
                            Err(error) => return ControlFlow::Break(Err(error)),
                        }
                    }
                    Dumped::Message(_) => return ControlFlow::Continue(()),
                };
                visit(item).map_break(Ok)
            })
            .await;
        Ok(stopped.map_err(list_error)?.transpose()?)
    }

    /// All flows of a family, in no order. There may be hundreds of thousands: see
    /// [`visit`](Self::visit).
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub async fn flows(&mut self, family: Family) -> Result<Vec<Flow>, Error> {
        self.collect(family, Some).await
    }

    /// Deletes flows, many to a system call, and returns how many of them were there. That one is gone
    /// already is not an error.
    ///
    /// # Errors
    /// [`Error::NotPermitted`]; [`Error::NotDeleted`] with the first that could not be deleted: the
    /// others are tried all the same.
    pub async fn delete(&mut self, keys: &[FlowKey]) -> Result<usize, Error> {
        let report = self
            .connection
            .execute_all(&mut self.batch, keys, |batch, key| {
                let request = Request::Delete(*key);
                let header = Header::new(request.message_type()).with(request.flags());
                batch.push(header, &request);
            })
            .await;
        let mut deleted = keys.len();
        let mut failed: Option<(FlowKey, netlink_batch::Error)> = None;
        let mut failures = 0;
        for (request, error) in report.into_failures() {
            deleted -= 1;
            if error.code() == Some(errno::ENOENT) {
                continue;
            }
            failures += 1;
            if let (None, Some(key)) = (&failed, keys.get(request)) {
                failed = Some((*key, error));
            }
        }
        match failed {
            None => Ok(deleted),
            Some((_, error)) if error.code() == Some(errno::EPERM) => Err(Error::NotPermitted),
            Some((key, reason)) => Err(Error::NotDeleted {
                flow: Box::new(key),
                others: failures - 1,
                reason,
            }),
        }
    }

    /// Deletes the flows of a family for which `matches` is true, and returns how many. It reads one
    /// listing, and keeps the keys of flows that match until the listing is complete.
    ///
    /// # Errors
    /// As [`visit`](Self::visit) and [`delete`](Self::delete).
    pub async fn delete_matching(
        &mut self,
        family: Family,
        matches: impl FnMut(&Flow) -> bool,
    ) -> Result<usize, Error> {
        let mut matches = matches;
        let keys = self
            .collect(family, |flow| matches(&flow).then(|| flow.key()))
            .await?;
        self.delete(&keys).await
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// The results of `keep` for all flows.
    async fn collect<R>(
        &mut self,
        family: Family,
        mut keep: impl FnMut(Flow) -> Option<R>,
    ) -> Result<Vec<R>, Error> {
        let mut all = Vec::new();
        self.visit(family, |item| {
            match item {
                DumpItem::Flow(flow) => all.extend(keep(flow)),
                DumpItem::Restart => all.clear(),
            }
            ControlFlow::<()>::Continue(())
        })
        .await?;
        Ok(all)
    }
}

fn open_error(error: netlink_batch::Error) -> Error {
    if error.lacks_protocol() {
        Error::NoConntrack
    } else {
        Error::Netlink(error)
    }
}

fn list_error(error: netlink_batch::Error) -> Error {
    match error.code() {
        // The request has nothing but a family, so only the subsystem can be unknown.
        Some(errno::EINVAL) => Error::NoConntrack,
        Some(errno::EPERM) => Error::NotPermitted,
        _ => Error::Netlink(error),
    }
}

#[cfg(test)]
mod tests;
