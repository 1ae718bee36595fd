//! Asking servers, and what comes of it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use kernel_test::Netns;

use crate::servers::BYE;

/// How long an answer that is wanted may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait for an answer that must not come.
const SILENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub const BOTH: [Self; 2] = [Self::Tcp, Self::Udp];
}

/// Who answered, and which address it saw.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    pub by: String,
    pub seen: IpAddr,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered(Answer),
    /// TCP reset, or ICMP port unreachable.
    Refused,
    /// Nothing came, or this very host would not send.
    Dropped,
}

/// Asks, with an answer expected.
#[track_caller]
pub fn answer(from: &Netns, protocol: Protocol, to: SocketAddr) -> Answer {
    match ask(from, protocol, to, PATIENCE) {
        Outcome::Answered(answer) => answer,
        outcome => panic!("{protocol:?} to {to}: {outcome:?}"),
    }
}

/// Asks this many times, each from another port, and counts the answers. Each question is sent once, whatever comes of it.
#[track_caller]
pub fn answers(
    from: &Netns,
    protocol: Protocol,
    to: SocketAddr,
    times: usize,
) -> BTreeMap<Answer, usize> {
    await_route(from, to).unwrap();
    let mut counts = BTreeMap::new();
    for _ in 0..times {
        match outcome(protocol, to, ask_once(from, protocol, to, PATIENCE)) {
            Outcome::Answered(answer) => *counts.entry(answer).or_default() += 1,
            outcome => panic!("{protocol:?} to {to}: {outcome:?} after {counts:?}"),
        }
    }
    counts
}

/// Asks, with no answer expected.
#[track_caller]
pub fn assert_dropped(from: &Netns, protocol: Protocol, to: SocketAddr) {
    let outcome = ask(from, protocol, to, SILENCE);
    assert_eq!(outcome, Outcome::Dropped, "{protocol:?} to {to}");
}

/// Asks, with a refusal expected.
#[track_caller]
pub fn assert_refused(from: &Netns, protocol: Protocol, to: SocketAddr) {
    let outcome = ask(from, protocol, to, PATIENCE);
    assert_eq!(outcome, Outcome::Refused, "{protocol:?} to {to}");
}

fn ask(from: &Netns, protocol: Protocol, to: SocketAddr, patience: Duration) -> Outcome {
    let answer = once_routed(to, || ask_once(from, protocol, to, patience));
    outcome(protocol, to, answer)
}

fn ask_once(
    from: &Netns,
    protocol: Protocol,
    to: SocketAddr,
    patience: Duration,
) -> io::Result<Answer> {
    match protocol {
        Protocol::Tcp => Conversation::open(from, to, patience).map(|(_, answer)| answer),
        Protocol::Udp => Asker::new(from, to)?.ask(patience),
    }
}

fn outcome(protocol: Protocol, to: SocketAddr, answer: io::Result<Answer>) -> Outcome {
    match answer {
        Ok(answer) => Outcome::Answered(answer),
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused => Outcome::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::PermissionDenied => {
                Outcome::Dropped
            }
            _ => panic!("{protocol:?} to {to}: {error}"),
        },
    }
}

