//! A list of 1,000 Services, and one of their EndpointSlices of 10 endpoints, read from JSON and from protobuf, as the daemon
//! reads them: bytes, also in gzip, and instructions as callgrind counts them.
//!
//! `cargo bench -p proxier-manifest --features encode --bench formats`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a measurement that fails should panic"
)]

use std::env;
use std::fs;
use std::io::Write as _;
use std::process::Command;

use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};
use proxier_manifest::list::{ListKind, RawList};
use proxier_manifest::protobuf::{ListReader, encode};
use proxier_manifest::{Names, read_object};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const SERVICES: u32 = 1_000;
const ENDPOINTS: u32 = 10;
/// What is read of a connection at a time.
const PIECE: usize = 16 << 10;
/// What the daemon unpacks at a time.
const GZIP_PIECE: usize = 512;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [format, list, what, times] = &arguments[..] {
        return child(format, list, what, times.parse().unwrap());
    }
    println!(
        "| list | format | bytes | in gzip | instructions to decode | an object | to unpack |"
    );
    println!("|---|---|---|---|---|---|---|");
    for list in ["services", "slices"] {
        let (kind, value) = cluster(list);
        assert_eq!(
            json(kind, &value.to_string()),
            protobuf(kind, &encode::list(&value))
        );
        for format in ["JSON", "protobuf"] {
            let bytes = written(format, &value);
            let gzip = packed(&bytes).len();
            // What the start costs is in both, and so in neither.
            let [decode, unpack] = ["decode", "unpack"].map(|what| {
                let [once, more] = [1, 11].map(|times| instructions(format, list, what, times));
                (more - once) / 10
            });
            println!(
                "| {list} | {format} | {} | {gzip} | {decode} | {} | {unpack} |",
                bytes.len(),
                decode / u64::from(SERVICES)
            );
        }
    }
}

fn child(format: &str, list: &str, what: &str, times: u32) {
    let (kind, value) = cluster(list);
    let bytes = written(format, &value);
    if what == "unpack" {
        let gzip = packed(&bytes);
        for _ in 0..times {
            let mut decoder = MultiGzDecoder::new(Vec::new());
            for piece in gzip.chunks(GZIP_PIECE) {
                decoder.get_mut().clear();
                decoder.write_all(piece).unwrap();
            }
            decoder.finish().unwrap();
        }
        return;
    }
    for _ in 0..times {
        let read = match format {
            "JSON" => json(kind, std::str::from_utf8(&bytes).unwrap()),
            _ => protobuf(kind, &bytes),
        };
        assert_eq!(read, SERVICES as usize);
    }
}

fn written(format: &str, value: &Value) -> Vec<u8> {
    match format {
        "JSON" => value.to_string().into_bytes(),
        _ => encode::list(value),
    }
}

/// As an API server packs it: at the first level (`defaultGzipContentEncodingLevel` in apiserver's responsewriters).
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// How many instructions it takes to make the list, and to decode it, or to unpack it, so many times.
fn instructions(format: &str, list: &str, what: &str, times: u32) -> u64 {
    let out = env::temp_dir().join(format!("formats-{}", std::process::id()));
    let done = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            &format!("--callgrind-out-file={}", out.display()),
        ])
        .arg(env::current_exe().unwrap())
        .args([format, list, what, &times.to_string()])
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let text = fs::read_to_string(&out).unwrap();
    fs::remove_file(out).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total.unwrap().trim().parse().unwrap()
}

/// As the daemon reads a list in JSON: how many objects can be used.
fn json(kind: ListKind, text: &str) -> usize {
    let list: RawList<&RawValue> = serde_json::from_str(text).unwrap();
    let list = list.check(kind).unwrap();
    let read = list.items.into_iter().map(|item| {
        let mut value: Value = serde_json::from_str(item.get()).unwrap();
        kind.complete(&mut value);
        read_object(value).unwrap()
    });
    read.filter(|read| read.object.is_some() && read.left_out.is_empty())
        .count()
}

