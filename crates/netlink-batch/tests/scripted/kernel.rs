//! A kernel in miniature behind the socket: it carries out requests as `netlink_rcv_skb` does, and
//! a script decides what happens to its replies.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use netlink_batch::{
    Batch, Bytes, Connection, Header, Limits, Message, Transport, errno, messages, uapi,
};

/// The port of the scripted socket.
pub(crate) const PORT: u32 = 4711;
/// Message type of a request whose payload decides the answer: see [`request`].
pub(crate) const ASK: u16 = 100;
/// Message type of a dump: the payload is the number of the dump in [`Kernel::dumps`].
pub(crate) const DUMP: u16 = 101;
/// Message type of data.
pub(crate) const DATA: u16 = 200;

/// What happens to the replies to one datagram, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The reply is lost without an error, which kernels do not do.
    LoseSilently(usize),
    /// The receive buffer is full from this reply on; the next receiving call returns `ENOBUFS`.
    Overflow(usize),
    /// The two replies swap places.
    Swap(usize, usize),
    /// The reply comes twice.
    Repeat(usize),
    /// A reply to somebody else's request, or to an earlier one.
    Stray { sequence: u32, port: u32 },
    /// Bytes that are not a message.
    Garbage(Vec<u8>),
    /// A signal comes while this is sent.
    InterruptedSend,
    /// A signal comes while the first reply is received.
    InterruptedReceive,
    /// The datagram cannot be sent.
    SendFails(i32),
    /// The reply cannot be received.
    ReceiveFails(i32),
}

/// A dump: what its datagrams hold, as message payloads, and how it ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dump {
    pub(crate) datagrams: Vec<Datagram>,
    /// The error number in `NLMSG_DONE`, positive.
    pub(crate) result: i32,
}

#[derive(Debug, Clone)]
pub(crate) enum Datagram {
    Objects(Vec<u32>),
    /// The same with `NLM_F_DUMP_INTR`.
    Interrupted(Vec<u32>),
    /// No memory to go on: the dump stalls until something is received.
    NoMemory,
    /// The kernel dropped it.
    Lost,
    /// The kernel dropped it, and it was the end.
    LostEnd,
}

#[derive(Debug)]
enum Item {
    Reply(Vec<u8>),
    Error(i32),
}

#[derive(Debug, Default)]
pub(crate) struct Kernel {
    /// What happens to the replies to the n-th datagram sent.
    pub(crate) script: BTreeMap<usize, Vec<Fault>>,
    /// The dumps it gives, in order.
    pub(crate) dumps: VecDeque<Dump>,
    pub(crate) protocol: u16,
    pub(crate) send_limit: Option<usize>,
    pub(crate) receive_limit: Option<usize>,
    /// It lacks a permission, which nfnetlink notices once per datagram.
    pub(crate) forbids: bool,
    /// How often each request (by its id) was carried out.
    pub(crate) carried_out: BTreeMap<u32, u32>,
    /// How many requests each datagram had.
    pub(crate) datagrams: Vec<usize>,
    /// Whether a deadline was waited for.
    pub(crate) waited: bool,
    queue: VecDeque<Item>,
    running: Option<(u32, VecDeque<Datagram>, i32)>,
    attempts: BTreeMap<usize, usize>,
}

/// A request: the error it is to be answered with (0 for success), and its data, as many messages
/// of so many bytes.
pub(crate) fn request(id: u32, error: i32, data: u32, length: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (space, value) in bytes
        .chunks_exact_mut(4)
        .zip([id, error.unsigned_abs(), data, length])
    {
        space.copy_from_slice(&value.to_ne_bytes());
    }
    bytes
}

/// A batch of requests 0.. with these results.
pub(crate) fn batch(results: &[i32]) -> Batch {
    let mut batch = Batch::new();
    for (id, result) in (0..).zip(results) {
        batch.push(Header::new(ASK), &Bytes(&request(id, *result, 0, 0)));
    }
    batch
}

impl Kernel {
    pub(crate) fn with_script(script: impl IntoIterator<Item = (usize, Vec<Fault>)>) -> Self {
        Self {
            script: script.into_iter().collect(),
            ..Self::default()
        }
    }

