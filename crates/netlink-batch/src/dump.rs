//! Dumps: all objects of a kind, streamed, and started over when they changed meanwhile.

use std::ops::ControlFlow;

use netlink_packet_core::Emitable;

use crate::ack::{parse_ack, parse_done};
use crate::error::{Error, KernelError, Loss};
use crate::inbox::{Idle, Piece, Received};
use crate::message::{FIRST_DATA_TYPE, Message};
use crate::uapi::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN,
};
use crate::{AsyncConnection, AsyncTransport, Bytes, Connection, Header};

/// How often a dump that has stalled is woken.
const WAKE_UPS: u32 = 10;

/// What a dump hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dumped<'a> {
    /// An object.
    Message(Message<'a>),
    /// What came so far is inconsistent: forget it, all comes again.
    StartOver,
}

/// How one pass through a dump ended.
enum Pass<B> {
    Complete,
    /// Objects may be missing or repeated.
    Interrupted,
    Lost(Loss),
    /// The visitor has enough.
    Stopped(B),
}

crate::methods! { Connection, AsyncConnection;
    /// Asks for all objects of a kind and hands each to `visit` as it comes, without collecting
    /// them. `NLM_F_DUMP` is set. Returns what the visitor broke off with.
    ///
    /// When the kernel reports that the objects changed during the dump (`NLM_F_DUMP_INTR`), or part
    /// of it is lost, the visitor is told to [start over](Dumped::StartOver) and the dump begins
    /// again, [`Limits::attempts`](crate::Limits::attempts) times in all. Not every subsystem
    /// notices such changes: IPVS does not.
    ///
    /// A dump that is broken off is read to its end nevertheless: the kernel allows a socket only
    /// one at a time, and some hold locks while they last.
    ///
    /// # Errors
    /// [`Error::Kernel`] (also in mid-dump), [`Error::DumpInterrupted`], [`Error::Unknown`] if part
    /// of it got lost each time or the kernel stopped answering, [`Error::NotSent`].
    pub async fn dump<B>(
        &mut self,
        header: Header,
        payload: &(impl Emitable + ?Sized),
        visit: impl FnMut(Dumped<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>, Error> {
        let mut visit = visit;
        self.begin().await;
        let result = self.dump_patiently(header, payload, &mut visit).await;
        self.end();
        result
    }

    /// Asks for all objects of a kind and collects what `decode` makes of each; `None` leaves one
    /// out.
    ///
    /// # Errors
    /// As [`dump`](Self::dump), and what `decode` returns.
    pub async fn dump_all<R, E>(
        &mut self,
        header: Header,
        payload: &(impl Emitable + ?Sized),
        decode: impl FnMut(Message<'_>) -> Result<Option<R>, E>,
    ) -> Result<Vec<R>, E>
    where
        E: From<Error>,
    {
        let mut decode = decode;
        let mut all = Vec::new();
        let dumped = self.dump(header, payload, |item| {
            match item {
                Dumped::StartOver => all.clear(),
                Dumped::Message(message) => match decode(message) {
                    Ok(object) => all.extend(object),
                    Err(error) => return ControlFlow::Break(error),
                },
            }
            ControlFlow::Continue(())
        });
        dumped.await?.map_or(Ok(all), Err)
    }
}

impl<T: AsyncTransport> AsyncConnection<T> {
    async fn dump_patiently<B>(
        &mut self,
        header: Header,
        payload: &(impl Emitable + ?Sized),
        visit: &mut impl FnMut(Dumped<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>, Error> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.dump_once(header, payload, visit).await? {
                Pass::Complete => return Ok(None),
                Pass::Stopped(value) => return Ok(Some(value)),
                Pass::Interrupted => Error::DumpInterrupted { attempts },
                Pass::Lost(loss) => Error::Unknown(loss),
            };
            if attempts >= self.limits.attempts {
                return Err(failure);
            }
            if let ControlFlow::Break(value) = visit(Dumped::StartOver) {
                return Ok(Some(value));
            }
        }
    }

    async fn dump_once<B>(
        &mut self,
        header: Header,
        payload: &(impl Emitable + ?Sized),
        visit: &mut impl FnMut(Dumped<'_>) -> ControlFlow<B>,
    ) -> Result<Pass<B>, Error> {
        self.finish_dump().await?;
        let sequence = self.send_alone(header.with(NLM_F_DUMP), payload).await?;
        self.unfinished = Some(sequence);
        self.read_dump(sequence, visit).await
    }

    /// Reads a dump that was left unfinished to its end.
    pub(crate) async fn finish_dump(&mut self) -> Result<(), Error> {
        let Some(sequence) = self.unfinished else {
            return Ok(());
        };
        let mut skip = |_: Dumped<'_>| ControlFlow::<()>::Continue(());
        let finished = self.read_dump(sequence, &mut skip).await;
        // How it ended is of no interest, as long as it did.
        match self.unfinished {
            Some(_) => finished.map(drop),
            None => Ok(()),
        }
    }

    /// Reads a dump to its end, and hands over its objects as long as they are consistent and
    /// wanted.
    async fn read_dump<B>(
        &mut self,
        sequence: u32,
        visit: &mut impl FnMut(Dumped<'_>) -> ControlFlow<B>,
    ) -> Result<Pass<B>, Error> {
        let mut reader = Reader {
            sequence,
            ..Reader::default()
        };
        let mut wake_ups = WAKE_UPS;
        let mut idle = Idle::new(self.limits.reply_timeout);
        let failure = loop {
            let wait = reader.loss.is_none().then_some(self.limits.reply_timeout);
            let seen = reader.seen;
            match self.inbox.receive(wait).await {
                Received::Datagram(datagram) => datagram.visit(|piece| reader.take(piece, visit)),
                Received::Overflow => {
                    reader.loss = Some(Loss::Overflow);
                    reader.wake_up = WakeUp::None;
                }
                Received::Empty => {
                    // The kernel continues a dump while the reader receives. When it had no memory
                    // to do so, nothing is left that could be received, unless we make it reply to
                    // something.
                    let timeout = Loss::Timeout(self.limits.reply_timeout);
                    let loss = *reader.loss.get_or_insert(timeout);
                    match reader.wake_up {
                        // The dump is over, its end was lost.
                        WakeUp::Answered => reader.end = Some(Ok(())),
                        WakeUp::None if wake_ups > 0 => {
                            wake_ups -= 1;
                            let noop = Header::new(NLMSG_NOOP);
                            reader.wake_up =
                                WakeUp::Sent(self.send_alone(noop, &Bytes(&[])).await?);
                        }
                        _ => break loss,
                    }
                }
                Received::Failed(os) => break Loss::Receive(os),
            }
            if let Some(result) = reader.end.take() {
                self.unfinished = None;
                return reader.pass(result);
            }
            if idle.is_over(reader.seen > seen) {
                break Loss::Timeout(self.limits.reply_timeout);
            }
        };
        // The visitor stopped before, so what was read is enough.
        reader.loss = Some(failure);
        match reader.stopped {
            Some(value) => Ok(Pass::Stopped(value)),
            None => Err(Error::Unknown(failure)),
        }
    }

    /// Sends one request and returns its sequence number.
    async fn send_alone(
        &mut self,
        header: Header,
        payload: &(impl Emitable + ?Sized),
    ) -> Result<u32, Error> {
        self.single.clear();
        self.single.push(header, payload);
        let (length, limit) = (self.single.byte_len(), self.inbox.info().send_limit);
        if length > limit {
            return Err(Error::TooLong { length, limit });
        }
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        let datagram = self.single.seal(0, 1, sequence, true);
        self.inbox.send(datagram).await.map_err(Error::NotSent)?;
        Ok(sequence)
    }
}

/// A message sent during a dump that has stalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum WakeUp {
    #[default]
    None,
    /// With this sequence number.
    Sent(u32),
    Answered,
}

/// The state of reading one dump.
struct Reader<B> {
    sequence: u32,
    /// How many messages of the dump came.
    seen: u64,
    interrupted: bool,
    loss: Option<Loss>,
    stopped: Option<B>,
    end: Option<Result<(), KernelError>>,
    wake_up: WakeUp,
}

impl<B> Default for Reader<B> {
    fn default() -> Self {
        Self {
            sequence: 0,
            seen: 0,
            interrupted: false,
            loss: None,
            stopped: None,
            end: None,
            wake_up: WakeUp::None,
        }
    }
}

impl<B> Reader<B> {
    fn take(&mut self, piece: Piece<'_>, visit: &mut impl FnMut(Dumped<'_>) -> ControlFlow<B>) {
        let (message, cut) = match piece {
            Piece::Whole(message) => (message, None),
            Piece::Cut(message, loss) => (message, Some(loss)),
            Piece::Broken(loss) => {
                self.loss = Some(loss);
                return;
            }
        };
        if self.wake_up == WakeUp::Sent(message.sequence) {
            self.wake_up = WakeUp::Answered;
        }
        if message.sequence != self.sequence || self.end.is_some() {
            return;
        }
        self.seen += 1;
        self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
        match message.message_type {
            NLMSG_DONE => self.end = Some(parse_done(&message)),
            NLMSG_ERROR => match parse_ack(&message) {
                // Not a refusal, so the request was no dump, and is done.
                Some(result) => self.end = Some(result),
                None => self.loss = Some(Loss::Truncated(message.payload.len())),
            },
            NLMSG_OVERRUN => self.loss = Some(Loss::Overflow),
            ..FIRST_DATA_TYPE => {}
            _ if cut.is_some() => self.loss = cut,
            _ if self.interrupted || self.loss.is_some() || self.stopped.is_some() => {}
            _ => {
                if let ControlFlow::Break(value) = visit(Dumped::Message(message)) {
                    self.stopped = Some(value);
                }
            }
        }
    }

    fn pass(self, result: Result<(), KernelError>) -> Result<Pass<B>, Error> {
        match (self.stopped, result, self.loss) {
            (Some(value), ..) => Ok(Pass::Stopped(value)),
            (None, Err(error), _) => Err(error.into()),
            (None, Ok(()), _) if self.interrupted => Ok(Pass::Interrupted),
            (None, Ok(()), Some(loss)) => Ok(Pass::Lost(loss)),
            (None, Ok(()), None) => Ok(Pass::Complete),
        }
    }
}
