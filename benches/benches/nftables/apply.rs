//! Whole plans carried out by a kernel.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use benches::steps::started_as;
use ipvs_netlink::{Client, Request};
use kernel_test::Netns;
use netlink_batch::Connection;
use netlink_batch::uapi::NETLINK_GENERIC;
use proxier::{Config, Engine, Kernel as _, Layout, Operation, Phase, Plan, reconcile};
use proxier_linux::LinuxKernel;

use crate::ENDPOINTS;
use crate::figures::Figures;
use crate::floor::{Floor, Recording};
use crate::tap::Tap;

pub(crate) const OURS: &str = "`LinuxKernel::apply` of the whole plan, layout `nftables`";
pub(crate) const SERVERS: &str = "its virtual servers and destinations alone";
pub(crate) const TABLES: &str = "its tables alone";
pub(crate) const FLOOR: &str = "floor: C loop, its messages of IPVS pre-encoded";
pub(crate) const CURRENT: &str = "`LinuxKernel::apply` of the whole plan, layout `current`";

/// Up to here the kernel is read back whole; beyond, its acknowledgements are believed, for it takes long.
const READ_BACK: u32 = 1_000;

/// Measures all of it at one size, once, for instructions are the same each time; calls `keep` whenever there is something
/// new. What takes longest comes last.
pub(crate) fn measure(
    figures: &mut Figures,
    floor: &Floor,
    services: u32,
    keep: impl Fn(&Figures),
) {
    let mut note = |name, time| {
        figures.note(name, services, time);
        keep(figures);
    };
    note(OURS, fresh(|| whole(Layout::Nftables, services)));
    let recording = fresh(|| record(services));
    note(FLOOR, fresh(|| floor.run(&recording).0));
    let [servers, tables] = fresh(|| in_parts(services));
    note(SERVERS, servers);
    note(TABLES, tables);
    note(CURRENT, fresh(|| whole(Layout::Current, services)));
}

/// Has the kernel load what modules it takes: the clock does not stand still while they are read.
pub(crate) fn warm_up() {
    for layout in [Layout::Nftables, Layout::Current] {
        fresh(|| whole(layout, 10));
    }
}

/// Does something in a network namespace of its own, and waits until the kernel, in the background, has taken that down:
/// virtual servers of all namespaces are in one hash table, and those of the last would be found on the way to each of the
/// next.
fn fresh<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let servers = || benches::machine::module_users("ip_vs_rr");
    let before = servers();
    let namespace = Netns::new().expect("a network namespace");
    let done = namespace.run(work);
    drop(namespace);
    let deadline = Instant::now() + Duration::from_secs(100_000);
    while servers() > before {
        assert!(Instant::now() < deadline, "virtual servers stay");
        sleep(Duration::from_secs(1));
    }
    sleep(Duration::from_secs(60));
    done
}

/// An engine that was told a cluster, and its plan for a kernel that has nothing of it.
fn planned(layout: Layout, services: u32) -> (Engine, LinuxKernel, Plan) {
    let kernel = LinuxKernel::open_for(layout).expect("a kernel");
    let mut kernel = kernel.with_patience(Duration::from_secs(3600));
    let cluster = benches::cluster(services, ENDPOINTS);
    let mut engine = started_as(Config::with_layout(layout), cluster);
    engine.set_host(kernel.host(benches::NODE).expect("links"));
    let plan = engine.audit(&kernel.observe().expect("an empty kernel"));
    (engine, kernel, plan)
}

fn whole(layout: Layout, services: u32) -> Duration {
    let (mut engine, mut kernel, plan) = planned(layout, services);
    let idle = idle();
    let start = Instant::now();
    let applied = kernel.apply(&plan);
    let time = start.elapsed().saturating_sub(self::idle() - idle);
    assert!(applied.is_ok(), "{:?}", applied.failures.first());
    engine.applied(&plan, &applied);
    drop(plan);
    if services <= READ_BACK {
        let found = kernel.observe().expect("the kernel's state");
        assert!(reconcile(&engine.desired(), &found).is_empty(), "all there");
    }
    time
}

/// How long the one processor has had nothing to do. The clock runs ahead meanwhile, up to the next timer: while the tools of
/// the layout `current` are read from the disk, for one.
///
/// Source: proc_stat(5).
fn idle() -> Duration {
    let text = fs::read_to_string("/proc/stat").expect("/proc/stat");
    let total = text.lines().next().unwrap_or_default();
    // After the word `cpu` come user, nice, system, idle and iowait, in hundredths of a second.
    let waited = total.split_whitespace().skip(4).take(2);
    let ticks: u64 = waited.map(|ticks| ticks.parse().unwrap_or(0)).sum();
    Duration::from_millis(ticks * 10)
}

/// How long virtual servers with their destinations take, and how long tables, as plans of their own.
fn in_parts(services: u32) -> [Duration; 2] {
    let (mut engine, mut kernel, plan) = planned(Layout::Nftables, services);
    drop(plan);
    let mut part = |last| {
        let plan = engine.plan();
        let count = plan.iter().filter(|(phase, _)| *phase <= last).count();
        let part = plan.prefix(count);
        drop(plan);
        let start = Instant::now();
        let applied = kernel.apply(&part);
        let time = start.elapsed();
        assert!(applied.is_ok(), "{:?}", applied.failures.first());
        engine.applied(&part, &applied);
        time
    };
    part(Phase::Rules);
    let parts = [Phase::Serve, Phase::Destroy].map(part);
    assert!(engine.plan().is_empty(), "that was all");
    parts
}

/// The messages of IPVS, as our client sends them.
fn record(services: u32) -> Recording {
    let (_, kernel, plan) = planned(Layout::Nftables, services);
    drop(kernel);
    let request = |(_, operation): (Phase, &Operation)| match *operation {
        Operation::AddServer { id, config } => Some(Request::NewService { id, config }),
        Operation::AddDestination {
            server: service,
            destination,
        } => Some(Request::NewDestination {
            service,
            destination,
        }),
        _ => None,
    };
    let requests: Vec<_> = plan.iter().filter_map(request).collect();
    drop(plan);
    let objects = usize::try_from(services * (ENDPOINTS + 1)).unwrap_or(usize::MAX);
    assert_eq!(requests.len(), objects, "no virtual server is left out");
    let (tap, log) = Tap::open(NETLINK_GENERIC);
    let mut client = Client::new(Connection::new(tap)).expect("IPVS");
    log.take();
    let outcome = client.apply(&requests).into_result();
    outcome.expect("virtual servers are added");
    Recording::new("nftables.ipvs", NETLINK_GENERIC, &log.take())
}
