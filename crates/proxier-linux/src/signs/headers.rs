//! The headers of all sets, in two system calls.
//!
//! The kernel sends each set in a datagram of its own, and makes the next one as one is received. So it is asked for many at once.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};

use ipset_netlink::message::{Detail, IpsetMessage, Reply, Request, SetInfo};
use netlink_batch::{Socket, SocketOptions, Transport, messages, uapi};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg};

/// How many datagrams are received in one call.
const AT_ONCE: usize = 64;
/// How long one may be. A header has some 150 bytes.
const DATAGRAM: usize = 2048;
/// Of more sets than these nothing is looked at.
const MOST: usize = 4096;

/// A socket to ask for headers over, which is used for nothing else.
#[derive(Debug)]
pub(super) struct Headers {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Headers {
    /// In the network namespace of the calling thread.
    pub(super) fn open() -> Option<Self> {
        let options = SocketOptions::default().buffers(4096, AT_ONCE * DATAGRAM * 2);
        Some(Self {
            socket: Socket::open(uapi::NETLINK_NETFILTER, &options).ok()?,
            sequence: 0,
            buffer: vec![0; AT_ONCE * DATAGRAM],
        })
    }

    /// Hands over the header of each set. `None` if not all came: this socket is of no use any more then.
    pub(super) fn visit(&mut self, mut visit: impl FnMut(SetInfo)) -> Option<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = request(self.sequence);
        self.socket.send(&request).ok()?;
        let mut interruptions = 0;
        for _ in 0..MOST / AT_ONCE {
            match self.receive(&mut visit) {
                Ok(true) => return Some(()),
                Ok(false) => {}
                Err(Some(Errno::EINTR)) if interruptions < 10 => interruptions += 1,
                Err(_) => return None,
            }
        }
        None
    }

    /// Receives what is there. Whether that was the end.
    fn receive(&mut self, visit: &mut impl FnMut(SetInfo)) -> Result<bool, Option<Errno>> {
        let mut slices: Vec<_> = self
            .buffer
            .chunks_exact_mut(DATAGRAM)
            .map(|datagram| [IoSliceMut::new(datagram)])
            .collect();
        let mut headers = MultiHeaders::<()>::preallocate(slices.len(), None);
        let received = recvmmsg(
            self.socket.as_fd().as_raw_fd(),
            &mut headers,
            slices.iter_mut(),
            // With MSG_TRUNC the kernel returns the true length.
            MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC,
            None,
        )?;
        let lengths: Vec<usize> = received.map(|datagram| datagram.bytes).collect();
        for (datagram, length) in self.buffer.chunks_exact(DATAGRAM).zip(lengths) {
            // One that is longer was cut off.
            let datagram = datagram.get(..length).ok_or(None)?;
            for message in messages(datagram) {
                let message = message.map_err(|_| None)?;
                if message.sequence != self.sequence {
                    continue;
                }
                match message.message_type {
                    uapi::NLMSG_DONE => return Ok(true),
                    uapi::NLMSG_ERROR => return Err(None),
                    other => {
                        if let Ok(Reply::Set(part)) = Reply::parse(other, message.payload) {
                            part.info.into_iter().for_each(|info| visit(*info));
                        }
                    }
                }
            }
        }
        Ok(false)
    }
}

fn request(sequence: u32) -> Vec<u8> {
    let list = Request::List {
        set: None,
        detail: Detail::Header,
    };
    let mut message = NetlinkMessage::from(IpsetMessage::Request {
        // What is asked for is the same in all versions of the protocol.
        protocol: ipset_netlink::uapi::IPSET_PROTOCOL_MIN,
        request: Box::new(list),
    });
    message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.header.sequence_number = sequence;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}
