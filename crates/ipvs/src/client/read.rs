//! Requests that get something.

use std::ops::ControlFlow;

use netlink_batch::{AsyncTransport, Batch, Dumped, KernelError, Message, errno};
use netlink_wire::{DecodeError, Problem};

use crate::client::refusal::Reason;
use crate::client::{AsyncClient, Client, with_header};
use crate::{
    Daemon, DestinationStatus, Error, Info, Reply, Request, Result, TableEntry, Timeouts,
    VirtualServer, VirtualServerId,
};

/// Bytes of a request for one virtual server.
const SERVICE_REQUEST: usize = 68;
/// Room for the reply to a request for one virtual server, which is 368 bytes long at most.
const SERVICE_REPLY: usize = 512;

netlink_batch::methods! { Client, AsyncClient;
    /// Version of IPVS and size of its connection table.
    ///
    /// # Errors
    /// [`Error::Refused`] without the permission, [`Error::Transport`], [`Error::Decode`].
    pub async fn info(&mut self) -> Result<Info> {
        self.get(Request::GetInfo, |reply| match reply {
            Reply::Info(info) => Some(info),
            _ => None,
        })
        .await
    }

    /// The timeouts of connections.
    ///
    /// # Errors
    /// As [`info`](Self::info).
    pub async fn timeouts(&mut self) -> Result<Timeouts> {
        self.get(Request::GetTimeouts, |reply| match reply {
            Reply::Timeouts(timeouts) => Some(timeouts),
            _ => None,
        })
        .await
    }

    /// A virtual server; `None` if the kernel has no such server.
    ///
    /// # Errors
    /// As [`info`](Self::info).
    pub async fn service(&mut self, id: VirtualServerId) -> Result<Option<VirtualServer>> {
        let found = self
            .get(Request::GetService { id }, |reply| match reply {
                Reply::Service(server) => Some(server),
                _ => None,
            })
            .await;
        match found {
            Err(Error::Refused(refusal)) if refusal.reason() == Reason::NoSuchService => Ok(None),
            other => other.map(Some),
        }
    }

    /// All virtual servers, sorted.
    ///
    /// The kernel sends its tables in pieces and does not report changes in between. A table
    /// that comes with an object twice is read again. One that somebody else deletes an object
    /// from, while it is read, may come without another: nothing shows that.
    ///
    /// # Errors
    /// As [`info`](Self::info).
    pub async fn services(&mut self) -> Result<Vec<VirtualServer>> {
        let found = |reply| match reply {
            Reply::Service(server) => Some(server),
            _ => None,
        };
        self.sorted(Request::GetServices, found, |server| server.id)
            .await
    }

    /// The destinations of a virtual server, sorted.
    ///
    /// # Errors
    /// [`Error::Refused`] also if there is [no such virtual server](Reason::NoSuchService), which
    /// the kernel itself does not distinguish from one without destinations; else as
    /// [`info`](Self::info).
    pub async fn destinations(
        &mut self,
        service: VirtualServerId,
    ) -> Result<Vec<DestinationStatus>> {
        let destinations = self.dump_destinations(service).await?;
        if destinations.is_empty() && self.service(service).await?.is_none() {
            let missing = KernelError::new(errno::ESRCH);
            return Err(Error::transport(
                Some(Request::GetDestinations { service }),
                missing.into(),
            ));
        }
        Ok(destinations)
    }

    /// All virtual servers with all their destinations, sorted. Costs three system calls for each
    /// virtual server: the kernel hands out destinations by virtual server, and to a socket one
    /// table at a time.
    ///
    /// # Errors
    /// As [`info`](Self::info).
    pub async fn table(&mut self) -> Result<Vec<TableEntry>> {
        self.map_table(|entry| entry).await
    }

    /// As [`table`](Self::table), but holds only what `map` makes of each entry, which takes less
    /// memory where that is less.
    ///
    /// # Errors
    /// As [`info`](Self::info).
    pub async fn map_table<R>(&mut self, map: impl FnMut(TableEntry) -> R) -> Result<Vec<R>> {
        let mut map = map;
        let mut table = Vec::new();
        let mut empty = Vec::new();
        for server in self.services().await? {
            let destinations = self.dump_destinations(server.id).await?;
            if destinations.is_empty() {
                empty.push(server.id);
            }
            table.push((
                server.id,
                map(TableEntry {
                    server,
                    destinations,
                }),
            ));
        }
        // Sorted, as the services are.
        let missing = self.missing(&empty).await?;
        table.retain(|(id, _)| missing.binary_search(id).is_err());
        Ok(table.into_iter().map(|(_, mapped)| mapped).collect())
    }

    /// The running sync daemons: at most one of each role.
    ///
    /// # Errors
    /// As [`info`](Self::info).
    pub async fn daemons(&mut self) -> Result<Vec<Daemon>> {
        let found = |reply| match reply {
            Reply::Daemon(daemon) => Some(daemon),
            _ => None,
        };
        self.sorted(Request::GetDaemons, found, |daemon| daemon.role)
            .await
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    async fn dump_destinations(
        &mut self,
        service: VirtualServerId,
    ) -> Result<Vec<DestinationStatus>> {
        let found = |reply| match reply {
            Reply::Destination(status) => Some(status),
            _ => None,
        };
        self.sorted(Request::GetDestinations { service }, found, |status| {
            status.destination.id
        })
        .await
    }

    /// Which of these virtual servers are not there, in the order given.
    async fn missing(&mut self, ids: &[VirtualServerId]) -> Result<Vec<VirtualServerId>> {
        let mut batch = Batch::with_capacity(ids.len(), ids.len() * SERVICE_REQUEST);
        batch.set_idempotent(true);
        batch.set_reply_room(SERVICE_REPLY);
        for id in ids {
            batch.push(
                self.header(),
                &with_header(&Request::GetService { id: *id }),
            );
        }
        let mut missing = Vec::new();
        for (index, error) in self.connection.execute(&mut batch).await.into_failures() {
            match (error.code(), ids.get(index)) {
                (Some(errno::ESRCH), Some(id)) => missing.push(*id),
                (_, id) => {
                    let request = id.map(|id| Request::GetService { id: *id });
                    return Err(Error::transport(request, error));
                }
            }
        }
        Ok(missing)
    }

    /// The one reply to a request.
    async fn get<R>(&mut self, request: Request, found: fn(Reply) -> Option<R>) -> Result<R> {
        let wrong = Problem::Invalid {
            expected: "the reply to this request",
        }
        .of("IPVS_CMD_*");
        self.connection
            .get(self.header(), &with_header(&request), |message| {
                found(decode(&message)?).ok_or(Failure::Decode(wrong))
            })
            .await
            .map_err(|failure| failure.of(request))
    }

    /// A dump, sorted by key, read again as long as a key comes twice.
    async fn sorted<R, K: Ord>(
        &mut self,
        request: Request,
        found: fn(Reply) -> Option<R>,
        key: fn(&R) -> K,
    ) -> Result<Vec<R>> {
        let mut attempts = self.connection.limits().attempts;
        loop {
            let mut all = self.dump(request, found).await?;
            all.sort_unstable_by_key(key);
            let before = all.len();
            all.dedup_by_key(|object| key(object));
            attempts = attempts.saturating_sub(1);
            // Where somebody keeps changing it, what was read last is as good as any.
            if all.len() == before || attempts == 0 {
                return Ok(all);
            }
        }
    }

    async fn dump<R>(&mut self, request: Request, found: fn(Reply) -> Option<R>) -> Result<Vec<R>> {
        let mut all = Vec::new();
        let broken = self
            .connection
            .dump(self.header(), &with_header(&request), |item| {
                match item {
                    Dumped::StartOver => all.clear(),
                    Dumped::Message(message) => match decode(&message) {
                        Ok(reply) => all.extend(found(reply)),
                        Err(error) => return ControlFlow::Break(error),
                    },
                }
                ControlFlow::Continue(())
            })
            .await
            .map_err(|error| Error::transport(Some(request), error))?;
        broken.map_or(Ok(all), |error| Err(error.into()))
    }
}

fn decode(message: &Message<'_>) -> Result<Reply, DecodeError> {
    let Some((&[command, ..], attributes)) = message.payload.split_first_chunk::<4>() else {
        let available = message.payload.len();
        return Err(Problem::Truncated {
            stated: 4,
            available,
        }
        .of("struct genlmsghdr"));
    };
    Reply::decode(command, attributes)
}

/// Why a reply was not had, before it is known to what request.
enum Failure {
    Transport(netlink_batch::Error),
    Decode(DecodeError),
}

impl Failure {
    fn of(self, request: Request) -> Error {
        match self {
            Self::Transport(error) => Error::transport(Some(request), error),
            Self::Decode(error) => error.into(),
        }
    }
}

impl From<netlink_batch::Error> for Failure {
    fn from(error: netlink_batch::Error) -> Self {
        Self::Transport(error)
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
