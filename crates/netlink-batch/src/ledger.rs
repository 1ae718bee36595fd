//! Which request has which result: the part of executing a batch that does no input or output.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::ack::{parse_ack, parse_done};
use crate::error::{Error, KernelError, Loss};
use crate::inbox::{Datagram, Piece};
use crate::message::{FIRST_DATA_TYPE, Message};
use crate::uapi::{NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN};
use crate::{Report, errno};

/// What is known of a request. Where it is `Lost`, `Cut` or `Refused`, `failures` has the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not sent, or not sendable.
    Unsent,
    /// Sent, no result yet.
    Sent,
    /// Succeeded, by the acknowledgement of the last request of its window.
    Implied,
    /// Succeeded, by its own acknowledgement.
    Acknowledged,
    /// The acknowledgement is lost.
    Lost,
    /// Data that the kernel replied with is lost.
    Cut,
    /// The kernel answered with an error.
    Refused,
}

/// Requests that went out in one datagram, the first with this sequence number.
#[derive(Debug)]
struct Window {
    sequence: u32,
    requests: Range<usize>,
}

impl Window {
    fn request(&self, sequence: u32) -> Option<usize> {
        let offset = usize::try_from(sequence.wrapping_sub(self.sequence)).ok()?;
        self.requests.clone().nth(offset)
    }
}

/// The results of a batch while it is executed.
#[derive(Debug)]
pub(crate) struct Ledger {
    states: Vec<State>,
    failures: BTreeMap<usize, Error>,
    windows: Vec<Window>,
    /// How many requests are in state `Sent`.
    open: usize,
    /// How many messages there were for these requests.
    seen: u64,
}

impl Ledger {
    pub(crate) fn new(requests: usize) -> Self {
        Self {
            states: vec![State::Unsent; requests],
            failures: BTreeMap::new(),
            windows: Vec::new(),
            open: 0,
            seen: 0,
        }
    }

    pub(crate) fn into_report(self) -> Report {
        Report::new(self.states.len(), self.failures)
    }

    /// A window was sent; the one before it is closed.
    pub(crate) fn sent(&mut self, sequence: u32, requests: Range<usize>) {
        self.states_mut(requests.clone()).fill(State::Sent);
        self.open = requests.len();
        self.windows.push(Window { sequence, requests });
    }

    /// A request cannot be sent.
    pub(crate) fn not_sent(&mut self, request: usize, error: Error) {
        self.failures.insert(request, error);
    }

    /// How many requests of the last window have no result.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// How many messages there were for any of the requests.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether the request has no result.
    pub(crate) fn is_open(&self, request: usize) -> bool {
        self.states.get(request) == Some(&State::Sent)
    }

    /// Whether the request is refused for lack of permission.
    pub(crate) fn is_forbidden(&self, request: usize) -> bool {
        self.failures.get(&request).and_then(Error::code) == Some(errno::EPERM)
    }

