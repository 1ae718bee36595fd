//! What is allocated while a change of an EndpointSlice is read. One test to a program: it counts what this process allocates.

#![allow(clippy::unwrap_used, reason = "a test that fails should panic")]

use proxier_manifest::json::PlainObject;
use proxier_manifest::list::ListKind;
use proxier_manifest::protobuf::{Event, encode};
use proxier_manifest::{Names, ObjectReading};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The box of a slice, its name, the name of its Service, its ports and its endpoints.
const OF_SLICE: u64 = 5;

/// While it is read: its ports.
const MOST_IN_PROTOBUF: u64 = OF_SLICE + 1;
/// In JSON it is not known before how many endpoints there are, so their list grows; and there is the annotation that is wanted.
const MOST_IN_JSON: u64 = OF_SLICE + 6;

#[test]
fn a_slice_that_is_read_takes_few_allocations() {
    let slice = slice();
    let in_protobuf = encode::event("MODIFIED", &encode::object(&slice));
    let in_json = json!({"type": "MODIFIED", "object": slice}).to_string();
    let mut names = Names::default();
    let protobuf = |names: &mut Names| {
        let event = Event::decode(ListKind::EndpointSlices, in_protobuf.get(4..).unwrap());
        match event.unwrap() {
            Event::Object(_, object) => object.read(names).unwrap(),
            _ => ObjectReading::default(),
        }
    };
    let json = |names: &mut Names| {
        let (_, object) =
            PlainObject::event::<&str>(ListKind::EndpointSlices, in_json.as_bytes()).unwrap();
        object.read(names).unwrap()
    };
    let _profiler = dhat::Profiler::builder().testing().build();
    // The thread that started this one may allocate something meanwhile, but not each time.
    let mut blocks = |read: &dyn Fn(&mut Names) -> ObjectReading| {
        assert!(read(&mut names).object.is_some());
        let times = (0..5).map(|_| {
            let before = dhat::HeapStats::get().total_blocks;
            drop(read(&mut names));
            dhat::HeapStats::get().total_blocks - before
        });
        times.min().unwrap()
    };
    let (protobuf, json) = (blocks(&protobuf), blocks(&json));
    println!("{protobuf} allocations in protobuf, {json} in JSON");
    assert!(
        (OF_SLICE..=MOST_IN_PROTOBUF).contains(&protobuf),
        "{protobuf}"
    );
    assert!((OF_SLICE..=MOST_IN_JSON).contains(&json), "{json}");
}

fn slice() -> Value {
    let endpoint = |n: u32| {
        json!({
            "addresses": [format!("10.1.0.{n}")], "nodeName": format!("node-{}", n % 7), "zone": "zone-a",
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "name": format!("web-{n}"), "namespace": "shop"}})
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": "web-abcde", "namespace": "shop", "resourceVersion": "123456",
            "labels": {"app": "web", "kubernetes.io/service-name": "web"},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-31T12:00:00Z"},
            "managedFields": [{"manager": "kube-controller-manager", "fieldsV1": {"f:endpoints": {}}}]},
        "endpoints": (1..=10).map(endpoint).collect::<Vec<_>>(),
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}]})
}
