//! A kernel that is a closure, to test clients with answers that a real kernel cannot be made to give.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use crate::uapi::{NLM_F_ACK, NLM_F_CAPPED, NLM_F_MULTI, NLMSG_DONE, NLMSG_ERROR, NLMSG_HDRLEN};
use crate::{Message, Transport, errno, messages};

/// A transport that calls a closure for each request and delivers the replies it gives.
///
/// ```
/// use netlink_batch::{Batch, Bytes, Connection, Header, errno, uapi};
/// use netlink_batch::scripted::Scripted;
///
/// let kernel = Scripted::new(uapi::NETLINK_ROUTE, |request, replies| {
///     replies.result(if request.message_type == 16 { 0 } else { errno::EPERM });
/// });
/// let mut batch = Batch::new();
/// batch.push(Header::new(16), &Bytes(&[]));
/// batch.push(Header::new(17), &Bytes(&[]));
/// let report = Connection::new(kernel).execute(&mut batch);
/// assert!(report.result(0).is_ok());
/// assert!(report.result(1).is_err());
/// ```
#[derive(Debug)]
pub struct Scripted<F> {
    answer: F,
    protocol: u16,
    inbox: VecDeque<Option<Vec<u8>>>,
}

impl<F: FnMut(&Message<'_>, &mut Replies<'_>)> Scripted<F> {
    /// A kernel for the netlink protocol `protocol` ([`uapi::NETLINK_ROUTE`](crate::uapi::NETLINK_ROUTE)
    /// for one) that gives the replies of `answer`.
    pub fn new(protocol: u16, answer: F) -> Self {
        Self {
            answer,
            protocol,
            inbox: VecDeque::new(),
        }
    }
}

/// The replies to one request, in the order they are received. Each is a datagram of its own.
#[derive(Debug)]
pub struct Replies<'a> {
    inbox: &'a mut VecDeque<Option<Vec<u8>>>,
    sequence: u32,
    acknowledge: bool,
}

impl Replies<'_> {
    /// Adds a message with this payload. Type and flags are in host byte order.
    pub fn message(&mut self, message_type: u16, flags: u16, payload: &[u8]) {
        let length = u32::try_from(NLMSG_HDRLEN + payload.len()).unwrap_or(u32::MAX);
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(message_type.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(self.sequence.to_ne_bytes());
        // The port is the one of `Transport::port` below.
        bytes.extend([0; 4]);
        bytes.extend(payload);
        self.inbox.push_back(Some(bytes));
    }

    /// Adds the result of the request: an error number, or 0 for success. As from the kernel, a success is
    /// only reported if the request asked for it ([`NLM_F_ACK`]).
    pub fn result(&mut self, code: i32) {
        if code != 0 || self.acknowledge {
            let payload = [&code.wrapping_neg().to_ne_bytes()[..], &[0; NLMSG_HDRLEN]].concat();
            self.message(NLMSG_ERROR, NLM_F_CAPPED, &payload);
        }
    }

    /// Adds the end of a dump. `flags` beside [`NLM_F_MULTI`] are those of the whole dump, such as
    /// [`NLM_F_DUMP_INTR`](crate::uapi::NLM_F_DUMP_INTR).
    pub fn done(&mut self, flags: u16) {
        self.message(NLMSG_DONE, NLM_F_MULTI | flags, &[0; 4]);
    }

    /// Reports at this place that the receive buffer overflowed (`ENOBUFS`).
    pub fn overflow(&mut self) {
        self.inbox.push_back(None);
    }
}

impl<F: FnMut(&Message<'_>, &mut Replies<'_>)> Transport for Scripted<F> {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        for request in messages(datagram) {
            let request = request.map_err(io::Error::other)?;
            let mut replies = Replies {
                inbox: &mut self.inbox,
                sequence: request.sequence,
                acknowledge: request.flags & NLM_F_ACK != 0,
            };
            (self.answer)(&request, &mut replies);
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _deadline: Option<Instant>) -> io::Result<usize> {
        let datagram = self.inbox.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let datagram = datagram.ok_or_else(|| io::Error::from_raw_os_error(errno::ENOBUFS))?;
        buffer
            .iter_mut()
            .zip(&datagram)
            .for_each(|(space, byte)| *space = *byte);
        Ok(datagram.len())
    }

    fn port(&self) -> u32 {
        0
    }

    fn protocol(&self) -> u16 {
        self.protocol
    }

    fn send_limit(&self) -> usize {
        1 << 17
    }

    fn receive_limit(&self) -> usize {
        1 << 20
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::uapi::{NETLINK_ROUTE, NLMSG_OVERRUN};
    use crate::{Batch, Bytes, Connection, Error, Header, Loss};

    /// No kernel of today sends `NLMSG_OVERRUN`. One that did would have lost replies.
    #[test]
    fn an_overrun_is_a_loss() {
        let kernel = |_: &Message<'_>, replies: &mut Replies<'_>| {
            replies.message(NLMSG_OVERRUN, 0, &[]);
        };
        let lost = Err(Error::Unknown(Loss::Overflow));
        let mut connection = Connection::new(Scripted::new(NETLINK_ROUTE, kernel));
        let mut batch = Batch::new();
        batch.push(Header::new(16), &Bytes(&[]));
        assert_eq!(connection.execute(&mut batch).into_result(), lost);

        let visit = |_: crate::Dumped<'_>| ControlFlow::<()>::Continue(());
        let result = connection.dump(Header::dump(16), &Bytes(&[]), visit);
        assert_eq!(result.map(|_| ()), lost);
    }
}
