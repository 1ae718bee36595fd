//! The user's side of a socket: batches, single requests, dumps.

use std::time::Duration;

use netlink_packet_core::Emitable;

use crate::inbox::Inbox;
use crate::message::Message;
use crate::window::{Patience, Run};
use crate::{Batch, Error, Header, Report, Socket, SocketOptions, Transport};

/// Which requests of a batch ask for an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acknowledge {
    /// The last one sent at a time: the others are known to have succeeded when it arrives and no
    /// error did. Costs two system calls for up to [`Limits::window`] requests.
    #[default]
    Last,
    /// Each one: costs a system call more for each, and rests on no rule about errors.
    Each,
}

/// Bounds of what a connection does before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most requests sent at a time. Fewer are, if they or their answers would not fit the socket's
    /// buffers. Default: 1024.
    pub window: usize,
    /// Which requests ask for an acknowledgement. Default: the last of each window.
    pub acknowledge: Acknowledge,
    /// How long to wait when no reply comes. The kernel replies while it is being asked, so that
    /// this never matters unless a reply is lost. Default: 5 s.
    pub reply_timeout: Duration,
    /// How often a dump, or a request that may be repeated, is tried. Default: 10.
    pub attempts: u32,
}

impl Limits {
    /// Sends at most so many requests at a time.
    #[must_use]
    pub fn window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// Chooses which requests ask for an acknowledgement.
    #[must_use]
    pub fn acknowledge(self, acknowledge: Acknowledge) -> Self {
        Self {
            acknowledge,
            ..self
        }
    }

    /// Waits so long for a reply.
    #[must_use]
    pub fn reply_timeout(self, reply_timeout: Duration) -> Self {
        Self {
            reply_timeout,
            ..self
        }
    }

    /// Tries so often.
    #[must_use]
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: 1024,
            acknowledge: Acknowledge::Last,
            reply_timeout: Duration::from_secs(5),
            attempts: 10,
        }
    }
}

/// A netlink socket with its bookkeeping: sequence numbers, receive buffer, a dump that was left
/// unfinished.
///
/// Every call has finished with the kernel when it returns; replies that come later than that are
/// recognised and dropped.
#[derive(Debug)]
pub struct Connection<T = Socket> {
    pub(crate) inbox: Inbox<T>,
    pub(crate) limits: Limits,
    pub(crate) next_sequence: u32,
    /// Memory for single requests.
    pub(crate) single: Batch,
    /// Sequence number of a dump that has not come to its end.
    pub(crate) unfinished: Option<u32>,
}

impl Connection<Socket> {
    /// Opens a socket with the default options, of a protocol such as
    /// [`uapi::NETLINK_GENERIC`](crate::uapi::NETLINK_GENERIC).
    ///
    /// # Errors
    /// As [`Socket::open`].
    pub fn open(protocol: u16) -> Result<Self, Error> {
        Ok(Self::new(Socket::open(
            protocol,
            &SocketOptions::default(),
        )?))
    }
}

impl<T: Transport> Connection<T> {
    /// A connection over a socket that is not used otherwise.
    pub fn new(transport: T) -> Self {
        Self {
            inbox: Inbox::new(transport),
            limits: Limits::default(),
            next_sequence: 1,
            single: Batch::new(),
            unfinished: None,
        }
    }

    /// Sets the bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The socket.
    pub fn transport(&self) -> &T {
        &self.inbox.transport
    }