/// The same in protobuf.
fn protobuf(kind: ListKind, bytes: &[u8]) -> usize {
    let mut reader = ListReader::new(kind, 1 << 20);
    let (mut count, mut names) = (0, Names::default());
    for piece in bytes.chunks(PIECE) {
        reader.push(piece);
        while let Some(object) = reader.next().unwrap() {
            let read = object.read(&mut names).unwrap();
            count += usize::from(read.object.is_some() && read.left_out.is_empty());
        }
    }
    reader.finish().unwrap();
    count
}

fn cluster(list: &str) -> (ListKind, Value) {
    let (kind, object): (_, fn(u32) -> Value) = match list {
        "services" => (ListKind::Services, service),
        "slices" => (ListKind::EndpointSlices, slice),
        other => panic!("{other}"),
    };
    let items: Vec<_> = (0..SERVICES).map(object).collect();
    let value = json!({"kind": kind.kind(), "apiVersion": kind.api_version(),
        "metadata": {"resourceVersion": "123456789"}, "items": items});
    (kind, value)
}

/// As a Service is that kubectl applied.
fn service(n: u32) -> Value {
    let name = format!("web-{n}");
    let address = format!("10.96.{}.{}", n / 250, n % 250 + 1);
    let applied = format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"annotations":{{}},"labels":{{"app":"{name}"}},"name":"{name}","namespace":"shop"}},"spec":{{"ports":[{{"name":"http","port":80,"targetPort":8080}}],"selector":{{"app":"{name}"}}}}}}"#
    );
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("0a1b2c3d-0000-4000-8000-{n:012}"),
            "resourceVersion": (100_000 + n).to_string(), "creationTimestamp": "2026-01-31T12:00:00Z",
            "labels": {"app": name, "app.kubernetes.io/managed-by": "kubectl"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied},
            "managedFields": [{
                "manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1",
                "time": "2026-01-31T12:00:00Z", "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}},
                        "f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {"f:internalTrafficPolicy": {},
                        "f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {},
                            "f:protocol": {}, "f:targetPort": {}}},
                        "f:selector": {}, "f:sessionAffinity": {}, "f:type": {}}}}]},
        "spec": {
            "type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            "selector": {"app": name},
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}]},
        "status": {"loadBalancer": {}}})
}

/// As the controller makes an EndpointSlice.
fn slice(n: u32) -> Value {
    let service = format!("web-{n}");
    let endpoint = |e: u32| {
        let pod = n * ENDPOINTS + e;
        json!({
            "addresses": [format!("10.244.{}.{}", pod / 250, pod % 250 + 1)],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "nodeName": format!("node-{}", pod % 100), "zone": "zone-a",
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": format!("{service}-5d4f8c7b9-{e:05}"),
                "uid": format!("4f5e6d7c-0000-4000-8000-{pod:012}")}})
    };
    json!({
        "metadata": {
            "name": format!("{service}-abcde"), "generateName": format!("{service}-"), "namespace": "shop",
            "uid": format!("7c8d9e0f-0000-4000-8000-{n:012}"), "resourceVersion": (200_000 + n).to_string(),
            "generation": 3, "creationTimestamp": "2026-01-31T12:00:00Z",
            "labels": {"app": service, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": service},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-31T12:00:00Z"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": service, "controller": true,
                "blockOwnerDeletion": true, "uid": format!("0a1b2c3d-0000-4000-8000-{n:012}")}],
            "managedFields": [{
                "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "discovery.k8s.io/v1",
                "time": "2026-01-31T12:00:00Z", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:addressType": {}, "f:endpoints": {}, "f:ports": {},
                    "f:metadata": {"f:annotations": {".": {}, "f:endpoints.kubernetes.io/last-change-trigger-time": {}},
                        "f:generateName": {}, "f:labels": {".": {}, "f:app": {},
                            "f:endpointslice.kubernetes.io/managed-by": {}, "f:kubernetes.io/service-name": {}},
                        "f:ownerReferences": {".": {}, "k:{\"uid\":\"0a1b2c3d-0000-4000-8000-000000000000\"}": {}}}}}]},
        "addressType": "IPv4",
        "endpoints": (0..ENDPOINTS).map(endpoint).collect::<Vec<_>>(),
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}]})
}
