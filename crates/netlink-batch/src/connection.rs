//! The user's side of a socket: batches, single requests, dumps.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use netlink_packet_core::Emitable;

#[cfg(feature = "tokio")]
use crate::AsyncSocket;
use crate::inbox::{Inbox, Received};
use crate::limits::Limits;
use crate::message::Message;
use crate::window::{Patience, Run};
use crate::{AsyncTransport, Batch, Error, Header, Report, Socket, SocketOptions};

/// A netlink socket with its bookkeeping: sequence numbers, receive buffer, a dump that was left
/// unfinished. It blocks; [`AsyncConnection`] has the same methods for async code.
///
/// Every call has finished with the kernel when it returns; replies that come later than that are
/// recognised and dropped.
///
/// ```no_run
/// use netlink_batch::{Batch, Bytes, Connection, Header};
///
/// let mut connection = Connection::open(0)?; // NETLINK_ROUTE
/// let report = connection.execute_all(&mut Batch::new(), 0..100_000, |batch, _| {
///     batch.push(Header::new(1), &Bytes(&[])); // NLMSG_NOOP
/// });
/// assert_eq!(report.len(), 100_000);
/// # Ok::<(), netlink_batch::Error>(())
/// ```
#[derive(Debug)]
pub struct Connection<T = Socket>(pub(crate) AsyncConnection<T>);

/// A netlink socket with its bookkeeping, for async code: the same as [`Connection`].
///
/// `AsyncConnection::open`, with the feature `tokio`, opens one for a tokio runtime.
///
/// # When a future is dropped
/// Requests go out in datagrams, each of which is sent whole or not at all. The kernel carries them out
/// while they are sent, so whatever was sent is done, and what was not sent yet is not: a batch of
/// up to [`Limits::window`] requests that fits the buffers is done either whole or not at all, of a longer one
/// the first windows may be done. Only the results are lost.
///
/// The connection stays good. The next call first reads what the kernel still has to reply to the requests
/// of the dropped one; those replies take no room from its own, nor are they taken for its own. A dump
/// is read to its end.
///
/// Sending is where the kernel works, and that takes the thread: a runtime's other tasks wait meanwhile.
/// For one window that is some milliseconds at most, unless the kernel has to load a module or waits for
/// something itself.
#[derive(Debug)]
pub struct AsyncConnection<
    #[cfg(feature = "tokio")] T = AsyncSocket,
    #[cfg(not(feature = "tokio"))] T,
> {
    pub(crate) inbox: Inbox<T>,
    pub(crate) limits: Limits,
    pub(crate) next_sequence: u32,
    /// Memory for single requests.
    pub(crate) single: Batch,
    /// Sequence number of a dump that has not come to its end.
    pub(crate) unfinished: Option<u32>,
    /// A call has begun. If another one begins, the former was dropped.
    pub(crate) in_call: bool,
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

#[cfg(feature = "tokio")]
impl AsyncConnection<AsyncSocket> {
    /// Opens a socket with the default options, of a protocol such as
    /// [`uapi::NETLINK_GENERIC`](crate::uapi::NETLINK_GENERIC).
    ///
    /// # Errors
    /// As [`Socket::open`] and [`AsyncSocket::new`].
    ///
    /// # Panics
    /// As [`AsyncSocket::new`].
    pub fn open(protocol: u16) -> Result<Self, Error> {
        let socket = Socket::open(protocol, &SocketOptions::default())?;
        Ok(Self::new(AsyncSocket::new(socket)?))
    }
}

impl<T> Connection<T> {
    /// The same connection for async code.
    pub fn into_async(self) -> AsyncConnection<T> {
        self.0
    }

    /// Sets the bounds.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self(self.0.with_limits(limits))
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        self.0.limits()
    }

    /// The socket.
    pub fn transport(&self) -> &T {
        self.0.transport()
    }

    /// The socket, for setting options.
    pub fn transport_mut(&mut self) -> &mut T {
        self.0.transport_mut()
    }

    /// Gives the socket back.
    pub fn into_transport(self) -> T {
        self.0.into_transport()
    }
}

impl<T: AsyncTransport> Connection<T> {
    /// A connection over a socket that is not used otherwise.
    pub fn new(transport: T) -> Self {
        Self(AsyncConnection::new(transport))
    }
}

