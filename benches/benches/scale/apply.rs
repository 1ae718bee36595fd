//! Whole plans and single steps carried out by a kernel, beside a C loop that sends the same messages.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use benches::steps::{Wheel, started};
use dummy_link::{LinkName, host_address};
use ipset_netlink::message::Mode;
use ipvs_netlink::{Client, Request};
use kernel_test::Netns;
use netlink_batch::Connection;
use netlink_batch::uapi::{NETLINK_GENERIC, NETLINK_NETFILTER};
use proxier::{Engine, Kernel, Operation, Phase, Plan, reconcile};
use proxier_linux::LinuxKernel;

use crate::figures::{Figures, median};
use crate::floor::{Floor, Recording};
use crate::tap::{Log, Tap};
use crate::{ENDPOINTS, Effort};

pub(crate) const APPLY: &str = "`LinuxKernel::apply` of the engine's plan from nothing";
pub(crate) const FLOOR: &str = "floor: C loop, the netlink messages of that plan pre-encoded";
pub(crate) const SERVERS: &str = "its virtual servers and destinations alone";
pub(crate) const ADDRESSES: &str = "its addresses alone";
pub(crate) const FLOOR_SERVERS: &str = "floor: virtual servers and destinations alone";
pub(crate) const FLOOR_ADDRESSES: &str = "floor: addresses alone";
pub(crate) const STEP: &str = "engine and `LinuxKernel`: one endpoint changed";

/// Up to here the kernel is read back whole; beyond, its acknowledgements are believed, for it takes long.
const READ_BACK: u32 = 10_000;

/// `NETLINK_ROUTE` of `linux/netlink.h`.
const NETLINK_ROUTE: u16 = 0;

/// Measures all of it at one size; of whole plans the shortest time counts, which was disturbed least.
pub(crate) fn measure(figures: &mut Figures, floor: Option<&Floor>, services: u32, effort: Effort) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_parts, mut their_parts) = (Vec::new(), Vec::new());
    let recordings = floor.map(|floor| (floor, fresh(|| record(services))));
    for round in 0..effort.rounds(services).clamp(1, 3) {
        if let Some((floor, recordings)) = &recordings {
            let times = fresh(|| {
                prepare(&recordings.sets);
                recordings.each().map(|recording| floor.run(recording).0)
            });
            let [_, servers, addresses] = times;
            their_parts.push([servers, addresses]);
            theirs.push(times.iter().sum());
        }
        our_parts.push(fresh(|| in_parts(services)));
        ours.push(fresh(|| {
            let (mut engine, mut kernel, time) = programmed(services);
            if round == 0 {
                let time = steps(&mut engine, &mut kernel, services, effort);
                figures.note(STEP, services, time);
            }
            time
        }));
    }
    for (name, times) in [(FLOOR, theirs), (APPLY, ours)] {
        if let Some(time) = times.into_iter().min() {
            figures.note(name, services, time);
        }
    }
    for (names, times) in [
        ([SERVERS, ADDRESSES], our_parts),
        ([FLOOR_SERVERS, FLOOR_ADDRESSES], their_parts),
    ] {
        for (part, name) in names.into_iter().enumerate() {
            if let Some(time) = times.iter().map(|times| times[part]).min() {
                figures.note(name, services, time);
            }
        }
    }
}

/// Does something in a network namespace of its own, and waits until the kernel, in the background, has taken
/// that down: until memory no longer becomes free.
fn fresh<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let namespace = Netns::new().expect("a network namespace");
    let done = namespace.run(work);
    drop(namespace);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut free = benches::machine::free_memory();
    loop {
        sleep(Duration::from_millis(300));
        let more = benches::machine::free_memory();
        if more <= free + (1 << 20) || Instant::now() > deadline {
            return done;
        }
        free = more;
    }
}

/// An engine that was told a cluster, and its plan for a kernel that has nothing of it.
fn planned(services: u32) -> (Engine, LinuxKernel, Plan) {
    let mut kernel = LinuxKernel::open().expect("a kernel");
    let mut engine = started(benches::cluster(services, ENDPOINTS));
    engine.set_host(kernel.host(benches::NODE).expect("links"));
    let plan = engine.audit(&kernel.observe().expect("an empty kernel"));
    (engine, kernel, plan)
}

/// How long virtual servers with their destinations take, and how long addresses, as plans of their own.
fn in_parts(services: u32) -> [Duration; 2] {
    let (mut engine, mut kernel, _) = planned(services);
    [Phase::Rules, Phase::Serve, Phase::Destroy]
        .map(|last| {
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
        })
        .last_chunk()
        .copied()
        .expect("three parts")
}

