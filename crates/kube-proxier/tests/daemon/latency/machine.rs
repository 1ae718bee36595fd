//! What the machine does that the guest runs on: an API server, and a stream of changes, as a guest orders them over TCP.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernel_test::Link;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::MEASURED;
use crate::api_server::ApiServer;
use crate::size::{address_of, fill, replacement};

/// The port of the machine's at which orders are taken.
const PORT: u16 = 7;

/// What is wanted. Each but [`Order::Replace`] is answered with one value.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// The kubeconfig for the API server.
    Kubeconfig,
    /// The machine's time: nanoseconds from when it began to serve.
    Time,
    /// Replace an endpoint of a Service by that address.
    Replace { service: u32, address: String },
    /// The time at which the event of the last replacement was handed to the system, to be sent.
    Sent,
    /// Replace so many endpoints a second, of Services that are not measured.
    Stream { rate: u32, by: By },
    /// No more of that. How many there were a second.
    Stop,
}

/// By which addresses a stream replaces those of endpoints.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum By {
    /// Two for each Service, in turn, as where pods become ready and unready.
    TwoInTurn,
    /// One each time that was never used before, as where pods are deleted and others created.
    New,
}

impl By {
    /// The address for the change of that number, where changes go round so many Services.
    fn address(self, number: u32, services: u32) -> String {
        let number = match self {
            Self::TwoInTurn => number % (2 * services),
            Self::New => number,
        };
        address_of(0x0b00_0000, number)
    }
}

/// Serves a cluster of so many Services of ten endpoints, and takes the orders of one guest.
pub(crate) fn serve(services: u32) -> ApiServer {
    let server = ApiServer::start_at(Link::MACHINE.into());
    fill(&server, services);
    server.note_sent();
    let listener = TcpListener::bind((Link::MACHINE, PORT)).unwrap();
    let machine = Machine {
        server: server.clone(),
        services,
        began: Instant::now(),
        replaced: 0,
        stream: None,
    };
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        machine.obey(stream);
    });
    server
}

struct Machine {
    server: ApiServer,
    services: u32,
    began: Instant,
    /// The version of the last replacement.
    replaced: u64,
    stream: Option<Stream>,
}

impl Machine {
    fn obey(mut self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        for line in reader.lines().map_while(Result::ok) {
            let answer = match serde_json::from_str(&line).unwrap() {
                Order::Kubeconfig => serde_json::to_string(&self.server.kubeconfig()),
                Order::Time => serde_json::to_string(&self.began.elapsed()),
                Order::Replace { service, address } => {
                    self.replaced = self.server.put_as(replacement(service, address));
                    continue;
                }
                Order::Sent => {
                    let sent = self.server.sent(self.replaced).unwrap();
                    serde_json::to_string(&(sent - self.began))
                }
                Order::Stream { rate, by } => {
                    self.stream = Some(Stream::start(&self.server, self.services, rate, by));
                    serde_json::to_string(&())
                }
                Order::Stop => serde_json::to_string(&self.stream.take().unwrap().stop()),
            };
            writeln!(stream, "{}", answer.unwrap()).unwrap();
        }
    }
}

/// Changes of the Services that are not measured.
struct Stream {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<f64>,
}

impl Stream {
    fn start(server: &ApiServer, services: u32, rate: u32, by: By) -> Self {
        let server = server.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let began = Instant::now();
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                let changing = services - MEASURED;
                let service = MEASURED + number % changing;
                server.put(replacement(service, by.address(number, changing)));
                number += 1;
                let due = began + Duration::from_secs(1) * number / rate;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            f64::from(number) / began.elapsed().as_secs_f64()
        });
        Self { stop, thread }
    }

    /// Stops it: how many changes a second there were.
    fn stop(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The guest's side of it.
pub(super) struct Orders {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Orders {
    pub(super) fn open() -> Self {
        let stream = TcpStream::connect((Link::MACHINE, PORT)).unwrap();
        stream.set_nodelay(true).unwrap();
        let answers = BufReader::new(stream.try_clone().unwrap());
        Self { stream, answers }
    }

    pub(super) fn give(&mut self, order: &Order) {
        let order = serde_json::to_string(order).unwrap() + "\n";
        self.stream.write_all(order.as_bytes()).unwrap();
    }

    pub(super) fn ask<T: DeserializeOwned>(&mut self, order: &Order) -> T {
        self.give(order);
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// How long an order and its answer take.
    pub(super) fn echo(&mut self) -> Duration {
        let began = Instant::now();
        let _: Duration = self.ask(&Order::Time);
        began.elapsed()
    }

    /// Which time it was here when the machine's clock began, and how much that may be wrong: half of the shortest way there
    /// and back of some. Both clocks are the machine's, so none goes faster.
    pub(super) fn clock(&mut self) -> (Instant, Duration) {
        let tries = (0..100).map(|_| {
            let asked = Instant::now();
            let machine: Duration = self.ask(&Order::Time);
            let half = asked.elapsed() / 2;
            (half, asked + half - machine)
        });
        let (half, began) = tries.min().unwrap();
        (began, half)
    }
}
