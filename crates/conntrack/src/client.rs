//! The blocking client.

use std::ops::ControlFlow;

use netlink_batch::{Batch, Connection, Dumped, Header, Socket, Transport, errno, uapi as netlink};

use crate::message::{FLOW, Request, parse_flow};
use crate::{Error, Family, Flow, Target};

/// What comes while flows are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// A flow.
    Flow(Flow),
    /// What came so far is incomplete: forget it, all comes again.
    StartOver,
}

/// A client for flows, over one nfnetlink socket.
///
/// It works in the network namespace that the opening thread was in, and needs `CAP_NET_ADMIN`
/// there for everything.
#[derive(Debug)]
pub struct Client<T = Socket> {
    connection: Connection<T>,
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
            .map_err(|error| match error {
                netlink_batch::Error::Open { reason, .. } if reason.0 == errno::EPROTONOSUPPORT => {
                    Error::NoConntrack
                }
                error => Error::Netlink(error),
            })
    }
}

impl<T: Transport> Client<T> {
    /// A client over a connection of protocol [`netlink::NETLINK_NETFILTER`].
    pub fn new(connection: Connection<T>) -> Self {
        let mut batch = Batch::new();
        // A flow that is gone cannot be deleted again.
        batch.set_idempotent(true);
        Self { connection, batch }
    }

    /// Hands each flow of a family to `visit` as it comes, in no order, without collecting them.
    /// Returns what the visitor broke off with.
    ///
    /// The kernel may be loading modules before it answers the first time.
    ///
    /// # Errors
    /// [`Error::NoConntrack`], [`Error::NotPermitted`], [`Error::Malformed`], [`Error::Netlink`].
    pub fn visit<B>(
        &mut self,
        family: Family,
        mut visit: impl FnMut(Listed) -> ControlFlow<B>,
    ) -> Result<Option<B>, Error> {
        let request = Request::List(family);
        let header = Header::new(request.message_type()).with(request.flags());
        let broken_off = self.connection.dump(header, &request, |item| {
            let listed = match item {
                Dumped::StartOver => Listed::StartOver,
                Dumped::Message(message) if message.message_type == FLOW => {
                    match parse_flow(message.payload) {
                        Ok(flow) => Listed::Flow(flow),
                        Err(error) => return ControlFlow::Break(Err(error)),
                    }
                }
                Dumped::Message(_) => return ControlFlow::Continue(()),
            };
            visit(listed).map_break(Ok)
        });
        Ok(broken_off.map_err(list_error)?.transpose()?)
    }

    /// All flows of a family, in no order. There may be hundreds of thousands: see
    /// [`visit`](Self::visit).
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub fn flows(&mut self, family: Family) -> Result<Vec<Flow>, Error> {
        self.collect(family, Some)
    }

    /// Deletes flows, many to a system call, and returns how many of them were there. One that is
    /// gone already is as wished.
    ///
    /// # Errors
    /// [`Error::NotPermitted`]; [`Error::NotDeleted`] with the first that could not be deleted: the
    /// others are tried all the same.
    pub fn delete(&mut self, targets: &[Target]) -> Result<usize, Error> {
        let report = self
            .connection
            .execute_all(&mut self.batch, targets, |batch, target| {
                let request = Request::Delete(*target);
                let header = Header::new(request.message_type()).with(request.flags());
                batch.push(header, &request);
            });
        let mut deleted = targets.len();
        let mut failed: Option<(Target, netlink_batch::Error)> = None;
        let mut failures = 0;
        for (request, error) in report.into_failures() {
            deleted -= 1;
            if error.code() == Some(errno::ENOENT) {
                continue;
            }
            failures += 1;
            if let (None, Some(target)) = (&failed, targets.get(request)) {
                failed = Some((*target, error));
            }
        }
        match failed {
            None => Ok(deleted),
            Some((_, error)) if error.code() == Some(errno::EPERM) => Err(Error::NotPermitted),
            Some((target, reason)) => Err(Error::NotDeleted {
                target: Box::new(target),
                others: failures - 1,
                reason,
            }),
        }
    }

    /// Deletes the flows of a family that `matches` says yes to, and returns how many. One listing
    /// is read; of the flows that match, what identifies them is kept until it is through.
    ///
    /// # Errors
    /// As [`visit`](Self::visit) and [`delete`](Self::delete).
    pub fn delete_matching(
        &mut self,
        family: Family,
        mut matches: impl FnMut(&Flow) -> bool,
    ) -> Result<usize, Error> {
        let targets = self.collect(family, |flow| matches(&flow).then(|| Target::from(&flow)))?;
        self.delete(&targets)
    }

    /// What `keep` makes of each flow.
    fn collect<R>(
        &mut self,
        family: Family,
        mut keep: impl FnMut(Flow) -> Option<R>,
    ) -> Result<Vec<R>, Error> {
        let mut all = Vec::new();
        self.visit(family, |listed| {
            match listed {
                Listed::Flow(flow) => all.extend(keep(flow)),
                Listed::StartOver => all.clear(),
            }
            ControlFlow::<()>::Continue(())
        })?;
        Ok(all)
    }
}

fn list_error(error: netlink_batch::Error) -> Error {
    match error.code() {
        // Of a request that has nothing but a family, the subsystem is all that can be unknown.
        Some(errno::EINVAL) => Error::NoConntrack,
        Some(errno::EPERM) => Error::NotPermitted,
        _ => Error::Netlink(error),
    }
}

#[cfg(test)]
mod tests;
