//! A cluster that changes, and whether the kernel follows.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use proxier::{Config, Kernel, reconcile, translate};
use proxier_linux::LinuxKernel;
use serde_json::{Value, json};

use crate::api_server::ApiServer;

/// The Service that stays as it is.
pub(crate) const STEADY: &str = "10.96.0.10";

pub(crate) fn node() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-a"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.168.10.10"}]},
    })
}

/// A Service of port 80, TCP and UDP.
pub(crate) fn service(name: &str, cluster_ip: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ports": [
                {"name": "tcp", "protocol": "TCP", "port": 80, "targetPort": 8080},
                {"name": "udp", "protocol": "UDP", "port": 80, "targetPort": 8080},
            ],
        },
    })
}

/// Its endpoints, port 8080. Those in 10.244.1.0/24 are on the node.
pub(crate) fn slice(service: &str, endpoints: &[String]) -> Value {
    let node = |address: &str| {
        if address.starts_with("10.244.1.") {
            "node-a"
        } else {
            "node-b"
        }
    };
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|address| {
            json!({"addresses": [address], "conditions": {"ready": true}, "nodeName": node(address)})
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-1"),
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "ports": [
            {"name": "tcp", "protocol": "TCP", "port": 8080},
            {"name": "udp", "protocol": "UDP", "port": 8080},
        ],
        "endpoints": endpoints,
    })
}

/// The node, and the Service that stays, with its pods.
pub(crate) fn steady(server: &ApiServer, pods: &[&str]) {
    let pods: Vec<_> = pods.iter().map(|pod| (*pod).to_owned()).collect();
    server.put(node());
    server.put(service("steady", STEADY));
    server.put(slice("steady", &pods));
}

/// A source of random numbers that gives the same ones each time, for changes that can be told again.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Below `bound`. (Marsaglia's xorshift64.)
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Changes everything but the steady Service, so many times a second, while it is allowed to.
pub(crate) struct Churn {
    running: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Churn {
    pub(crate) fn start(server: &ApiServer, rate: u32, seed: u64) -> Self {
        let [running, stop] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let made = Arc::new(AtomicUsize::new(0));
        let thread = thread::spawn({
            let (running, stop, made) = (running.clone(), stop.clone(), made.clone());
            let server = server.clone();
            move || {
                let mut dice = Dice::new(seed);
                let mut next = Instant::now();
                while !stop.load(Ordering::Acquire) {
                    next = next.max(Instant::now()) + Duration::from_secs(1) / rate;
                    if running.load(Ordering::Acquire) {
                        change(&server, &mut dice);
                        made.fetch_add(1, Ordering::AcqRel);
                    }
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            }
        });
        Self {
            running,
            stop,
            made,
            thread: Some(thread),
        }
    }

    pub(crate) fn go_on(&self) {
        self.running.store(true, Ordering::Release);
    }

    /// When this returns, nothing changes any more.
    pub(crate) fn pause(&self) {
        self.running.store(false, Ordering::Release);
        // One may be under way.
        thread::sleep(Duration::from_millis(50));
    }

    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::Acquire)
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // If it panicked, so does the test, by what it then does not find.
            let _ = thread.join();
        }
    }
}

/// A Service comes, goes or moves; its endpoints come and go.
fn change(server: &ApiServer, dice: &mut Dice) {
    let number = dice.below(40);
    let name = format!("other-{number}");
    let mut low = || u8::try_from(dice.below(200) + 10).unwrap();
    let address = |octets: [u8; 4]| Ipv4Addr::from(octets).to_string();
    let (first, second) = (low(), low());
    match dice.below(10) {
        0 => server.delete(&service(&name, "")),
        1 => server.delete(&slice(&name, &[])),
        2..5 => {
            let mut service = service(&name, &address([10, 96, 1, u8::try_from(number).unwrap()]));
            if dice.below(2) == 0 {
                service["spec"]["externalIPs"] = json!([address([203, 0, 113, first % 8])]);
            }
            server.put(service);
        }
        _ => {
            let count = dice.below(4);
            let pods: Vec<_> = (0..count)
                .map(|n| {
                    address([
                        10,
                        244,
                        first % 4 + 3,
                        second.wrapping_add(u8::try_from(n).unwrap()),
                    ])
                })
                .collect();
            server.put(slice(&name, &pods));
        }
    }
}

/// What the kernel lacks of what the cluster in the server asks for: nothing, in the end.
pub(crate) fn missing(server: &ApiServer, kernel: &mut LinuxKernel, config: &Config) -> String {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": server.objects()});
    let reading = proxier_manifest::read_cluster("server", list.to_string().as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    let host = kernel.host("node-a").unwrap();
    let desired = translate(&reading.cluster, &host, config);
    reconcile(&desired, &kernel.observe().unwrap()).to_string()
}
