//! Receiving: one buffer, its growth, waiting, and what can come instead of a datagram.

use std::future::poll_fn;
use std::io;
use std::time::{Duration, Instant};

use crate::error::{Loss, Os};
use crate::message::{Message, cut_message, messages};
use crate::{AsyncTransport, SocketInfo, Wait, errno};

/// The kernel fills dumps into datagrams of up to 32 KiB, if the reader's buffer takes as much, and
/// makes room for its longest single object beyond that.
const BUFFER: usize = 64 << 10;

/// How often in a row a call is repeated that a signal interrupted.
const INTERRUPTIONS: u32 = 1000;

/// What receiving came to.
pub(crate) enum Received<'a> {
    Datagram(Datagram<'a>),
    /// Nothing there.
    Empty,
    /// The kernel dropped replies.
    Overflow,
    Failed(Os),
}

/// A datagram, or as much of it as the buffer took.
#[derive(Clone, Copy)]
pub(crate) struct Datagram<'a> {
    bytes: &'a [u8],
    /// Its true length.
    length: usize,
    port: u32,
}

/// A piece of a datagram.
#[derive(Clone, Copy)]
pub(crate) enum Piece<'a> {
    /// A whole message.
    Whole(Message<'a>),
    /// The head of a message whose rest was cut off.
    Cut(Message<'a>, Loss),
    /// Bytes that are not a message, or too few of one.
    Broken(Loss),
}

impl<'a> Datagram<'a> {
    /// Hands over its pieces in order, without the messages meant for another port.
    pub(crate) fn visit(self, mut visit: impl FnMut(Piece<'a>)) {
        let is_cut = self.length > self.bytes.len();
        // Port 0: the kernel addressed nobody in particular.
        let is_ours = |message: &Message<'_>| message.port == 0 || message.port == self.port;
        for item in messages(self.bytes) {
            match item {
                Ok(message) if is_ours(&message) => visit(Piece::Whole(message)),
                Ok(_) => {}
                Err(malformed) if !is_cut => {
                    return visit(Piece::Broken(Loss::Malformed(malformed)));
                }
                Err(malformed) => {
                    let loss = Loss::Truncated(self.length);
                    return match self.bytes.get(malformed.offset..).and_then(cut_message) {
                        Some(head) if is_ours(&head) => visit(Piece::Cut(head, loss)),
                        Some(_) => {}
                        None => visit(Piece::Broken(loss)),
                    };
                }
            }
        }
        if is_cut {
            visit(Piece::Broken(Loss::Truncated(self.length)));
        }
    }
}

/// A transport with its receive buffer.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    pub(crate) transport: T,
    buffer: Vec<u8>,
    /// Length of the longest datagram that did not fit.
    wanted: usize,
}

impl<T: AsyncTransport> Inbox<T> {
    pub(crate) fn new(transport: T) -> Self {
        Self {
            transport,
            buffer: vec![0; BUFFER],
            wanted: 0,
        }
    }

    /// Receives a datagram: one that is there, or else one that comes within the time.
    pub(crate) async fn receive(&mut self, wait: Option<Duration>) -> Received<'_> {
        if self.wanted > self.buffer.len() {
            // Not even a cut one may take all memory.
            self.buffer
                .resize(self.wanted.next_multiple_of(4096).min(1 << 30), 0);
        }
        let mut until = Wait::No;
        let mut interruptions = 0;
        let length = loop {
            let received = poll_fn(|context| {
                self.transport
                    .poll_receive(context, &mut self.buffer, until)
            });
            match received
                .await
                .map_err(|error| (error.kind(), Os::from(error)))
            {
                Ok(length) => break length,
                Err((io::ErrorKind::WouldBlock, _)) => match (wait, until) {
                    // The clock is read only now: after sending, the kernel's replies are there
                    // already.
                    (Some(wait), Wait::No) => until = Wait::within(wait),
                    _ => return Received::Empty,
                },
                Err((_, Os(errno::EINTR))) if interruptions < INTERRUPTIONS => interruptions += 1,
                Err((_, Os(errno::ENOBUFS))) => return Received::Overflow,
                Err((_, os)) => return Received::Failed(os),
            }
        };
        self.wanted = length;
        let bytes = self.buffer.get(..length).unwrap_or(&self.buffer);
        Received::Datagram(Datagram {
            bytes,
            length,
            port: self.info().port,
        })
    }

    /// Facts about the socket.
    pub(crate) fn info(&self) -> SocketInfo {
        self.transport.socket_info()
    }

    /// Sends a datagram, again if a signal interrupted it.
    pub(crate) async fn send(&mut self, datagram: &[u8]) -> Result<(), Os> {
        let mut interruptions = 0;
        loop {
            let sent = poll_fn(|context| self.transport.poll_send(context, datagram));
            match sent.await.map_err(Os::from) {
                Err(Os(errno::EINTR)) if interruptions < INTERRUPTIONS => interruptions += 1,
                result => return result,
            }
        }
    }
}

/// Bounds how long replies to something else can keep a reader waiting.
pub(crate) struct Idle {
    since: Option<Instant>,
    limit: Duration,
}

impl Idle {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { since: None, limit }
    }

    /// Notes whether what was received is of use. `true` if nothing of use has come for too long.
    pub(crate) fn is_over(&mut self, useful: bool) -> bool {
        if useful {
            self.since = None;
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() > self.limit
    }
}
