//! What a change of one endpoint costs, from the bytes of its event to the kernel in memory, as callgrind counts instructions:
//! they do not depend on what else the machine does.
//!
//! ```sh
//! cargo bench -p kube-proxier --bench change [-- SERVICES]
//! cargo bench -p kube-proxier --bench change -- run FORMAT SERVICES TOGETHER CHANGES
//! ```
//!
//! The second form does the work that is counted, without callgrind: `FORMAT` is `json` or `protobuf`, and `TOGETHER` is how
//! many changes come in one sync. It prints the processor time of a change.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a measurement that fails should panic"
)]

use std::collections::HashMap;
use std::env;
use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use kube_proxier::Event;
use kube_proxier::sync::Syncer;
use proxier::cluster::{Change, Endpoint, EndpointSlice, ObjectName};
use proxier::{Config, MemoryKernel};
use proxier_manifest::json::PlainObject;
use proxier_manifest::list::ListKind;
use proxier_manifest::protobuf::{self, encode};
use proxier_manifest::{Names, Object, ObjectReading, read_object};
use serde_json::{Value, json};

const ENDPOINTS: u32 = 10;
/// A prime, so that all Services have their turn in an order that no cache foresees.
const STRIDE: usize = 7_919;
/// What passes between two syncs.
const TICK: Duration = Duration::from_millis(20);

/// What is counted: a name, and the function that does it with all that it calls. Those below `step` are parts of it, and
/// `drained` makes a plan.
const PARTS: [(&str, &str); 9] = [
    ("decode", "change::decode"),
    ("take in", "change::take"),
    ("sync", "change::step"),
    ("- Engine::plan", "proxier::engine::Engine::plan"),
    (
        "-- translate",
        "proxier::engine::stale::<impl proxier::engine::Engine>::refresh",
    ),
    ("- Engine::applied", "proxier::engine::Engine::applied"),
    ("- Engine::drained", "proxier::engine::Engine::drained"),
    (
        "- MemoryKernel::apply",
        "<proxier::kernel::memory::MemoryKernel as proxier::kernel::Kernel>::apply",
    ),
    ("floor: two bare maps", "change::keep"),
];

fn main() {
    let arguments: Vec<_> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [run, format, services, together, changes] = &arguments[..]
        && run == "run"
    {
        let number = |text: &String| text.parse().unwrap();
        return child(format, number(services), number(together), number(changes));
    }
    let services = arguments
        .first()
        .map_or(1_000, |text| text.parse().unwrap());
    println!("Instructions of a change of one of {ENDPOINTS} endpoints, {services} Services");
    for format in ["json", "protobuf"] {
        for together in [1, 50] {
            println!("{format}, {together} changes a sync");
            // What the start costs is in both, and so in neither.
            let [few, many] =
                [1, 3].map(|rounds| counted(format, services, together, rounds * services));
            for (name, function) in PARTS {
                let count =
                    |of: &HashMap<String, u64>| of.get(function).copied().unwrap_or_default();
                let each = (count(&many) - count(&few)) / (2 * services as u64);
                println!("  {name:<24} {each:>8}");
            }
        }
    }
}

/// The slices in both of their versions, as they come.
struct Wire {
    format: String,
    versions: [Vec<Vec<u8>>; 2],
    names: Names,
}

fn child(format: &str, services: usize, together: usize, changes: usize) {
    let numbers = 0..u32::try_from(services).unwrap();
    let encoded = |version| {
        let event = |number| match format {
            "json" => json!({"type": "MODIFIED", "object": slice(number, version)})
                .to_string()
                .into_bytes(),
            "protobuf" => encode::event("MODIFIED", &encode::object(&slice(number, version))),
            other => panic!("{other}"),
        };
        numbers.clone().map(event).collect()
    };
    let mut wire = Wire {
        format: format.into(),
        versions: [encoded(0), encoded(1)],
        names: Names::default(),
    };
    let mut now = Instant::now();
    let mut config = Config::default();
    config.min_sync_period = Duration::ZERO;
    config.sync_period = Duration::from_secs(1 << 20);
    let mut syncer = Syncer::new(MemoryKernel::new(), "node-a", config, now).unwrap();
    let objects = |object: fn(u32) -> Value| {
        numbers
            .clone()
            .map(object)
            .map(read_object)
            .map(|read| read.unwrap().object)
    };
    let all = objects(service).map(|object| match object {
        Some(Object::Service(service)) => *service,
        other => panic!("{other:?}"),
    });
    take(&mut syncer, Change::Services(all.collect()), now);
    let all = objects(|number| slice(number, 0)).map(|object| match object {
        Some(Object::Slice(slice)) => *slice,
        other => panic!("{other:?}"),
    });
    take(&mut syncer, Change::Slices(all.collect()), now);
    take(&mut syncer, Change::Nodes(Vec::new()), now);
    assert!(step(&mut syncer, now));

    let began = processor_time();
    let mut done = 0;
    while done < changes {
        for at in done..changes.min(done + together) {
            let change = decode(&mut wire, (at / services + 1) % 2, at * STRIDE % services);
            take(&mut syncer, change, now);
        }
        done += together;
        now += TICK;
        assert!(step(&mut syncer, now));
    }
    let took = processor_time() - began;
    println!("{:.2} µs", took.as_secs_f64() * 1e6 / changes as f64);
    let mut bare = Bare::default();
    for at in 0..changes {
        let change = read(&mut wire, (at / services + 1) % 2, at * STRIDE % services);
        keep(&mut bare, change);
    }
    black_box(&bare);
}

