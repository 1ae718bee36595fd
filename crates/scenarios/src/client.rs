//! Asking servers, and what comes of it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
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

/// Asks this many times, each from another port, and counts the answers.
#[track_caller]
pub fn answers(
    from: &Netns,
    protocol: Protocol,
    to: SocketAddr,
    times: usize,
) -> BTreeMap<Answer, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..times {
        *counts.entry(answer(from, protocol, to)).or_default() += 1;
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
    let answer = once_routed(|| match protocol {
        Protocol::Tcp => Conversation::open(from, to, patience).map(|(_, answer)| answer),
        Protocol::Udp => Asker::new(from, to).and_then(|asker| asker.ask(patience)),
    });
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
fn once_routed<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(error)
                if error.kind() == ErrorKind::NetworkUnreachable && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
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
        match once_routed(|| Self::open(from, to, PATIENCE)) {
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

impl Asker {
    pub fn new(from: &Netns, to: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = from.run(|| UdpSocket::bind((any, 0)))?;
        socket.connect(to)?;
        Ok(Self { socket })
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
