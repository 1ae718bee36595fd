//! Who sends to whom.
//!
//! ```text
//! client ── 192.168.10.0/24 ── eth0 ─ load balancer ─ be1 ── 10.1.1.0/24 ── backend 1
//!                                                   ─ be2 ── 10.1.2.0/24 ── backend 2
//!                                                   ─ be3 ── 10.1.3.0/24 ── backend 3
//! ```
//!
//! Each is a network namespace; the load balancer's is the test's own, and the gateway of all others.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kernel_test::{Netns, cmd_input, set_sysctl};
use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt::Linger};

/// The virtual server.
pub(crate) const VIP: &str = "192.0.2.10:80";
pub(crate) const PORT: u16 = 8080;
/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Network {
    pub(crate) client: Netns,
    pub(crate) backends: [Backend; 3],
}

impl Network {
    /// Makes it; all backends serve.
    pub(crate) fn new() -> Self {
        set_sysctl("net.ipv4.ip_forward", "1");
        let balancer = Netns::current().unwrap();
        let host = |link: &str, address: &str, gateway: &str| {
            let netns = Netns::new().unwrap();
            netns.veth("eth0", &balancer, link);
            ip(&balancer, &format!("address add {gateway}/24 dev {link}"));
            let lines =
                format!("address add {address}/24 dev eth0\nroute add default via {gateway}");
            ip(&netns, &lines);
            netns
        };
        let client = host("eth0", "192.168.10.2", "192.168.10.10");
        let backends = [1, 2, 3].map(|number| {
            let net = format!("10.1.{number}");
            let netns = host(
                &format!("be{number}"),
                &format!("{net}.2"),
                &format!("{net}.1"),
            );
            let mut backend = Backend::new(number, netns);
            backend.start();
            backend
        });
        Self { client, backends }
    }
}

fn ip(netns: &Netns, lines: &str) {
    netns.run(|| cmd_input("ip -batch -", lines));
}

/// A server. It answers `who` with its number and hangs up, `name` with its number, and `GET` with a
/// status; every other line it sends back.
pub(crate) struct Backend {
    number: usize,
    netns: Netns,
    /// Whether `GET` is answered by 200 or by 503.
    pub(crate) healthy: Arc<AtomicBool>,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Backend {
    fn new(number: usize, netns: Netns) -> Self {
        let healthy = Arc::new(AtomicBool::new(true));
        Self {
            number,
            netns,
            healthy,
            running: None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        format!("10.1.{}.2:{PORT}", self.number).parse().unwrap()
    }

    pub(crate) fn start(&mut self) {
        let (number, address) = (self.number, self.address());
        let healthy = self.healthy.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let listener = self.netns.run(|| TcpListener::bind(address).unwrap());
        let serving = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let healthy = healthy.clone();
                // What becomes of a connection is for its client to judge.
                thread::spawn(move || converse(&stream?, number, &healthy));
            }
        });
        self.running = Some((stop, serving));
    }

    /// From now on it refuses connections; open ones stay.
    pub(crate) fn stop(&mut self) {
        let (stop, serving) = self.running.take().unwrap();
        stop.store(true, Ordering::SeqCst);
        let address = self.address();
        self.netns.run(|| drop(TcpStream::connect(address)));
        serving.join().unwrap();
    }
}

fn converse(mut stream: &TcpStream, number: usize, healthy: &AtomicBool) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next() {
        let line = line?;
        match line.as_str() {
            "who" => return writeln!(stream, "{number}"),
            "name" => writeln!(stream, "{number}")?,
            get if get.starts_with("GET /healthz ") => {
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                let status = if healthy.load(Ordering::SeqCst) {
                    "200 OK"
                } else {
                    "503 Busy"
                };
                return stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
            }
            line => writeln!(stream, "{line}")?,
        }
    }
    Ok(())
}

/// An open connection through the virtual server.
pub(crate) struct Conversation(BufReader<TcpStream>);

impl Conversation {
    /// From the namespace of the calling thread.
    fn open() -> io::Result<Self> {
        let to = VIP.parse().unwrap();
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // It ends by a reset, which IPVS forgets after 10 seconds; after a FIN it is two minutes.
        setsockopt(
            &stream,
            Linger,
            &linger {
                l_onoff: 1,
                l_linger: 0,
            },
        )?;
        Ok(Self(BufReader::new(stream)))
    }

    /// One with this backend.
    pub(crate) fn with(client: &Netns, number: usize) -> Self {
        loop {
            let mut open = client.run(|| Self::open().unwrap());
            if open.ask("name").unwrap() == number.to_string() {
                return open;
            }
        }
    }

    /// Answers that do not come are not waited for long.
    pub(crate) fn impatient(&self) {
        let second = Some(Duration::from_secs(1));
        self.0.get_ref().set_read_timeout(second).unwrap();
    }

    /// Sends a line and returns the answer.
    pub(crate) fn ask(&mut self, line: &str) -> io::Result<String> {
        let stream = self.0.get_mut();
        stream.write_all(format!("{line}\n").as_bytes())?;
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }
}

/// Asks `who` through the virtual server: the number of the backend that answered.
fn request() -> io::Result<usize> {
    let mut open = Conversation::open()?;
    let answer = open.ask("who")?;
    let mut rest = String::new();
    open.0.read_to_string(&mut rest)?;
    answer
        .parse()
        .map_err(|_| io::Error::other(format!("answered {answer:?}")))
}

/// What came of the requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// By backend.
    pub(crate) served: BTreeMap<usize, usize>,
    /// Attempts that failed and were made again.
    pub(crate) failed: Vec<String>,
    /// The most attempts that one request took.
    pub(crate) most_attempts: usize,
    /// Requests that no attempt served.
    pub(crate) lost: usize,
}

impl Tally {
    pub(crate) fn total(&self) -> usize {
        self.served.values().sum()
    }

    pub(crate) fn by(&self, backend: usize) -> usize {
        self.served.get(&backend).copied().unwrap_or(0)
    }
}

/// Clients that send one request after the other until they are stopped.
pub(crate) struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Attempts at one request.
    const ATTEMPTS: usize = 5;
    const CLIENTS: usize = 2;

    pub(crate) fn start(client: &Netns) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..Self::CLIENTS).map(|_| {
            let (tally, stop) = (tally.clone(), stop.clone());
            client.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    Self::serve(&tally);
                }
            })
        });
        let clients = clients.collect();
        Self {
            tally,
            stop,
            clients,
        }
    }

    fn serve(tally: &Mutex<Tally>) {
        for attempt in 1..=Self::ATTEMPTS {
            let answer = request();
            let mut tally = tally.lock().unwrap();
            tally.most_attempts = tally.most_attempts.max(attempt);
            match answer {
                Ok(backend) => {
                    *tally.served.entry(backend).or_default() += 1;
                    return;
                }
                Err(error) => tally.failed.push(error.to_string()),
            }
        }
        tally.lock().unwrap().lost += 1;
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    /// The tally once requests that had begun before this call have ended, and those after them.
    pub(crate) fn settled(&self) -> Tally {
        let before = self.tally().total();
        while self.tally().total() < before + 10 * Self::CLIENTS {
            assert!(self.clients.iter().all(|client| !client.is_finished()));
            thread::sleep(Duration::from_millis(10));
        }
        self.tally()
    }

    pub(crate) fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
        self.tally.lock().unwrap().clone()
    }
}
