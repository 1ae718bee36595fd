//! Executing a batch: its requests go out in windows, each a datagram, and every reply finds its
//! request.
//!
//! How the kernel behaves ([`netlink_rcv_skb`]): it carries out a datagram's requests one by one
//! within the `sendmsg` call. Every request that fails is answered by an error, every other one
//! only if it asked for an acknowledgement. All answers wait in the receive buffer, in order, when
//! the call returns. When that buffer overflows, answers are dropped and the next receiving call
//! returns `ENOBUFS`, before any other answer. So an acknowledgement for the last request of
//! a window, without an `ENOBUFS`, proves that all others of the window succeeded that were not
//! answered by an error.
//!
//! [`netlink_rcv_skb`]: https://github.com/torvalds/linux/blob/v6.12/net/netlink/af_netlink.c

use std::ops::Range;

use crate::error::{Error, Loss, Os};
use crate::inbox::{Idle, Inbox, Received};
use crate::ledger::Ledger;
use crate::limits::{Acknowledge, Limits};
use crate::message::Message;
use crate::uapi::NETLINK_NETFILTER;
use crate::{AsyncTransport, Batch, Report, errno};

/// Most requests of a window that is sent again.
const RESEND_WINDOW: usize = 64;

/// After so many windows without an answer the rest of a batch is not tried.
const MAX_TIMEOUTS: u32 = 2;

/// The execution of one batch.
pub(crate) struct Run<'a, T, F> {
    pub(crate) inbox: &'a mut Inbox<T>,
    pub(crate) limits: &'a Limits,
    pub(crate) next_sequence: &'a mut u32,
    pub(crate) batch: &'a mut Batch,
    pub(crate) on_reply: F,
    ledger: Ledger,
    /// Most requests of a window.
    window: usize,
    patience: Patience,
}

/// How things went with the kernel so far, in this batch and those that belong together with it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Patience {
    timeouts: u32,
    /// Why nothing more is sent.
    pub(crate) stop: Option<Os>,
}