    /// Enters the results in a datagram; data goes to `on_reply`. Returns a loss that may concern any
    /// request.
    pub(crate) fn take(
        &mut self,
        datagram: Datagram<'_>,
        on_reply: &mut impl FnMut(usize, Message<'_>),
    ) -> Option<Loss> {
        let mut loss = None;
        datagram.visit(|piece| match piece {
            Piece::Whole(message) => loss = self.enter(&message, None, on_reply).or(loss),
            Piece::Cut(message, cut) => loss = self.enter(&message, Some(cut), on_reply).or(loss),
            Piece::Broken(broken) => loss = Some(broken),
        });
        loss
    }

    fn enter(
        &mut self,
        message: &Message<'_>,
        cut: Option<Loss>,
        on_reply: &mut impl FnMut(usize, Message<'_>),
    ) -> Option<Loss> {
        // Not found: a late reply to something earlier.
        let request = self.find(message.sequence)?;
        self.seen += 1;
        let result = match (message.message_type, cut) {
            (NLMSG_ERROR, _) => match parse_ack(message) {
                Some(result) => result,
                None => {
                    let available = message.payload.len();
                    return Some(cut.unwrap_or(Loss::ShortAcknowledgement(available)));
                }
            },
            (NLMSG_DONE, _) => parse_done(message),
            (NLMSG_OVERRUN, _) => return Some(Loss::Overflow),
            (..FIRST_DATA_TYPE, _) => return None,
            (_, Some(loss)) => {
                self.settle(request, State::Cut, Some(Error::Unknown(loss)));
                return None;
            }
            (_, None) => {
                on_reply(request, *message);
                return None;
            }
        };
        match result {
            Ok(()) => self.settle(request, State::Acknowledged, None),
            Err(error) => self.settle(request, State::Refused, Some(error.into())),
        }
        None
    }

    /// The request of the sequence number, unless it has been sent again since.
    fn find(&self, sequence: u32) -> Option<usize> {
        let mut later = self.windows.iter().rev();
        let request = later.by_ref().find_map(|window| window.request(sequence))?;
        let newest = self
            .windows
            .iter()
            .rev()
            .find(|window| window.requests.contains(&request))?;
        newest.request(sequence)
    }

    /// Enters a result. A failure outweighs a success, whichever came first.
    fn settle(&mut self, request: usize, new: State, failure: Option<Error>) {
        let Some(state) = self.states.get_mut(request) else {
            return;
        };
        let rank = |state| match state {
            State::Unsent | State::Sent => 0,
            State::Lost => 1,
            State::Implied => 2,
            State::Acknowledged => 3,
            State::Cut => 4,
            State::Refused => 5,
        };
        if rank(new) <= rank(*state) {
            return;
        }
        if *state == State::Sent {
            self.open = self.open.saturating_sub(1);
        }
        *state = new;
        match failure {
            Some(error) => self.failures.insert(request, error),
            None => self.failures.remove(&request),
        };
    }

    /// Ends a window: what is still open succeeded, unless something was lost.
    pub(crate) fn close(&mut self, requests: Range<usize>, loss: Option<Loss>) {
        if self.open == 0 {
            return;
        }
        for request in requests {
            if self.is_open(request) {
                match loss {
                    None => self.settle(request, State::Implied, None),
                    Some(loss) => self.settle(request, State::Lost, Some(Error::Unknown(loss))),
                }
            }
        }
    }

    /// Ends a window whose open requests were refused like its first.
    pub(crate) fn forbid(&mut self, requests: Range<usize>) {
        for request in requests {
            if self.is_open(request) {
                let error = KernelError::new(errno::EPERM).into();
                self.settle(request, State::Refused, Some(error));
            }
        }
    }

    /// Takes back every success that rests on no acknowledgement of its own.
    pub(crate) fn doubt(&mut self, loss: Loss) {
        for (request, state) in self.states.iter_mut().enumerate() {
            if *state == State::Implied {
                *state = State::Lost;
                self.failures.insert(request, Error::Unknown(loss));
            }
        }
    }

    /// The requests whose answer is lost, in runs; they are as if never sent from now on.
    pub(crate) fn forget_lost(&mut self) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (request, state) in self.states.iter_mut().enumerate() {
            if matches!(state, State::Lost | State::Cut) {
                *state = State::Unsent;
                self.failures.remove(&request);
                match runs.last_mut() {
                    Some(run) if run.end == request => run.end += 1,
                    _ => runs.push(request..request + 1),
                }
            }
        }
        runs
    }

    fn states_mut(&mut self, requests: Range<usize>) -> &mut [State] {
        self.states.get_mut(requests).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledge(ledger: &mut Ledger, sequence: u32, code: i32) {
        let payload = (-code).to_ne_bytes();
        let message = Message {
            message_type: NLMSG_ERROR,
            flags: 0,
            sequence,
            port: 0,
            payload: &payload,
        };
        assert_eq!(ledger.enter(&message, None, &mut |_, _| {}), None);
    }

    #[test]
    fn sequence_numbers_wrap_around() {
        let mut ledger = Ledger::new(4);
        ledger.sent(u32::MAX - 1, 0..4);
        acknowledge(&mut ledger, u32::MAX, errno::EEXIST);
        acknowledge(&mut ledger, 1, 0);
        assert!(!ledger.is_open(3) && ledger.is_open(2));
        ledger.close(0..4, None);
        let report = ledger.into_report();
        assert_eq!(
            report
                .failures()
                .map(|(request, _)| request)
                .collect::<Vec<_>>(),
            [1]
        );
    }

    #[test]
    fn only_the_newest_sending_counts() {
        let mut ledger = Ledger::new(2);
        ledger.sent(10, 0..2);
        ledger.close(0..2, Some(Loss::Overflow));
        assert_eq!(ledger.forget_lost().first(), Some(&(0..2)));
        ledger.sent(20, 0..2);
        acknowledge(&mut ledger, 20, 0);
        acknowledge(&mut ledger, 21, 0);
        // An error of the first sending, late: the second succeeded.
        acknowledge(&mut ledger, 10, errno::ENOENT);
        assert!(ledger.into_report().is_success());
    }
}