#[inline(never)]
fn decode(wire: &mut Wire, version: usize, number: usize) -> Change {
    read(wire, version, number)
}

#[inline(never)]
fn read(wire: &mut Wire, version: usize, number: usize) -> Change {
    let bytes = wire.versions.get(version).unwrap().get(number).unwrap();
    let read = match &*wire.format {
        "json" => {
            let (_, object) = PlainObject::event::<&str>(ListKind::EndpointSlices, bytes).unwrap();
            object.read(&mut wire.names).unwrap()
        }
        _ => match protobuf::Event::decode(ListKind::EndpointSlices, bytes.get(4..).unwrap())
            .unwrap()
        {
            protobuf::Event::Object(_, object) => object.read(&mut wire.names).unwrap(),
            _ => ObjectReading::default(),
        },
    };
    match read.object {
        Some(Object::Slice(slice)) => Change::Slice(slice),
        other => panic!("{other:?}"),
    }
}

#[inline(never)]
fn take(syncer: &mut Syncer<MemoryKernel>, change: Change, now: Instant) {
    let triggered = Some(SystemTime::UNIX_EPOCH);
    syncer.take(Event::Cluster { change, triggered }, now);
}

#[inline(never)]
fn step(syncer: &mut Syncer<MemoryKernel>, now: Instant) -> bool {
    let report = syncer.step(|| now);
    report.is_some_and(|report| report.is_ok() && report.done() > 0)
}

/// What nothing that keeps the cluster and the kernel's state can do without: a change is put in its place in a map by name, and
/// its endpoints in another by address.
#[derive(Default)]
struct Bare {
    slices: HashMap<ObjectName, EndpointSlice>,
    destinations: HashMap<IpAddr, Vec<Endpoint>>,
}

#[inline(never)]
fn keep(bare: &mut Bare, change: Change) {
    let Change::Slice(slice) = change else {
        panic!("{change:?}");
    };
    // The second one never moves.
    let key = slice.endpoints.get(1).unwrap().address;
    bare.destinations.insert(key, slice.endpoints.clone());
    bare.slices.insert(slice.name.clone(), *slice);
}

/// How many instructions each part takes in all, by its function.
fn counted(format: &str, services: usize, together: usize, changes: usize) -> HashMap<String, u64> {
    let out = env::temp_dir().join(format!("change-{}", std::process::id()));
    let done = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            &format!("--callgrind-out-file={}", out.display()),
        ])
        .arg(env::current_exe().unwrap())
        .args([
            "run",
            format,
            &services.to_string(),
            &together.to_string(),
            &changes.to_string(),
        ])
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let done = Command::new("callgrind_annotate")
        .args(["--inclusive=yes", "--threshold=100", "--show-percs=no"])
        .arg(&out)
        .output()
        .unwrap();
    fs::remove_file(out).unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let mut all = HashMap::new();
    for line in text.lines() {
        let Some((count, place)) = line.trim_start().split_once("  ") else {
            continue;
        };
        let Ok(count) = count.replace(',', "").parse::<u64>() else {
            continue;
        };
        let function = PARTS.iter().find(|(_, function)| is_of(place, function));
        if let Some((_, function)) = function {
            // Listed once for each file of which code was inlined, and with all that it calls for its own.
            let whole = all.entry((*function).to_owned()).or_insert(0);
            *whole = count.max(*whole);
        }
    }
    all
}

/// Whether a place, `FILE:FUNCTION [OBJECT]`, is in a function.
fn is_of(place: &str, function: &str) -> bool {
    let place = place.split_once(" [").map_or(place, |(place, _)| place);
    let name = place.split_once(':').map_or(place, |(_, name)| name);
    name == function || name.split("'2").next() == Some(function)
}

/// Processor time of this thread (`schedstat` of proc(5): nanoseconds).
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next();
    Duration::from_nanos(first.and_then(|ns| ns.parse().ok()).unwrap_or_default())
}

fn address(network: u32, number: u32) -> String {
    Ipv4Addr::from(network + number).to_string()
}

fn metadata(name: &str, service: &str) -> Value {
    json!({
        "name": name, "namespace": "default", "uid": "6f1c2a7e-8f0b-4c55-9d4e-000000000000", "resourceVersion": "123456789",
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "labels": {"app": service, "kubernetes.io/service-name": service},
        "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-31T12:00:00Z"},
        "managedFields": [{
            "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2026-01-31T12:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:ports": {}}},
        }],
    })
}

fn service(number: u32) -> Value {
    let (name, address) = (
        format!("service-{number}"),
        address(0x0a60_0000, number + 1),
    );
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata(&name, &name),
        "spec": {
            "type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"],
            "selector": {"app": name}, "sessionAffinity": "None",
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
        },
    })
}

/// With its first endpoint in one of two places.
fn slice(number: u32, version: u32) -> Value {
    let service = format!("service-{number}");
    let endpoint = |n: u32| {
        let address = match n {
            0 => address(0x0b00_0000 + (version << 20), number),
            n => address(0x0c00_0000, number * ENDPOINTS + n),
        };
        json!({
            "addresses": [address], "nodeName": format!("node-{}", n % 7), "zone": "zone-a",
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "name": format!("{service}-{n}"), "namespace": "default",
                          "uid": "8a1c2a7e-8f0b-4c55-9d4e-000000000000"},
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": metadata(&format!("{service}-abcde"), &service),
        "endpoints": (0..ENDPOINTS).map(endpoint).collect::<Vec<_>>(),
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
    })
}
