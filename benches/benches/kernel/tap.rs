//! A socket that counts its system calls and keeps what was sent.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use netlink_batch::{Socket, SocketOptions, Transport};

/// What went through a socket.
#[derive(Default)]
pub(crate) struct Log {
    /// Datagrams, in order.
    pub(crate) sent: Vec<Vec<u8>>,
    /// System calls for sending and receiving.
    pub(crate) calls: u32,
}

/// The socket.
pub(crate) struct Tap {
    socket: Socket,
    log: Rc<RefCell<Log>>,
}

impl Tap {
    /// Over a new socket of this protocol, with its log.
    pub(crate) fn open(protocol: u16) -> (Self, Rc<RefCell<Log>>) {
        let socket = Socket::open(protocol, &SocketOptions::default()).expect("a socket");
        let log = Rc::default();
        let tap = Self {
            socket,
            log: Rc::clone(&log),
        };
        (tap, log)
    }
}

impl Transport for Tap {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let mut log = self.log.borrow_mut();
        log.sent.push(datagram.to_vec());
        log.calls += 1;
        self.socket.send(datagram)
    }

    fn receive(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        // To wait takes calls that are not counted; it is not needed, for the kernel answers at once.
        assert!(deadline.is_none(), "the kernel's answer was not there");
        self.log.borrow_mut().calls += 1;
        self.socket.receive(buffer, deadline)
    }

    fn port(&self) -> u32 {
        self.socket.port()
    }

    fn protocol(&self) -> u16 {
        self.socket.protocol()
    }

    fn send_limit(&self) -> usize {
        self.socket.send_limit()
    }

    fn receive_limit(&self) -> usize {
        self.socket.receive_limit()
    }
}
