//! How long one endpoint takes from the arrival of its event to the kernel.

use std::fs::DirEntry;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ipvs_netlink::{
    Client, Destination, DestinationConfig, DestinationId, ForwardingMethod, Protocol,
    VirtualServerId,
};
use nix::unistd::gettid;

use crate::api_server::ApiServer;
use crate::cluster::slice;
use crate::daemon::{PATIENCE, Setup};
use crate::size::{FIRST_SERVICE, address_of, filled, pods_of};

/// How many changes are measured in each situation.
const SAMPLES: u32 = 300;
/// Services whose endpoints are measured. The others may change meanwhile.
const MEASURED: u32 = 100;
/// The priority of what does not wait for others.
const FIRST: &str = "-20";
/// The pause between two measured changes: longer than changes are gathered.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the kernel is asked whether it has the endpoint. To ask takes a third of this time, of the guest's one processor.
const LOOK: Duration = Duration::from_micros(500);

/// Prints how long a replaced endpoint takes among so many Services of ten endpoints: while nothing else changes, and while so
/// many others a second do; and the floors of both ways: an echo over TCP, and one destination by netlink.
pub(crate) fn of_one_endpoint(services: u32, rates: &[u32]) {
    let server = filled(services);
    server.note_sent();
    // No full comparison comes between, and nothing but the time in which changes are gathered.
    let setup = Setup::new(&server, "ipvs: {syncPeriod: 1h, minSyncPeriod: 1ms}\n");
    let daemon = setup.started();
    prefer(daemon.id());
    // To look late would count as the daemon's time.
    renice(&[gettid().to_string()], FIRST);
    let mut client = Client::open().unwrap();
    show("echo over TCP", echo());
    show("one destination by netlink", destinations(&mut client));
    // The daemon sees what that did to the kernel, and compares everything.
    thread::sleep(Duration::from_secs(4));
    let mut number = 0;
    let mut measure = |what: &str| {
        let began = (Instant::now(), daemon.processor_time());
        let delays = (0..SAMPLES).map(|_| {
            number += 1;
            thread::sleep(PAUSE);
            replaced(&server, &mut client, number)
        });
        show(what, delays.collect());
        let share =
            (daemon.processor_time() - began.1).as_secs_f64() / began.0.elapsed().as_secs_f64();
        println!(
            "{what}: the daemon took {:.1} % of a processor",
            share * 100.0
        );
    };
    measure("an endpoint while nothing else changes");
    for rate in rates {
        let stream = Stream::start(&server, services, *rate);
        measure(&format!(
            "an endpoint in a stream of {rate} changes a second"
        ));
        println!("{:.0} changes a second came of it", stream.stop());
    }
}

/// Lets the threads of a process run before all others: the stand-in for the API server is not there on a node, and would keep
/// the guest's one processor from it.
fn prefer(process: u32) {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let name = |thread: io::Result<DirEntry>| thread.unwrap().file_name().into_string();
    let threads: Vec<_> = threads.map(|thread| name(thread).unwrap()).collect();
    renice(&threads, FIRST);
}

/// Gives threads this priority. What they start has it too.
fn renice(threads: &[String], priority: &str) {
    let output = Command::new("renice")
        .args(["--priority", priority, "-p"])
        .args(threads)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{what}: p50 {:.2?}, p90 {:.2?}, p99 {:.2?}, most {:.2?} ({} times)",
        at(50),
        at(90),
        at(99),
        at(100),
        times.len()
    );
}

/// Replaces an endpoint of one of the measured Services: from when its event was handed to the system until the kernel shows it.
fn replaced(server: &ApiServer, client: &mut Client, number: u32) -> Duration {
    let service = number % MEASURED;
    let new = address_of(0x0ac8_0000, number);
    let mut pods = pods_of(service);
    pods[0].clone_from(&new);
    let version = server.put_as(slice(&format!("service-{service}"), &pods));
    let new: IpAddr = new.parse().unwrap();
    let id = server_of(service);
    let began = Instant::now();
    loop {
        let found = client.destinations(id).unwrap();
        let now = Instant::now();
        if found
            .iter()
            .any(|found| found.destination.id.address == new)
        {
            let sent = server.sent(version).unwrap();
            return now.saturating_duration_since(sent);
        }
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(LOOK);
    }
}

fn server_of(service: u32) -> VirtualServerId {
    VirtualServerId::Address {
        protocol: Protocol::TCP,
        address: Ipv4Addr::from(FIRST_SERVICE + service).into(),
        port: 80,
    }
}

/// A byte there and back over TCP, by another thread.
fn echo() -> Vec<Duration> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    for stream in [&near, &far] {
        stream.set_nodelay(true).unwrap();
    }
    let thread = thread::spawn(move || {
        let mut byte = [0];
        while far.read_exact(&mut byte).is_ok() {
            far.write_all(&byte).unwrap();
        }
    });
    let times = (0..SAMPLES).map(|_| {
        thread::sleep(PAUSE / 10);
        let began = Instant::now();
        near.write_all(b"x").unwrap();
        near.read_exact(&mut [0]).unwrap();
        began.elapsed()
    });
    let times = times.collect();
    drop(near);
    thread.join().unwrap();
    times
}

/// A destination added to a virtual server that the daemon does not know, and deleted.
fn destinations(client: &mut Client) -> Vec<Duration> {
    let id = VirtualServerId::Address {
        protocol: Protocol::TCP,
        address: Ipv4Addr::new(198, 51, 100, 1).into(),
        port: 80,
    };
    let config = ipvs_netlink::VirtualServerConfig::new(ipvs_netlink::Scheduler::RR);
    client.add_service(id, config).unwrap();
    let destination = DestinationId {
        address: Ipv4Addr::new(10, 255, 0, 1).into(),
        port: 80,
    };
    let config = DestinationConfig::new(ForwardingMethod::Masquerade, 1);
    let times = (0..SAMPLES).map(|_| {
        thread::sleep(PAUSE / 10);
        let began = Instant::now();
        let added = Destination {
            id: destination,
            config,
        };
        client.add_destination(id, added).unwrap();
        let took = began.elapsed();
        client.delete_destination(id, destination).unwrap();
        took
    });
    let times = times.collect();
    client.delete_service(id).unwrap();
    times
}

/// Changes of the Services that are not measured.
struct Stream {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<f64>,
}

impl Stream {
    fn start(server: &ApiServer, services: u32, rate: u32) -> Self {
        let server = server.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            renice(&[gettid().to_string()], "0");
            let began = Instant::now();
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                let service = MEASURED + number % (services - MEASURED);
                let mut pods = pods_of(service);
                pods[0] = address_of(0x0b00_0000, number);
                server.put(slice(&format!("service-{service}"), &pods));
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