impl<'a, T: AsyncTransport, F: FnMut(usize, Message<'_>)> Run<'a, T, F> {
    pub(crate) fn new(
        inbox: &'a mut Inbox<T>,
        limits: &'a Limits,
        next_sequence: &'a mut u32,
        batch: &'a mut Batch,
        on_reply: F,
        patience: Patience,
    ) -> Self {
        let (ledger, window) = (Ledger::new(batch.len()), limits.window.max(1));
        Self {
            inbox,
            limits,
            next_sequence,
            batch,
            on_reply,
            ledger,
            window,
            patience,
        }
    }

    pub(crate) async fn run(mut self) -> (Report, Patience) {
        let each = self.limits.acknowledge == Acknowledge::Each;
        self.send(0..self.batch.len(), each).await;
        if !each && self.batch.len() > 1 {
            self.read_late_replies().await;
        }
        for _ in 1..self.limits.attempts {
            if !self.batch.idempotent || self.patience.stop.is_some() {
                break;
            }
            self.window = self.window.min(RESEND_WINDOW);
            let lost = self.ledger.forget_lost();
            if lost.is_empty() {
                break;
            }
            for run in lost {
                self.send(run, true).await;
            }
        }
        (self.ledger.into_report(), self.patience)
    }

    /// Sends the requests in as many windows as it takes, and reads the replies after each.
    async fn send(&mut self, requests: Range<usize>, each: bool) {
        let mut first = requests.start;
        while first < requests.end {
            if let Some(os) = self.patience.stop {
                (first..requests.end)
                    .for_each(|request| self.ledger.not_sent(request, Error::NotSent(os)));
                return;
            }
            let end = self.window_end(first, requests.end);
            if end == first {
                let (length, limit) = (self.batch.length(first), self.inbox.info().send_limit);
                self.ledger
                    .not_sent(first, Error::TooLong { length, limit });
                first += 1;
                continue;
            }
            let sequence = *self.next_sequence;
            let datagram = self.batch.seal(first, end, sequence, each);
            match self.inbox.send(datagram).await {
                Ok(()) => {
                    *self.next_sequence =
                        sequence.wrapping_add(u32::try_from(end - first).unwrap_or(0));
                    self.ledger.sent(sequence, first..end);
                    let loss = self.read_window(&(first..end), each).await;
                    self.ledger.close(first..end, loss);
                    first = end;
                }
                // No memory for so long a datagram, or a limit that we do not know of.
                Err(Os(errno::ENOBUFS | errno::EMSGSIZE)) if end - first > 1 => {
                    self.window = (end - first) / 2;
                }
                Err(os) => {
                    self.ledger.not_sent(first, Error::NotSent(os));
                    first += 1;
                    if os.0 != errno::EMSGSIZE {
                        self.patience.stop = Some(os);
                    }
                }
            }
        }
    }

    /// How far a window from `first` can go such that it can be sent and all its answers have room
    /// in the receive buffer, even if every request fails. `first` if not even one request can be
    /// sent.
    fn window_end(&self, first: usize, end: usize) -> usize {
        let info = self.inbox.info();
        let (mut sendable, mut room) = (info.send_limit, info.receive_limit);
        let mut next = first;
        while next < end && next - first < self.window {
            let Some(sendable_then) = sendable.checked_sub(self.batch.length(next)) else {
                break;
            };
            let cost =
                reply_cost(self.batch.payload_length(next)).saturating_add(self.batch.reply_room);
            // A single request is sent whatever its reply takes.
            if cost > room && next > first {
                break;
            }
            sendable = sendable_then;
            room = room.saturating_sub(cost);
            next += 1;
        }
        next
    }

    /// Reads until all requests of the window, the last one sent, have their result. Returns what
    /// was lost meanwhile.
    async fn read_window(&mut self, requests: &Range<usize>, each: bool) -> Option<Loss> {
        let last = requests.end - 1;
        let mut idle = Idle::new(self.limits.reply_timeout);
        let mut loss = None;
        while self.ledger.is_open(last) || (each && self.ledger.open() > 0) {
            let refused_whole = self.is_refused_whole(requests);
            // What was dropped does not come.
            let wait = (loss.is_none() && !refused_whole).then_some(self.limits.reply_timeout);
            let seen = self.ledger.seen();
            match self.inbox.receive(wait).await {
                Received::Datagram(datagram) => {
                    loss = self.ledger.take(datagram, &mut self.on_reply).or(loss);
                }
                Received::Overflow => loss = Some(Loss::Overflow),
                Received::Empty if loss.is_some() => break,
                Received::Empty if refused_whole => {
                    self.ledger.forbid(requests.clone());
                    break;
                }
                Received::Empty => return Some(self.time_out()),
                Received::Failed(os) => {
                    self.patience.stop = Some(os);
                    return Some(Loss::Receive(os));
                }
            }
            if idle.is_over(self.ledger.seen() > seen) {
                return Some(self.time_out());
            }
        }
        loss
    }

    fn time_out(&mut self) -> Loss {
        self.patience.timeouts += 1;
        if self.patience.timeouts >= MAX_TIMEOUTS {
            self.patience.stop = Some(Os(errno::ETIMEDOUT));
        }
        Loss::Timeout(self.limits.reply_timeout)
    }

    /// Whether only the window's first request has an answer, and that forbids it. To a caller
    /// without `CAP_NET_ADMIN` nfnetlink answers once per datagram and carries out none of it
    /// ([`nfnetlink_rcv`](https://github.com/torvalds/linux/blob/v6.12/net/netfilter/nfnetlink.c)).
    fn is_refused_whole(&self, requests: &Range<usize>) -> bool {
        self.ledger.open() + 1 == requests.len()
            && requests.len() > 1
            && self.inbox.info().protocol == NETLINK_NETFILTER
            && self.ledger.is_forbidden(requests.start)
    }

    /// Errors that came after the acknowledgement of their window's last request. No kernel sends
    /// them out of order.
    async fn read_late_replies(&mut self) {
        for _ in 0..self.batch.len().saturating_mul(2) {
            let loss = match self.inbox.receive(None).await {
                Received::Datagram(datagram) => self.ledger.take(datagram, &mut self.on_reply),
                Received::Overflow => Some(Loss::Overflow),
                Received::Empty | Received::Failed(_) => return,
            };
            if let Some(loss) = loss {
                self.ledger.doubt(loss);
            }
        }
    }
}

/// The most that one error reply takes of the receive buffer (`skb->truesize`): the data behind 64
/// bytes of headroom, rounded up to a power of two as `kmalloc` does, and the structures `sk_buff`
/// and `skb_shared_info`.
fn reply_cost(request_payload: usize) -> usize {
    /// `struct skb_shared_info`, at the end of the data, with what an extended acknowledgement
    /// usually has to say.
    const SHARED_INFO_AND_TEXT: usize = 320 + 160;
    const SK_BUFF: usize = 256;
    const ERROR: usize = 36;
    let data = request_payload.saturating_add(ERROR + SHARED_INFO_AND_TEXT);
    data.checked_next_power_of_two()
        .unwrap_or(usize::MAX)
        .saturating_add(SK_BUFF)
}
