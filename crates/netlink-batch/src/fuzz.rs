//! The body of the fuzz target `netlink_replies`: any bytes as the kernel's reply. `cargo test` replays
//! the seeds in `corpus/`.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::message::align;
use crate::uapi::NLMSG_HDRLEN;
use crate::{Acknowledge, Batch, Bytes, Connection, Header, Limits, Transport, errno, messages};

/// The port and the sequence number of the requests that the corpus answers.
const PORT: u32 = 0x1234;
const SEQUENCE: u32 = 7;

/// Takes `data` for the answer to a batch, a dump, and a look-up of a family, and compares the messages
/// found in it with their bytes.
pub fn replies(data: &[u8]) {
    let mut offset = 0;
    for message in messages(data).map_while(Result::ok) {
        let end = offset + NLMSG_HDRLEN + message.payload.len();
        let mut bytes = u32::try_from(end - offset)
            .unwrap_or(u32::MAX)
            .to_ne_bytes()
            .to_vec();
        bytes.extend(message.message_type.to_ne_bytes());
        bytes.extend(message.flags.to_ne_bytes());
        bytes.extend(message.sequence.to_ne_bytes());
        bytes.extend(message.port.to_ne_bytes());
        bytes.extend(message.payload);
        assert_eq!(data.get(offset..end), Some(&*bytes));
        offset = align(end);
    }

    for acknowledge in [Acknowledge::Last, Acknowledge::Each] {
        let mut batch = Batch::new();
        (0..4).for_each(|_| _ = batch.push(Header::new(16), &Bytes(&[])));
        batch.set_idempotent(acknowledge == Acknowledge::Each);
        let mut connection = connection(data, SEQUENCE - 1);
        connection.0.limits.acknowledge = acknowledge;
        let report = connection.execute_with(&mut batch, |request, _| assert!(request < 4));
        assert_eq!(
            report.iter().filter(Result::is_err).count(),
            report.failures().len()
        );
    }
    let mut objects = 0;
    let stopped = connection(data, SEQUENCE).dump(Header::dump(16), &Bytes(&[]), |_| {
        objects += 1;
        if objects < 100 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    assert!(stopped != Ok(Some(())) || objects == 100);
    // Whatever it is, it is an answer.
    _ = connection(data, SEQUENCE).family("nlctrl");
}

fn connection(data: &[u8], next_sequence: u32) -> Connection<Replay<'_>> {
    let limits = Limits::default().reply_timeout(Duration::ZERO).attempts(2);
    let mut connection = Connection::new(Replay { data, call: 0 }).with_limits(limits);
    connection.0.next_sequence = next_sequence;
    connection
}

/// Receives the bytes whole, cut off, again from the middle, and in pieces, and overflows in
/// between.
struct Replay<'a> {
    data: &'a [u8],
    call: u32,
}

impl Transport for Replay<'_> {
    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Option<Instant>) -> io::Result<usize> {
        self.call += 1;
        let (bytes, claimed) = match self.call {
            1 | 5 => (self.data, self.data.len()),
            2 => return Err(io::Error::from_raw_os_error(errno::ENOBUFS)),
            3 => (self.data.get(self.data.len() / 2..).unwrap_or_default(), 0),
            // Longer than the buffer took.
            4 => (self.data, buffer.len() + 1),
            _ => return Err(io::ErrorKind::WouldBlock.into()),
        };
        buffer
            .iter_mut()
            .zip(bytes)
            .for_each(|(space, byte)| *space = *byte);
        Ok(claimed.max(bytes.len()))
    }

    fn port(&self) -> u32 {
        PORT
    }

    fn protocol(&self) -> u16 {
        crate::uapi::NETLINK_NETFILTER
    }

    fn send_limit(&self) -> usize {
        1 << 16
    }

    fn receive_limit(&self) -> usize {
        1 << 16
    }
}

#[cfg(test)]
mod tests {
    use netlink_wire::seeds;
    use proptest::prelude::*;

    use super::replies;

    #[test]
    fn seeds_are_read_whole_and_damaged() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
        let seeds = seeds::replay(folder, 200, replies).unwrap();
        assert!(seeds > 10);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            replies(&bytes);
        }
    }
}