fn programmed(services: u32) -> (Engine, LinuxKernel, Duration) {
    let (mut engine, mut kernel, plan) = planned(services);
    let start = Instant::now();
    let applied = kernel.apply(&plan);
    let time = start.elapsed();
    assert!(applied.is_ok(), "{:?}", applied.failures.first());
    engine.applied(&plan, &applied);
    drop(plan);
    if services <= READ_BACK {
        let found = kernel.observe().expect("the kernel's state");
        assert!(reconcile(&engine.desired(), &found).is_empty(), "all there");
    }
    (engine, kernel, time)
}

/// A change taken in, planned, carried out and believed.
pub(crate) fn carried_out(
    engine: &mut Engine,
    kernel: &mut LinuxKernel,
    changes: impl IntoIterator<Item = proxier::cluster::Change>,
) -> Plan {
    changes.into_iter().for_each(|change| engine.change(change));
    let plan = engine.plan();
    let applied = kernel.apply(&plan);
    assert!(applied.is_ok(), "{:?}", applied.failures.first());
    engine.applied(&plan, &applied);
    plan
}

fn steps(engine: &mut Engine, kernel: &mut LinuxKernel, services: u32, effort: Effort) -> Duration {
    let mut wheel = Wheel::new(&benches::cluster(services, ENDPOINTS));
    median(
        effort.turns() * 8,
        || wheel.endpoint_changed(),
        |change| {
            let plan = carried_out(engine, kernel, change);
            assert!(!plan.is_empty(), "a change changes something");
            plan
        },
    )
}

/// What the C loop sends, and the sets it finds there.
struct Recordings {
    members: Recording,
    servers: Recording,
    addresses: Recording,
    sets: Vec<ipset_netlink::SetSpec>,
}

impl Recordings {
    fn each(&self) -> [&Recording; 3] {
        [&self.members, &self.servers, &self.addresses]
    }
}

/// Carries a plan out over sockets that remember: sets are filled, virtual servers made, addresses bound.
/// Rules and settings, which are not the netlink's, are left out.
fn record(services: u32) -> Recordings {
    let (engine, kernel, plan) = planned(services);
    drop((engine, kernel));
    let (mut requests, mut entries, mut addresses) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut sets = Vec::new();
    for (_, operation) in plan.iter() {
        match operation {
            Operation::CreateSet(spec) => sets.push((**spec).clone()),
            Operation::AddEntry { set, entry } => {
                let of_set: &mut Vec<_> = entries.entry(*set).or_default();
                of_set.push(entry.clone());
            }
            Operation::AddServer { id, config } => requests.push(Request::NewService {
                id: *id,
                config: *config,
            }),
            Operation::AddDestination {
                server,
                destination,
            } => requests.push(Request::NewDestination {
                service: *server,
                destination: *destination,
            }),
            Operation::BindAddress(address) => addresses.push(host_address(*address)),
            _ => {}
        }
    }
    drop(plan);
    prepare(&sets);
    let keep =
        |name: &str, protocol, log: Log| Recording::new(&format!("scale.{name}"), protocol, &log);

    let (tap, log) = Tap::open(NETLINK_NETFILTER);
    let mut client = ipset_netlink::Client::over(Connection::new(tap)).expect("ipset");
    log.take();
    for (set, entries) in &entries {
        client
            .add(*set, entries, Mode::Strict)
            .expect("members are added");
    }
    let members = keep("ipset", NETLINK_NETFILTER, log.take());

    let (tap, log) = Tap::open(NETLINK_GENERIC);
    let mut client = Client::new(Connection::new(tap)).expect("IPVS");
    log.take();
    let outcome = client.apply(&requests).into_result();
    outcome.expect("virtual servers are added");
    drop(requests);
    let servers = keep("ipvs", NETLINK_GENERIC, log.take());

    let (tap, log) = Tap::open(NETLINK_ROUTE);
    let mut client = dummy_link::Client::new(Connection::new(tap));
    client.link(link()).expect("the link");
    log.take();
    let bound = client.add_addresses(link(), &addresses).expect("the link");
    assert!(bound.iter().all(Result::is_ok), "addresses are bound");
    let mut log = log.take();
    // The link is looked up first; the loop knows its index.
    log.sent.retain(|datagram| is_address(datagram));
    let addresses = keep("addresses", NETLINK_ROUTE, log);
    Recordings {
        members,
        servers,
        addresses,
        sets,
    }
}

/// Whether the first message of a datagram is `RTM_NEWADDR`.
fn is_address(datagram: &[u8]) -> bool {
    datagram
        .get(4..6)
        .is_some_and(|kind| kind == 20_u16.to_ne_bytes())
}

fn link() -> LinkName {
    LinkName::new("kube-ipvs0").expect("a link's name")
}

/// Makes the link and the sets, empty.
fn prepare(sets: &[ipset_netlink::SetSpec]) {
    let mut links = dummy_link::Client::open().expect("links");
    links.ensure(link()).expect("the link is made");
    let mut client = ipset_netlink::Client::open().expect("ipset");
    for spec in sets {
        client.create(spec, Mode::Strict).expect("a set is made");
    }
}
