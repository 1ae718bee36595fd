//! How long one endpoint takes from the arrival of its event to the kernel: in a guest, with the API server and what else changes the
//! cluster on the machine that the guest runs on, as they are on others than the node.

mod machine;

use std::fs::DirEntry;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ipvs_netlink::{
    Client, Destination, DestinationConfig, DestinationId, ForwardingMethod, Protocol,
    VirtualServerId,
};
use nix::unistd::gettid;

pub(crate) use self::machine::serve;
use self::machine::{By, Order, Orders};
use crate::daemon::{Daemon, PATIENCE, Setup, metric, syncs};
use crate::size::{FIRST_SERVICE, address_of};

/// How many changes are measured in each situation.
const SAMPLES: u32 = 300;
/// Into how many parts of the time they are divided, to see what gets slower.
const PARTS: usize = 4;
/// Services whose endpoints are measured. The others may change meanwhile.
const MEASURED: u32 = 100;
/// The priority of what does not wait for others.
const FIRST: &str = "-20";
/// The pause between two measured changes: longer than changes are gathered.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the kernel is asked whether it has the endpoint. A time may be too long by this much.
const LOOK: Duration = Duration::from_micros(500);

/// Prints how long a replaced endpoint takes, first while nothing else changes, then while so many others change each second.
///
/// It also prints the floors: an order and its answer over TCP, alone and during each stream; and one destination by netlink, before
/// and after each stream. The kernel keeps deleted destinations for two to three minutes and looks through all of them when one is
/// added. After a stream of new addresses the time by netlink includes that.
pub(crate) fn of_one_endpoint(rates: &[u32]) {
    let mut orders = Orders::open();
    // No full comparison comes between, and nothing but the time in which changes are gathered.
    let kubeconfig: String = orders.ask(&Order::Kubeconfig);
    let setup = Setup::with_kubeconfig(&kubeconfig, "ipvs: {syncPeriod: 1h, minSyncPeriod: 1ms}\n");
    let daemon = setup.started();
    prefer(daemon.id());
    // To look late would count as the daemon's time.
    renice(&[gettid().to_string()], FIRST);
    let client = Client::open().unwrap();
    show("an order and its answer over TCP", echo(&mut orders));
    let mut measured = Measured {
        daemon,
        orders,
        client,
        number: 0,
        added: 0,
    };
    measured.print_floor("before");
    measured.print("an endpoint while nothing else changes");
    let streams = [By::TwoInTurn, By::New].map(|by| rates.iter().map(move |rate| (*rate, by)));
    for (rate, by) in streams.into_iter().flatten() {
        let () = measured.orders.ask(&Order::Stream { rate, by });
        let what = format!("a stream of {rate} changes a second, addresses: {by:?}");
        measured.print(&format!("an endpoint in {what}"));
        let came: f64 = measured.orders.ask(&Order::Stop);
        println!("{came:.0} changes a second came of it");
        measured.print_floor(&format!("after {what}"));
    }
}

struct Measured {
    daemon: Daemon,
    orders: Orders,
    client: Client,
    /// How many endpoints were replaced.
    number: u32,
    /// How many destinations were added for the floor.
    added: u32,
}

impl Measured {
    /// Measures the floor of the way to the kernel.
    fn print_floor(&mut self, when: &str) {
        let times = destinations(&mut self.client, self.added);
        self.added += SAMPLES;
        show(&format!("one destination by netlink, {when}"), times);
        // The daemon sees what that did to the kernel, and compares everything.
        thread::sleep(Duration::from_secs(4));
    }

    /// Measures so many changes, one after the other.
    fn print(&mut self, what: &str) {
        let (clock, error) = self.orders.clock();
        let counts = || [syncs(), metric(CHANGES).unwrap()];
        let before = (Instant::now(), self.daemon.processor_time(), counts());
        let each = (0..SAMPLES).map(|_| {
            thread::sleep(PAUSE / 2);
            let echo = self.orders.echo();
            thread::sleep(PAUSE / 2);
            (echo, self.replaced(clock))
        });
        let (echoes, delays): (Vec<_>, Vec<_>) = each.unzip();
        let took = before.0.elapsed().as_secs_f64();
        let processor = self.daemon.processor_time() - before.1;
        let [syncs, changes] = counts();
        for (number, part) in delays.chunks(delays.len().div_ceil(PARTS)).enumerate() {
            show(&format!("part {} of {PARTS}", number + 1), part.to_vec());
        }
        show(what, delays);
        show("an order and its answer over TCP meanwhile", echoes);
        let drift = self.orders.clock().0;
        let drift = drift.max(clock) - drift.min(clock);
        println!(
            "{what}: the daemon took {:.1} % of a processor, {:.0} changes and {:.0} syncs a second; the clocks are known to {error:.2?}, \
             and {drift:.2?} apart at the end",
            processor.as_secs_f64() / took * 100.0,
            (changes - before.2[1]) / took,
            (syncs - before.2[0]) / took,
        );
    }

    /// Replaces an endpoint of one of the measured Services: from when its event was handed to the system until the kernel shows
    /// it. The machine's clock began then.
    fn replaced(&mut self, clock: Instant) -> Duration {
        self.number += 1;
        let service = self.number % MEASURED;
        let address = address_of(0x0ac8_0000, self.number);
        let new: IpAddr = address.parse().unwrap();
        self.orders.give(&Order::Replace { service, address });
        let id = server_of(service);
        let began = Instant::now();
        loop {
            let found = self.client.destinations(id).unwrap();
            let now = Instant::now();
            if found
                .iter()
                .any(|found| found.destination.id.address == new)
            {
                let sent: Duration = self.orders.ask(&Order::Sent);
                return now.saturating_duration_since(clock + sent);
            }
            assert!(began.elapsed() < PATIENCE);
            thread::sleep(LOOK);
        }
    }
}

/// Counts changes of EndpointSlices that came.
const CHANGES: &str = "kubeproxy_sync_proxy_rules_endpoint_changes_total";

/// Lets the threads of a process run before all others.
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

fn server_of(service: u32) -> VirtualServerId {
    VirtualServerId::Address {
        protocol: Protocol::TCP,
        address: Ipv4Addr::from(FIRST_SERVICE + service).into(),
        port: 80,
    }
}

/// An order and its answer over TCP.
fn echo(orders: &mut Orders) -> Vec<Duration> {
    let times = (0..SAMPLES).map(|_| {
        thread::sleep(PAUSE / 10);
        orders.echo()
    });
    times.collect()
}

/// A destination added to a virtual server that the daemon does not know, and deleted: another each time, of which so many were before.
fn destinations(client: &mut Client, before: u32) -> Vec<Duration> {
    let id = VirtualServerId::Address {
        protocol: Protocol::TCP,
        address: Ipv4Addr::new(198, 51, 100, 1).into(),
        port: 80,
    };
    let config = ipvs_netlink::VirtualServerConfig::new(ipvs_netlink::Scheduler::RR);
    client.add_service(id, config).unwrap();
    let config = DestinationConfig::new(ForwardingMethod::Masquerade, 1);
    let times = (before..before + SAMPLES).map(|number| {
        let destination = DestinationId {
            address: address_of(0x0aff_0000, number).parse().unwrap(),
            port: 80,
        };
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
