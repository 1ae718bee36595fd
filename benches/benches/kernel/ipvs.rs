//! Virtual servers and destinations.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ipvs_netlink::{
    Client, Destination, DestinationConfig, Protocol, Request, SaveLine, Scheduler,
    VirtualServerConfig, VirtualServerId,
};
use kernel_test::Netns;
use netlink_batch::uapi::NETLINK_GENERIC;
use netlink_batch::{Connection, Transport};

use crate::Results;
use crate::floor::{Floor, Recording};
use crate::measure::{Bound, Target, Way, measure, table};
use crate::tap::{Log, Tap};
use crate::tool::Tool;

pub(crate) const TITLE: &str = "1,000 virtual servers with 10 destinations each";

const SERVICES: u32 = 1_000;
const DESTINATIONS: u32 = 10;
const OBJECTS: u32 = SERVICES * (1 + DESTINATIONS);

/// For what is too slow to be watched in full.
const FEW: u32 = 100;

pub(crate) fn results(floor: Option<&Floor>) -> Results {
    let requests = requests(SERVICES);
    let batched = fresh(SERVICES, || {
        log(|client| client.apply(&requests).into_result())
    });
    let single = fresh(SERVICES, || log(|client| one_by_one(client, &requests)));
    let recording = Recording::new("ipvs.datagrams", NETLINK_GENERIC, &batched);
    let tool = Tool::new(&["ipvsadm", "-R"], "ipvs.rules", &rules(SERVICES));
    let few = Tool::new(&["ipvsadm", "-R"], "ipvs.few-rules", &rules(FEW));
    let few_calls = fresh(FEW, || few.calls());

    let mut ways = Vec::new();
    if let Some(floor) = floor {
        let calls = fresh(SERVICES, || floor.run(&recording)).1;
        let run = || fresh(SERVICES, || floor.run(&recording).0);
        ways.push(Way::new("C loop, pre-encoded", 25, run).calls(per_object(calls)));
    }
    let apply = || {
        let mut client = Client::open().expect("IPVS");
        timed(|| client.apply(&requests).into_result())
    };
    let apply = || fresh(SERVICES, apply);
    ways.push(Way::new("`Client::apply`", 25, apply).calls(per_object(batched.calls)));
    let request = || {
        let mut client = Client::open().expect("IPVS");
        timed(|| one_by_one(&mut client, &requests))
    };
    let request = || fresh(SERVICES, request);
    ways.push(Way::new("`Client::request` each", 7, request).calls(per_object(single.calls)));
    let restore = || fresh(SERVICES, || tool.run());
    let calls = few_calls.map(|calls| calls / f64::from(FEW * (1 + DESTINATIONS)));
    ways.push(Way::new("`ipvsadm -R`", 3, restore).calls(calls));

    let measured = measure(ways);
    let mut targets = Vec::new();
    if let [before @ .., apply, request, restore] = measured.as_slice() {
        if let [floor] = before {
            let what = "`Client::apply` / C loop";
            targets.push(Target::ratio(what, apply, floor, Bound::AtMost(1.5)));
        }
        let what = "`Client::request` each / `Client::apply`";
        targets.push(Target::ratio(what, request, apply, Bound::AtLeast(15.0)));
        let what = "`ipvsadm -R` / `Client::apply`";
        targets.push(Target::ratio(what, restore, apply, Bound::AtLeast(100.0)));
        let what = "`Client::apply`, system calls per object";
        targets.push(Target::calls(what, apply, Bound::AtMost(0.05)));
    }
    (table(&measured, OBJECTS), targets)
}

/// As other libraries do: each request waits for the answer to the one before.
fn one_by_one<T: Transport>(
    client: &mut Client<T>,
    requests: &[Request],
) -> ipvs_netlink::Result<()> {
    requests
        .iter()
        .try_for_each(|request| client.request(request))
}

fn per_object(calls: u32) -> Option<f64> {
    Some(f64::from(calls) / f64::from(OBJECTS))
}

/// What a client sends.
fn log(send: impl FnOnce(&mut Client<Tap>) -> ipvs_netlink::Result<()>) -> Log {
    let (tap, log) = Tap::open(NETLINK_GENERIC);
    let mut client = Client::new(Connection::new(tap)).expect("IPVS");
    log.take();
    send(&mut client).expect("all requests succeed");
    log.take()
}

fn timed(work: impl FnOnce() -> ipvs_netlink::Result<()>) -> Duration {
    let start = Instant::now();
    let result = work();
    let time = start.elapsed();
    result.expect("all requests succeed");
    time
}

/// Does something in a new network namespace, with an empty table, and sees that it made so many virtual
/// servers. In one that was used before, the kernel looks through the destinations that were deleted
/// whenever one is added.
fn fresh<T: Send>(services: u32, work: impl FnOnce() -> T + Send) -> T {
    let namespace = Netns::new().expect("a network namespace");
    let done = namespace.run(|| {
        let done = work();
        let mut client = Client::open().expect("IPVS");
        let table = client.table().expect("the table");
        let destinations = table.iter().map(|entry| entry.destinations.len());
        let found = (table.len(), destinations.sum::<usize>());
        let expected = (services as usize, (services * DESTINATIONS) as usize);
        assert_eq!(found, expected);
        done
    });
    drop(namespace);
    // The kernel takes it down in the background, which would disturb what comes next.
    sleep(Duration::from_millis(500));
    done
}

fn requests(services: u32) -> Vec<Request> {
    lines(services).map(Request::from).collect()
}

fn rules(services: u32) -> String {
    lines(services).map(|line| format!("{line}\n")).collect()
}

/// Virtual servers, each followed by its destinations.
fn lines(services: u32) -> impl Iterator<Item = SaveLine> {
    let config = VirtualServerConfig::new(Scheduler::RR);
    (0..services).flat_map(move |s| {
        let id = VirtualServerId::Address {
            protocol: Protocol::TCP,
            address: numbered(10, s),
            port: 80,
        };
        let destination = move |d| SaveLine::AddDestination {
            service: id,
            destination: Destination {
                id: (numbered(100, s * DESTINATIONS + d), 8080).into(),
                config: DestinationConfig::masquerade(1),
            },
        };
        std::iter::once(SaveLine::AddService { id, config })
            .chain((0..DESTINATIONS).map(destination))
    })
}

fn numbered(net: u8, n: u32) -> std::net::IpAddr {
    let [_, b, c, d] = (n + 1).to_be_bytes();
    Ipv4Addr::new(net, b, c, d).into()
}