/// Tries until there is a route. The kernel makes that of an IPv6 address in a work queue, after it has
/// acknowledged the address (addrconf_dad_work in net/ipv6/addrconf.c, also where nothing is to be detected).
///
/// To TCP an ICMP error on the way is the same as no route here, so the attempt may have been a connection to IPVS, and have
/// taken a turn of its scheduler. The test's output tells of it.
#[expect(clippy::print_stdout, reason = "the output of a test")]
fn once_routed<T>(to: SocketAddr, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(error)
                if error.kind() == ErrorKind::NetworkUnreachable && Instant::now() < deadline =>
            {
                println!("no route to {to} yet: once more");
                thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// Waits for this host's route, and sends nothing for it.
fn await_route(from: &Netns, to: SocketAddr) -> io::Result<()> {
    let socket = from.run(|| UdpSocket::bind((any(to), 0)))?;
    once_routed(to, || socket.connect(to))
}

/// All addresses of the other's family.
fn any(other: SocketAddr) -> IpAddr {
    match other {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// An open TCP connection.
pub struct Conversation {
    stream: BufReader<TcpStream>,
}

impl Conversation {
    fn open(from: &Netns, to: SocketAddr, patience: Duration) -> io::Result<(Self, Answer)> {
        let stream = from.run(|| TcpStream::connect_timeout(&to, patience))?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut conversation = Self {
            stream: BufReader::new(stream),
        };
        let answer = parse(&conversation.line()?)?;
        Ok((conversation, answer))
    }

    #[track_caller]
    pub fn with(from: &Netns, to: SocketAddr) -> (Self, Answer) {
        match once_routed(to, || Self::open(from, to, PATIENCE)) {
            Ok(open) => open,
            Err(error) => panic!("connecting to {to}: {error}"),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line)
    }

    /// Says something, which must come back.
    #[track_caller]
    pub fn say(&mut self, words: &str) {
        writeln!(self.stream.get_mut(), "{words}").unwrap();
        assert_eq!(self.line().unwrap().trim_end(), words);
    }

    /// Whether it is cut: what is said does not come back.
    pub fn is_cut(&mut self) -> bool {
        let sent = writeln!(self.stream.get_mut(), "still there?");
        sent.is_err() || self.line().map_or(true, |line| line.is_empty())
    }

    /// Has the server close its side; this side stays open until the value is dropped.
    #[track_caller]
    pub fn bye(&mut self) {
        writeln!(self.stream.get_mut(), "{BYE}").unwrap();
        assert_eq!(self.line().unwrap(), "", "closed by the server");
    }
}

/// A UDP socket, which IPVS takes for one connection.
pub struct Asker {
    socket: UdpSocket,
}

/// What the next UDP socket may get: above the ports of Services, node ports and servers.
static PORTS: Mutex<RangeInclusive<u16>> = Mutex::new(32_768..=u16::MAX);

impl Asker {
    /// Sends nothing yet. Its port is one that no other of this test has had.
    ///
    /// The kernel gives a port at random, and so one of a socket that was closed. IPVS remembers a UDP connection for 300 s
    /// after its last packet (net/netfilter/ipvs/ip_vs_proto_udp.c), and would take a question from the same port for one
    /// more of that connection: its endpoint answers, and no turn is taken.
    ///
    /// # Errors
    /// Fails if there is no route, or if all 32,768 ports have been used.
    pub fn new(from: &Netns, to: SocketAddr) -> io::Result<Self> {
        let socket = from.run(|| {
            let mut ports = PORTS.lock().unwrap();
            let bound = ports.find_map(|port| match UdpSocket::bind((any(to), port)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => None,
                bound => Some(bound),
            });
            bound.unwrap_or_else(|| Err(io::Error::other("every source port was used")))
        })?;
        socket.connect(to)?;
        Ok(Self { socket })
    }

    /// Where it sends from.
    pub fn source(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn ask(&self, patience: Duration) -> io::Result<Answer> {
        self.socket.set_read_timeout(Some(patience))?;
        self.socket.send(b"who?")?;
        let mut answer = [0; 128];
        let length = self.socket.recv(&mut answer)?;
        parse(&String::from_utf8_lossy(&answer[..length]))
    }

    /// The answer to the first of this many questions that gets one: datagrams may be lost.
    pub fn ask_up_to(&self, times: usize) -> Option<Answer> {
        (0..times).find_map(|_| self.ask(SILENCE).ok())
    }
}

fn parse(answer: &str) -> io::Result<Answer> {
    let words = answer.trim_end().split_once(' ');
    words
        .and_then(|(by, seen)| {
            let seen = seen.parse().ok()?;
            let by = by.to_owned();
            Some(Answer { by, seen })
        })
        .ok_or_else(|| io::Error::other(format!("not an answer: {answer:?}")))
}
