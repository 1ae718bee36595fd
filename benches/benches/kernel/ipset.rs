//! Entries of a set.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ipset_netlink::message::Mode;
use ipset_netlink::{Client, Entry, Family, Protocol, SetName, SetSpec, SetType};
use kernel_test::cmd;
use netlink_batch::uapi::NETLINK_NETFILTER;
use netlink_batch::{Connection, Transport};

use crate::Results;
use crate::floor::{Floor, Recording};
use crate::measure::{Bound, Target, Way, measure, table};
use crate::tap::{Log, Tap};
use crate::tool::Tool;

pub(crate) const TITLE: &str = "A set of type `hash:ip,port` with 100,000 entries";

const ENTRIES: u32 = 100_000;
const ALL: usize = ENTRIES as usize;

/// For what is too slow to be watched in full.
const FEW: usize = 1_000;

pub(crate) fn results(floor: Option<&Floor>) -> Results {
    let (spec, entries) = (spec(), entries());
    let log = record(&spec, &entries);
    let recording = Recording::new("ipset.datagrams", NETLINK_NETFILTER, &log);
    let tool = |name, count, tcp| {
        Tool::new(
            &["ipset", "restore"],
            name,
            &text(&spec, entries.iter().take(count), tcp),
        )
    };
    let (as_saved, shorter) = (
        tool("ipset.save", ALL, "tcp:"),
        tool("ipset.shorter", ALL, ""),
    );
    let [saved_calls, shorter_calls] = ["tcp:", ""].map(|tcp| {
        let calls = tool("ipset.few", FEW, tcp).calls();
        cmd("ipset destroy");
        calls.map(|calls| calls / FEW as f64)
    });

    let mut ways = Vec::new();
    if let Some(floor) = floor {
        let calls = floor.run(&recording).1;
        destroy();
        let run = || destroyed(floor.run(&recording).0);
        ways.push(Way::new("C loop, pre-encoded", 11, run).calls(per_object(calls)));
    }
    let ours = || {
        let start = Instant::now();
        let mut client = Client::open().expect("ipset");
        fill(&mut client, &spec, &entries);
        destroyed(start.elapsed())
    };
    ways.push(Way::new("`Client::create`, `Client::add`", 11, ours).calls(per_object(log.calls)));
    let restore = || destroyed(as_saved.run());
    ways.push(Way::new("`ipset restore`", 3, restore).calls(saved_calls));
    // As `ipset save` has it, each line says `tcp:`, which is looked up in /etc/protocols.
    let restore = || destroyed(shorter.run());
    let name = "`ipset restore`, lines without `tcp:`";
    ways.push(Way::new(name, 5, restore).calls(shorter_calls));

    let measured = measure(ways);
    let mut targets = Vec::new();
    if let [.., ours, restore, shorter] = measured.as_slice() {
        let what = "`ipset restore` / `Client::add`";
        targets.push(Target::ratio(what, restore, ours, Bound::AtLeast(1.0)));
        let what = "`ipset restore`, lines without `tcp:` / `Client::add`";
        targets.push(Target::ratio(what, shorter, ours, Bound::AtLeast(1.0)));
        let what = "`Client::add`, system calls per object";
        targets.push(Target::calls(what, ours, Bound::AtMost(0.05)));
    }
    (table(&measured, ENTRIES), targets)
}

fn per_object(calls: u32) -> Option<f64> {
    Some(f64::from(calls) / f64::from(ENTRIES))
}

fn record(spec: &SetSpec, entries: &[Entry]) -> Log {
    let (tap, log) = Tap::open(NETLINK_NETFILTER);
    let mut client = Client::over(Connection::<Tap>::new(tap)).expect("ipset");
    log.take();
    fill(&mut client, spec, entries);
    destroy();
    log.take()
}

fn fill<T: Transport>(client: &mut Client<T>, spec: &SetSpec, entries: &[Entry]) {
    client.create(spec, Mode::Strict).expect("a set");
    client
        .add(spec.name, entries, Mode::Strict)
        .expect("its entries");
}

fn destroyed(time: Duration) -> Duration {
    destroy();
    time
}

/// Sees that all entries are there, and destroys the set.
fn destroy() {
    let header = cmd("ipset list -terse bench");
    let number = format!("Number of entries: {ENTRIES}");
    assert!(header.contains(&number), "{header}");
    cmd("ipset destroy bench");
    // The kernel frees its memory a moment later.
    sleep(Duration::from_millis(100));
}

fn spec() -> SetSpec {
    let name = SetName::new("bench").expect("a name");
    let mut spec = SetSpec::hash(name, SetType::HASH_IP_PORT, Family::V4);
    spec.options.maxelem = Some(ENTRIES.next_power_of_two());
    spec
}

fn entries() -> Vec<Entry> {
    let entry = |n: u32| {
        let [_, b, c, d] = n.to_be_bytes();
        Entry::ip_port(Ipv4Addr::new(10, b, c, d).into(), Protocol::TCP, 80)
    };
    (1..=ENTRIES).map(entry).collect()
}

/// What `ipset save` would print, with `tcp` in place of `tcp:`.
fn text<'a>(spec: &SetSpec, entries: impl Iterator<Item = &'a Entry>, tcp: &str) -> String {
    let mut text = format!("{spec}\n");
    for entry in entries {
        let entry = entry.to_string().replace("tcp:", tcp);
        let _ = writeln!(text, "add {} {entry}", spec.name);
    }
    text
}