    pub(crate) fn with_dumps(dumps: impl IntoIterator<Item = Dump>) -> Self {
        Self {
            dumps: dumps.into_iter().collect(),
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn connect(self) -> Connection<Self> {
        Connection::new(self).with_limits(Limits::default().reply_timeout(Duration::from_secs(2)))
    }

    fn carry_out(&mut self, datagram: &[u8]) -> Vec<Item> {
        let requests: Vec<Message<'_>> = messages(datagram).map(Result::unwrap).collect();
        self.datagrams.push(requests.len());
        let mut replies = Vec::new();
        for request in &requests {
            assert_ne!(request.flags & uapi::NLM_F_REQUEST, 0);
            if self.forbids {
                replies.push(Item::Reply(error(request, errno::EPERM)));
                break;
            }
            match request.message_type {
                uapi::NLMSG_NOOP => {}
                DUMP if self.running.is_some() => {
                    replies.push(Item::Reply(error(request, errno::EBUSY)));
                }
                DUMP => {
                    let dump = self.dumps.pop_front().unwrap();
                    self.running = Some((request.sequence, dump.datagrams.into(), dump.result));
                    continue;
                }
                ASK => {
                    let field = |n: usize| {
                        u32::from_ne_bytes(request.payload[4 * n..][..4].try_into().unwrap())
                    };
                    *self.carried_out.entry(field(0)).or_default() += 1;
                    let code = i32::try_from(field(1)).unwrap();
                    if code != 0 {
                        replies.push(Item::Reply(error(request, code)));
                        continue;
                    }
                    for _ in 0..field(2) {
                        let data = vec![7; field(3) as usize];
                        replies.push(Item::Reply(message(DATA, 0, request.sequence, PORT, &data)));
                    }
                }
                other => panic!("unknown message type {other}"),
            }
            if request.flags & uapi::NLM_F_ACK != 0 {
                replies.push(Item::Reply(error(request, 0)));
            }
        }
        replies
    }

    fn apply(&mut self, fault: &Fault, replies: &mut Vec<Item>) {
        match *fault {
            Fault::LoseSilently(at) if at < replies.len() => _ = replies.remove(at),
            Fault::Overflow(at) if at < replies.len() => {
                replies.truncate(at);
                self.queue.push_back(Item::Error(errno::ENOBUFS));
            }
            Fault::Swap(a, b) if a < replies.len() && b < replies.len() => replies.swap(a, b),
            Fault::Repeat(at) => {
                if let Some(Item::Reply(reply)) = replies.get(at) {
                    let copy = reply.clone();
                    replies.push(Item::Reply(copy));
                }
            }
            Fault::Stray { sequence, port } => {
                replies.insert(
                    0,
                    Item::Reply(message(uapi::NLMSG_ERROR, 0, sequence, port, &[0; 20])),
                );
                replies.insert(0, Item::Reply(message(DATA, 0, sequence, port, &[1; 8])));
            }
            Fault::Garbage(ref bytes) => replies.insert(0, Item::Reply(bytes.clone())),
            Fault::InterruptedReceive => replies.insert(0, Item::Error(errno::EINTR)),
            Fault::ReceiveFails(code) => replies.insert(0, Item::Error(code)),
            _ => {}
        }
    }

    /// As `netlink_dump`.
    fn continue_dump(&mut self) {
        let Some((sequence, mut rest, result)) = self.running.take() else {
            return;
        };
        let objects = |flags, objects: Vec<u32>| {
            let messages = objects.iter().map(|n| {
                message(
                    DATA,
                    flags | uapi::NLM_F_MULTI,
                    sequence,
                    PORT,
                    &n.to_ne_bytes(),
                )
            });
            Item::Reply(messages.collect::<Vec<_>>().concat())
        };
        match rest.pop_front() {
            Some(Datagram::Objects(numbers)) => self.queue.push_back(objects(0, numbers)),
            Some(Datagram::Interrupted(numbers)) => self
                .queue
                .push_back(objects(uapi::NLM_F_DUMP_INTR, numbers)),
            Some(Datagram::NoMemory) => self.queue.push_back(Item::Error(errno::ENOBUFS)),
            Some(Datagram::LostEnd) => return self.queue.push_back(Item::Error(errno::ENOBUFS)),
            Some(Datagram::Lost) => {
                self.queue.push_back(Item::Error(errno::ENOBUFS));
                self.running = Some((sequence, rest, result));
                return self.continue_dump();
            }
            None => {
                let done = message(
                    uapi::NLMSG_DONE,
                    uapi::NLM_F_MULTI,
                    sequence,
                    PORT,
                    &(-result).to_ne_bytes(),
                );
                self.queue.push_back(Item::Reply(done));
                return;
            }
        }
        self.running = Some((sequence, rest, result));
    }
}

impl Transport for Kernel {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let number = self.datagrams.len();
        let faults = self.script.get(&number).cloned().unwrap_or_default();
        let attempt = self.attempts.entry(number).or_default();
        let failing = faults.iter().filter_map(|fault| match fault {
            Fault::InterruptedSend => Some(errno::EINTR),
            Fault::SendFails(code) => Some(*code),
            _ => None,
        });
        let failure = failing.clone().nth(*attempt);
        *attempt += 1;
        if let Some(code) = failure {
            return Err(io::Error::from_raw_os_error(code));
        }
        let was_running = self.running.is_some();
        let mut replies = self.carry_out(datagram);
        for fault in &faults {
            self.apply(fault, &mut replies);
        }
        self.queue.extend(replies);
        // The first part of a dump comes with the call that asks for it, the others when something
        // is received.
        if !was_running {
            self.continue_dump();
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        match self.queue.pop_front() {
            None => {
                self.waited |= deadline.is_some();
                Err(io::ErrorKind::WouldBlock.into())
            }
            Some(Item::Error(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(Item::Reply(reply)) => {
                buffer
                    .iter_mut()
                    .zip(&reply)
                    .for_each(|(space, byte)| *space = *byte);
                self.continue_dump();
                Ok(reply.len())
            }
        }
    }

    fn port(&self) -> u32 {
        PORT
    }

    fn protocol(&self) -> u16 {
        self.protocol
    }

    fn send_limit(&self) -> usize {
        self.send_limit.unwrap_or(1 << 20)
    }

    fn receive_limit(&self) -> usize {
        self.receive_limit.unwrap_or(1 << 23)
    }
}

fn message(message_type: u16, flags: u16, sequence: u32, port: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (16 + payload.len() as u32).to_ne_bytes().to_vec();
    bytes.extend(message_type.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(port.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// `NLMSG_ERROR` with the echo of the whole request, as without `NETLINK_CAP_ACK`; capped for
/// success.
fn error(request: &Message<'_>, code: i32) -> Vec<u8> {
    let mut payload = (-code).to_ne_bytes().to_vec();
    let echoed = message(
        request.message_type,
        request.flags,
        request.sequence,
        request.port,
        request.payload,
    );
    let flags = if code == 0 { uapi::NLM_F_CAPPED } else { 0 };
    payload.extend(if code == 0 { &echoed[..16] } else { &echoed });
    message(uapi::NLMSG_ERROR, flags, request.sequence, PORT, &payload)
}