impl<T> AsyncConnection<T> {
    /// The same connection for blocking code.
    pub fn into_blocking(self) -> Connection<T> {
        Connection(self)
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
}

impl<T: AsyncTransport> AsyncConnection<T> {
    /// A connection over a socket that is not used otherwise.
    pub fn new(transport: T) -> Self {
        Self {
            inbox: Inbox::new(transport),
            limits: Limits::default(),
            next_sequence: 1,
            single: Batch::new(),
            unfinished: None,
            in_call: false,
        }
    }

    /// Sleeps for so long, on the transport's clock.
    pub async fn sleep(&mut self, time: Duration) {
        if let Some(until) = Instant::now().checked_add(time) {
            poll_fn(|context| self.inbox.transport.poll_sleep(context, until)).await;
        }
    }

    /// Begins a call: reads what is left of one that was dropped. [`end`](Self::end) ends it.
    pub(crate) async fn begin(&mut self) {
        if std::mem::replace(&mut self.in_call, true) {
            // Where the kernel stalls, the next dump tries it again.
            let _ = self.finish_dump().await;
            // The kernel has replied to all that was sent: nothing comes later than this.
            while matches!(
                self.inbox.receive(None).await,
                Received::Datagram(_) | Received::Overflow
            ) {}
        }
    }

    /// Ends a call, which has read all the replies to what it sent, or given up on them.
    pub(crate) fn end(&mut self) {
        self.in_call = false;
    }

    async fn run(
        &mut self,
        batch: &mut Batch,
        on_reply: impl FnMut(usize, Message<'_>),
        patience: Patience,
    ) -> (Report, Patience) {
        self.begin().await;
        let run = Run::new(
            &mut self.inbox,
            &self.limits,
            &mut self.next_sequence,
            batch,
            on_reply,
            patience,
        );
        let done = run.run().await;
        self.end();
        done
    }

    async fn single(
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
            .await
            .into_result();
        self.single = batch;
        result
    }
}

crate::methods! { Connection, AsyncConnection;
    /// Sends all requests of the batch and returns the result of each. A request that fails fails
    /// alone: the kernel carries out those after it as well.
    ///
    /// The batch keeps its requests; executing it again sends them again.
    pub async fn execute(&mut self, batch: &mut Batch) -> Report {
        self.execute_with(batch, |_, _| {}).await
    }

    /// Like [`execute`](Self::execute), for requests that the kernel also answers with data: every
    /// such message is handed over with the index of its request. If the batch is
    /// [idempotent](Batch::set_idempotent), data may come twice.
    pub async fn execute_with(
        &mut self,
        batch: &mut Batch,
        on_reply: impl FnMut(usize, Message<'_>),
    ) -> Report {
        self.run(batch, on_reply, Patience::default()).await.0
    }

    /// Like [`execute`](Self::execute), for however many requests in the memory of one window: `push` adds each to the
    /// batch, which is emptied at the start and each time [`Limits::window`] requests of it are done.
    ///
    /// The report covers all of them, in the order of `requests`. `push` must add every request to the batch: after a
    /// whole window that it left out, the rest is neither sent nor reported.
    pub async fn execute_all<R>(
        &mut self,
        batch: &mut Batch,
        requests: impl IntoIterator<Item = R>,
        push: impl FnMut(&mut Batch, R),
    ) -> Report {
        let mut push = push;
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
            let (report, then) = self.run(batch, |_, _| {}, patience).await;
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
    pub async fn request(
        &mut self,
        header: Header,
        payload: &(impl Emitable + ?Sized),
    ) -> Result<(), Error> {
        self.single(header, payload, false, |_| {}).await
    }

    /// Sends one request for data and decodes what the kernel replies; of several messages the last
    /// counts. It is asked again if the answer is lost.
    ///
    /// # Errors
    /// As [`request`](Self::request), [`Error::NoReply`] if there is no data, and what `decode`
    /// returns.
    pub async fn get<R, E>(
        &mut self,
        header: Header,
        payload: &(impl Emitable + ?Sized),
        decode: impl FnMut(Message<'_>) -> Result<R, E>,
    ) -> Result<R, E>
    where
        E: From<Error>,
    {
        let mut decode = decode;
        let mut decoded = None;
        self.single(header, payload, true, |message| {
            decoded = Some(decode(message));
        })
        .await?;
        decoded.unwrap_or_else(|| Err(Error::NoReply.into()))
    }
}
