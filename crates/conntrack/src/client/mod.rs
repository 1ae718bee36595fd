//! The blocking client and the async one.

use std::ops::ControlFlow;

#[cfg(feature = "tokio")]
use netlink_batch::AsyncSocket;
use netlink_batch::{
    AsyncConnection, AsyncTransport, Batch, Connection, Dumped, Header, Socket, errno,
    uapi as netlink,
};

use crate::message::{FLOW, Request, parse_flow};
use crate::{Error, Family, Filter, Flow, FlowKey};

mod change;
mod monitor;

pub use monitor::{AsyncMonitor, Event, EventKinds, Monitor};

/// What [`Client::visit`] hands to its visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all are flows, and each lives as long as one call of the visitor"
)]
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
/// The client stays good. Of [`delete`](Self::delete) and [`update`](Self::update) the flows up to some point are
/// deleted or changed, in order, and none behind it: [more](netlink_batch::AsyncConnection). To do it again does no
/// harm.
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
        // A flow that is gone cannot be deleted again, and one that is changed can be changed to the same.
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
        self.dump(Request::List(family), None, visit).await
    }

    /// As [`visit`](Self::visit), of the flows that a filter means.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub async fn visit_where<B>(
        &mut self,
        filter: &Filter,
        visit: impl FnMut(DumpItem) -> ControlFlow<B>,
    ) -> Result<Option<B>, Error> {
        self.dump(Request::ListWhere(*filter), Some(*filter), visit).await
    }

    /// All flows of a family, in no order. There may be hundreds of thousands: see
    /// [`visit`](Self::visit).
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub async fn flows(&mut self, family: Family) -> Result<Vec<Flow>, Error> {
        self.collect(Request::List(family), None, Some).await
    }

    /// The flows that a filter means, in no order.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub async fn flows_where(&mut self, filter: &Filter) -> Result<Vec<Flow>, Error> {
        self.collect(Request::ListWhere(*filter), Some(*filter), Some).await
    }

    /// The flow with the original tuple and the zone of this key, and with its id if it has one; `None` if there is
    /// no such flow.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub async fn flow(&mut self, key: &FlowKey) -> Result<Option<Flow>, Error> {
        let request = Request::Get(*key);
        let header = Header::new(request.message_type()).with(request.flags());
        let found = self
            .connection
            .get(header, &request, |message| {
                parse_flow(message.payload).map_err(Error::Malformed)
            })
            .await;
        match found {
            Ok(flow) => Ok(Some(flow).filter(|flow| key.id.is_none() || key.id == flow.id)),
            Err(Error::Netlink(error)) if error.code() == Some(errno::ENOENT) => Ok(None),
            Err(Error::Netlink(error)) => Err(list_error(error)),
            Err(error) => Err(error),
        }
    }

    /// Deletes flows, many to a system call, and returns how many of them were there. That one is gone
    /// already is not an error.
    ///
    /// # Errors
    /// [`Error::NotPermitted`]; [`Error::NotDeleted`] with the first that could not be deleted: the
    /// others are tried all the same.
    pub async fn delete(&mut self, keys: &[FlowKey]) -> Result<usize, Error> {
        let not_deleted = |flow, others, reason| Error::NotDeleted {
            flow,
            others,
            reason,
        };
        let (deleted, failed) = self.change(keys, |key| Request::Delete(*key)).await;
        match failed {
            None => Ok(deleted),
            Some(failed) if failed.reason.code() == Some(errno::EPERM) => Err(Error::NotPermitted),
            Some(failed) => {
                let key = keys.get(failed.place).copied();
                Err(failed.into_error(key, not_deleted))
            }
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
            .collect(Request::List(family), None, |flow| {
                matches(&flow).then(|| flow.key())
            })
            .await?;
        self.delete(&keys).await
    }

    /// Deletes the flows that a filter means, and returns how many. As [`delete_matching`](Self::delete_matching), with
    /// a listing that the kernel narrows.
    ///
    /// # Errors
    /// As [`visit`](Self::visit) and [`delete`](Self::delete).
    pub async fn delete_where(&mut self, filter: &Filter) -> Result<usize, Error> {
        let request = Request::ListWhere(*filter);
        let keys = self
            .collect(request, Some(*filter), |flow| Some(flow.key()))
            .await?;
        self.delete(&keys).await
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// Hands each flow of a listing that the filter means to `visit`.
    async fn dump<B>(
        &mut self,
        request: Request,
        filter: Option<Filter>,
        mut visit: impl FnMut(DumpItem) -> ControlFlow<B>,
    ) -> Result<Option<B>, Error> {
        let header = Header::new(request.message_type()).with(request.flags());
        let stopped = self
            .connection
            .dump(header, &request, |item| {
                let item = match item {
                    Dumped::StartOver => DumpItem::Restart,
                    Dumped::Message(message) if message.message_type == FLOW => {
                        match parse_flow(message.payload) {
                            Ok(flow) if filter.is_none_or(|filter| filter.matches(&flow)) => {
                                DumpItem::Flow(flow)
                            }
                            Ok(_) => return ControlFlow::Continue(()),
                            Err(error) => return ControlFlow::Break(Err(error)),
                        }
                    }
                    Dumped::Message(_) => return ControlFlow::Continue(()),
                };
                visit(item).map_break(Ok)
            })
            .await;
        match stopped {
            // Without zones, no flow is in this one.
            Err(error)
                if error.code() == Some(errno::EOPNOTSUPP)
                    && filter.is_some_and(|filter| filter.zone.is_some()) =>
            {
                Ok(None)
            }
            stopped => Ok(stopped.map_err(list_error)?.transpose()?),
        }
    }

    /// The results of `keep` for all flows of a listing that the filter means.
    async fn collect<R>(
        &mut self,
        request: Request,
        filter: Option<Filter>,
        mut keep: impl FnMut(Flow) -> Option<R>,
    ) -> Result<Vec<R>, Error> {
        let mut all = Vec::new();
        self.dump(request, filter, |item| {
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