    /// The socket, for setting options.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.inbox.transport
    }

    /// Gives the socket back.
    pub fn into_transport(self) -> T {
        self.inbox.transport
    }

    /// Sends all requests of the batch and returns the result of each. A request that fails fails
    /// alone: the kernel carries out those after it as well.
    ///
    /// The batch keeps its requests; executing it again sends them again.
    pub fn execute(&mut self, batch: &mut Batch) -> Report {
        self.execute_with(batch, |_, _| {})
    }

    /// Like [`execute`](Self::execute), for requests that the kernel also answers with data: every
    /// such message is handed over with the index of its request. If the batch is
    /// [idempotent](Batch::set_idempotent), data may come twice.
    pub fn execute_with(
        &mut self,
        batch: &mut Batch,
        on_reply: impl FnMut(usize, Message<'_>),
    ) -> Report {
        self.run(batch, on_reply, Patience::default()).0
    }

    fn run(
        &mut self,
        batch: &mut Batch,
        on_reply: impl FnMut(usize, Message<'_>),
        patience: Patience,
    ) -> (Report, Patience) {
        Run::new(
            &mut self.inbox,
            &self.limits,
            &mut self.next_sequence,
            batch,
            on_reply,
            patience,
        )
        .run()
    }

    /// Like [`execute`](Self::execute), for however many requests in the memory of one window: `push` adds each to the
    /// batch, which is emptied at the start and each time [`Limits::window`] requests of it are done.
    ///
    /// The report covers all of them, in the order of `requests`. `push` must add every request to the batch: after a
    /// whole window that it left out, the rest is neither sent nor reported.
    ///
    /// ```no_run
    /// use netlink_batch::{Batch, Bytes, Connection, Header, Socket};
    ///
    /// let mut connection = Connection::<Socket>::open(0)?; // NETLINK_ROUTE
    /// let report = connection.execute_all(&mut Batch::new(), 0..100_000, |batch, _| {
    ///     batch.push(Header::new(1), &Bytes(&[])); // NLMSG_NOOP
    /// });
    /// assert_eq!(report.len(), 100_000);
    /// # Ok::<(), netlink_batch::Error>(())
    /// ```
    pub fn execute_all<R>(
        &mut self,
        batch: &mut Batch,
        requests: impl IntoIterator<Item = R>,
        mut push: impl FnMut(&mut Batch, R),
    ) -> Report {
        let mut all = Report::default();
        let mut patience = Patience::default();
        let mut requests = requests.into_iter();
        while patience.stop.is_none() {
            batch.clear();
            let window = requests.by_ref().take(self.limits.window.max(1));
            window.for_each(|request| push(batch, request));
            if batch.is_empty() {
                return all;
            }
            let (report, then) = self.run(batch, |_, _| {}, patience);
            all.append(report);
            patience = then;
        }
        if let Some(os) = patience.stop {
            requests.for_each(|_| all.push_failure(Error::NotSent(os)));
        }
        all
    }

    /// Sends one request and waits until the kernel has carried it out.
    ///
    /// # Errors
    /// [`Error::Kernel`] if it refuses, [`Error::Unknown`] if its answer is lost,
    /// [`Error::NotSent`], [`Error::TooLong`].
    pub fn request(
        &mut self,
        header: Header,
        payload: &(impl Emitable + ?Sized),
    ) -> Result<(), Error> {
        self.single(header, payload, false, |_| {})
    }

    /// Sends one request for data and decodes what the kernel replies; of several messages the last
    /// counts. It is asked again if the answer is lost.
    ///
    /// # Errors
    /// As [`request`](Self::request), [`Error::NoReply`] if there is no data, and what `decode`
    /// returns.
    pub fn get<R, E: From<Error>>(
        &mut self,
        header: Header,
        payload: &(impl Emitable + ?Sized),
        mut decode: impl FnMut(Message<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut decoded = None;
        self.single(header, payload, true, |message| {
            decoded = Some(decode(message));
        })?;
        decoded.unwrap_or_else(|| Err(Error::NoReply.into()))
    }

    fn single(
        &mut self,
        header: Header,
        payload: &(impl Emitable + ?Sized),
        idempotent: bool,
        mut on_reply: impl FnMut(Message<'_>),
    ) -> Result<(), Error> {
        let mut batch = std::mem::take(&mut self.single);
        batch.clear();
        batch.set_idempotent(idempotent);
        batch.push(header, payload);
        let result = self
            .execute_with(&mut batch, |_, message| on_reply(message))
            .into_result();
        self.single = batch;
        result
    }
}
