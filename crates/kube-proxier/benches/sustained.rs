//! 10,000 endpoint changes a second through the daemon's loop, for 30 s, on a kernel in memory.
//!
//! ```sh
//! cargo bench -p kube-proxier --bench sustained [-- SECONDS]
//! ```
//!
//! The floor beside it: the same events taken from the same channel and dropped. What counts is that the backlog
//! does not grow, and the share of one processor.

use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::thread;
use std::time::{Duration, Instant};

use ipvs_netlink::Protocol;
use kube_proxier::sync::{Observer, Report, Syncer, run};
use kube_proxier::{Event, Stop};
use proxier::cluster::{
    Change, Endpoint, EndpointPort, EndpointSlice, Family, ObjectName, Service, ServicePort,
};
use proxier::{Config, MemoryKernel};
use tokio::sync::mpsc;

const SERVICES: u32 = 1000;
const ENDPOINTS: u32 = 10;
/// Changes a second.
const RATE: u32 = 10_000;
/// How often a portion of them is sent.
const TICK: Duration = Duration::from_millis(10);

fn port(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN)
}

fn address(network: u32, number: u32) -> IpAddr {
    IpAddr::V4((network + number).into())
}

fn service(number: u32) -> Service {
    let name = ObjectName::new("default", format!("service-{number}"));
    let mut service = Service::new(name, vec![address(0x0a60_0000, number + 1)]);
    service
        .ports
        .push(ServicePort::new("http", Protocol::TCP, port(80)));
    service
}

/// With its first endpoint the `version`th one to have that place.
fn slice(number: u32, version: u32) -> EndpointSlice {
    let service = format!("service-{number}");
    let moved = address(0x0b00_0000, (version * SERVICES + number) % (1 << 24));
    let rest = (1..ENDPOINTS).map(|n| address(0x0a80_0000, number * ENDPOINTS + n));
    let object = ObjectName::new("default", format!("{service}-1"));
    let endpoints = std::iter::once(moved).chain(rest).map(Endpoint::ready);
    EndpointSlice::new(object, service, Family::V4)
        .with_ports([EndpointPort::new("http", Protocol::TCP, port(8080))])
        .with_endpoints(endpoints.collect::<Vec<_>>())
}

fn event(change: Change) -> Event {
    Event::Cluster {
        change,
        triggered: None,
    }
}

/// Sends the cluster, and then changes at the rate; gives the backlog after each second.
fn send(events: &mpsc::Sender<Event>, seconds: u32) -> Vec<usize> {
    let lists = [
        Change::Services((0..SERVICES).map(service).collect()),
        Change::Slices((0..SERVICES).map(|number| slice(number, 0)).collect()),
        Change::Nodes(Vec::new()),
    ];
    for list in lists {
        let _ = events.blocking_send(event(list));
    }
    thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    let ticks = 1000 / u32::try_from(TICK.as_millis()).unwrap_or(1);
    let mut sent = 0;
    let mut backlog = Vec::new();
    for tick in 1..=seconds * ticks {
        for _ in 0..RATE / ticks {
            let change = Change::Slice(Box::new(slice(sent % SERVICES, sent / SERVICES + 1)));
            let _ = events.blocking_send(event(change));
            sent += 1;
        }
        if tick % ticks == 0 {
            backlog.push(events.max_capacity() - events.capacity());
        }
        thread::sleep((began + TICK * tick).saturating_duration_since(Instant::now()));
    }
    backlog
}

#[derive(Default)]
struct Counted {
    syncs: usize,
    operations: usize,
    failures: usize,
    busy: Duration,
}

impl Observer<MemoryKernel> for Counted {
    fn received(&mut self, _: &Event) {}

    fn queued(&mut self) {}

    fn synced(&mut self, report: &Report, _: &Syncer<MemoryKernel>) {
        self.syncs += 1;
        self.operations += report.done();
        self.failures += report.failures.len();
        self.busy += report.took;
    }
}

/// Processor time of the calling thread (`schedstat` of proc(5): nanoseconds).
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next();
    Duration::from_nanos(first.and_then(|ns| ns.parse().ok()).unwrap_or_default())
}

fn main() -> io::Result<()> {
    let seconds = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(30);
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{RATE} endpoint changes a second for {seconds} s, {SERVICES} Services x {ENDPOINTS}"
    )?;
    writeln!(
        out,
        "{:<10} {:>10} {:>12} {:>8} {:>12} {:>20}",
        "", "processor", "syncs", "failed", "operations", "backlog 1st/max/last"
    )?;

    let (events, mut heard) = mpsc::channel(1 << 20);
    let sender = thread::spawn(move || send(&events, seconds));
    let began = processor_time();
    while heard.blocking_recv().is_some() {}
    let floor = processor_time() - began;
    let backlog = sender.join().unwrap_or_default();
    row(
        &mut out,
        "floor",
        floor,
        seconds,
        &Counted::default(),
        &backlog,
    )?;

    let (events, heard) = mpsc::channel(1 << 20);
    let now = Instant::now();
    let syncer = Syncer::new(MemoryKernel::new(), "node-a", Config::default(), now);
    let mut syncer = syncer.map_err(io::Error::other)?;
    let mut counted = Counted::default();
    let sender = thread::spawn(move || send(&events, seconds));
    let began = processor_time();
    run(&mut syncer, heard, &Stop::default(), &mut counted)?;
    let loop_time = processor_time() - began;
    let backlog = sender.join().unwrap_or_default();
    row(&mut out, "loop", loop_time, seconds, &counted, &backlog)
}

fn row(
    out: &mut impl io::Write,
    name: &str,
    time: Duration,
    seconds: u32,
    counted: &Counted,
    backlog: &[usize],
) -> io::Result<()> {
    let share = time.as_secs_f64() / f64::from(seconds) * 100.0;
    let end = |at: Option<&usize>| at.copied().unwrap_or_default();
    writeln!(
        out,
        "{name:<10} {share:>9.1}% {:>12} {:>8} {:>12} {:>8}/{}/{}",
        counted.syncs,
        counted.failures,
        counted.operations,
        end(backlog.first()),
        end(backlog.iter().max()),
        end(backlog.last()),
    )
}
