//! What large clusters cost: bytes, processor time and memory of a process that follows one with a kernel in memory.
//!
//! ```sh
//! cargo test --release -p kube-proxier --test watch -- --ignored --exact --nocapture large::of_10000 large::of_50000
//! cargo test --release -p kube-proxier --test watch -- --ignored --exact --nocapture large::alone
//! ```

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kube_proxier::sync::{Observer, Report, Syncer, run};
use kube_proxier::watch::{self, ApiSource, Counters, Interest, NodeScope, Timing};
use kube_proxier::{Event, Machine, Stop};
use proxier::{Config, MemoryKernel};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use crate::api_server::{ApiServer, WRITTEN};
use crate::each::Api;
use crate::forgetful::Forgetful;
use crate::objects::{NODE, node};

/// The variable that makes this program the process that is measured: where the server is.
const SERVER: &str = "PROXIER_LARGE_SERVER";
/// The variable that names a program, with arguments, that runs that process: a profiler, such as `heaptrack -o file`.
const UNDER: &str = "PROXIER_LARGE_UNDER";
/// The variable by which that process has a kernel that keeps nothing.
const FORGETFUL: &str = "PROXIER_LARGE_FORGETFUL";
const ENDPOINTS: u32 = 10;
/// Changes of the stream, and how many a second there shall be.
const CHANGES: u32 = 50_000;
const RATE: u32 = 10_000;
/// How often the daemon alone is started on one cluster.
const RUNS: u32 = 5;

fn address(network: u32, number: u32) -> String {
    Ipv4Addr::from(network + number).to_string()
}

/// What every object has that somebody applied.
fn metadata(name: &str, number: u32) -> Value {
    json!({
        "name": name, "namespace": "default", "uid": format!("6f1c2a7e-8f0b-4c55-9d4e-{number:012}"),
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "labels": {"app": name, "kubernetes.io/service-name": name},
        "managedFields": [{
            "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2026-01-31T12:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:ports": {}}},
        }],
    })
}

fn service(number: u32) -> Value {
    let address = address(0x0a60_0000, number + 1);
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata(&format!("service-{number}"), number),
        "spec": {
            "type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"],
            "selector": {"app": format!("service-{number}")}, "sessionAffinity": "None",
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
        },
    })
}

/// With its first endpoint the one of that number.
fn slice(number: u32, first: u32) -> Value {
    let name = format!("service-{number}");
    let mut metadata = metadata(&name, number);
    metadata["name"] = format!("{name}-abcde").into();
    let endpoints: Vec<_> = (0..ENDPOINTS)
        .map(|n| {
            let address = match n {
                0 => address(0x0b00_0000, first % (1 << 24)),
                n => address(0x0c00_0000, number * ENDPOINTS + n),
            };
            json!({
                "addresses": [address], "nodeName": format!("node-{}", n % 7), "zone": "zone-a",
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "targetRef": {"kind": "Pod", "name": format!("{name}-{n}"), "namespace": "default",
                              "uid": format!("8a1c2a7e-8f0b-4c55-9d4e-{number:012}")},
            })
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "metadata": metadata,
        "endpoints": endpoints, "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
    })
}

/// The process that is measured.
struct Measured {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Measured {
    fn start(server: &ApiServer, forgetful: bool) -> Self {
        let under = std::env::var(UNDER).unwrap_or_default();
        let this = std::env::current_exe().unwrap();
        let mut words: Vec<_> = under.split_whitespace().map(Into::into).collect();
        words.push(this.into_os_string());
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .args(["--ignored", "--exact", "large::child", "--nocapture"])
            .env(SERVER, server.url())
            // As the daemon has it (`kube_proxier::heap`).
            .env("MALLOC_ARENA_MAX", "1")
            .envs(forgetful.then_some((FORGETFUL, "")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// The next line that begins so, without that.
    fn line(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "no {begin}");
            if let Some((_, rest)) = line.split_once(begin) {
                return rest.trim().to_owned();
            }
        }
    }

    fn processor_time(&self) -> Duration {
        processor_time(&self.child.id().to_string())
    }

    /// How many syncs it has made, and how many events it has received.
    fn counts(&mut self) -> (usize, usize) {
        self.to.write_all(b"\n").unwrap();
        let line = self.line("counts ");
        let (syncs, events) = line.split_once(' ').unwrap();
        (syncs.parse().unwrap(), events.parse().unwrap())
    }

    fn memory(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let field = |name| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            kib / 1024.0
        };
        format!(
            "{:.1} MiB anonymous, {:.1} of files, {:.1} at the peak",
            field("RssAnon:"),
            field("RssFile:"),
            field("VmHWM:")
        )
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The time that all threads of a process have run, as the scheduler counts it (`schedstat` of proc(5)).
fn processor_time(process: &str) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of_thread = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let first = text.split(' ').next().and_then(|text| text.parse().ok());
        first.unwrap_or(0)
    };
    Duration::from_nanos(threads.map(|thread| of_thread(thread.unwrap())).sum())
}

/// A server with so many Services that has protobuf, and one that has JSON only.
fn servers(services: u32) -> impl Iterator<Item = (&'static str, ApiServer)> {
    let formats = [("protobuf", Api::Http1), ("JSON", Api::JsonOnly)];
    formats.into_iter().map(move |(name, api)| {
        let server = api.start();
        server.put(node(NODE));
        for number in 0..services {
            server.put(service(number));
            server.put(slice(number, number));
        }
        (name, server)
    })
}

fn measure(services: u32) {
    for (name, server) in servers(services) {
        let written = WRITTEN.load(Ordering::Relaxed);
        let of_server = processor_time("self");
        let mut measured = Measured::start(&server, false);
        measured.line("listed");
        let bytes = WRITTEN.load(Ordering::Relaxed) - written;
        let of_server = processor_time("self").saturating_sub(of_server);
        println!(
            "{services} Services x {ENDPOINTS} in {name}: {bytes} bytes; listed after {:.2?} of processor time, {:.2?} of the \
             stand-in; {}",
            measured.processor_time(),
            of_server,
            measured.memory()
        );
        measured.line("synced");
        println!(
            "{services} Services x {ENDPOINTS} in {name}: in the kernel in memory after {:.2?} of processor time; {}",
            measured.processor_time(),
            measured.memory()
        );
        follow(&server, &mut measured, services, name);
        println!(
            "{services} Services x {ENDPOINTS} in {name}: at the end {}",
            measured.memory()
        );
        drop(measured);
        measure_alone(services, name, &server);
    }
}

/// The daemon alone: its kernel keeps nothing.
fn measure_alone(services: u32, name: &str, server: &ApiServer) {
    let mut measured = Measured::start(server, true);
    measured.line("synced");
    println!(
        "{services} Services x {ENDPOINTS} in {name}: the daemon alone after {:.2?} of processor time {}",
        measured.processor_time(),
        measured.memory()
    );
}

/// Changes one endpoint after another.
fn follow(server: &ApiServer, measured: &mut Measured, services: u32, name: &str) {
    let (syncs, events) = measured.counts();
    let before = measured.processor_time();
    let written = WRITTEN.load(Ordering::Relaxed);
    let began = Instant::now();
    for number in 0..CHANGES {
        server.put(slice(number % services, services + number));
        let due = began + Duration::from_secs(1) * number / RATE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let received = loop {
        let (syncs_now, events_now) = measured.counts();
        if events_now - events >= CHANGES as usize {
            break syncs_now - syncs;
        }
        thread::sleep(Duration::from_millis(10));
    };
    let took = began.elapsed().as_secs_f64();
    let each = (measured.processor_time() - before) / CHANGES;
    let bytes = (WRITTEN.load(Ordering::Relaxed) - written) / u64::from(CHANGES);
    println!(
        "{services} Services x {ENDPOINTS} in {name}: {CHANGES} changes, {:.0} a second, {bytes} bytes each, {received} syncs: \
         {each:.2?} of processor time each, at {RATE} a second {:.0} % of a processor",
        f64::from(CHANGES) / took,
        each.as_secs_f64() * f64::from(RATE) * 100.0
    );
}

#[test]
#[ignore = "a measurement"]
fn of_1000() {
    measure(1000);
}

#[test]
#[ignore = "a measurement"]
fn of_10000() {
    measure(10_000);
}

#[test]
#[ignore = "a measurement, which takes some GB"]
fn of_50000() {
    measure(50_000);
}

#[test]
#[ignore = "a measurement"]
fn alone() {
    for services in [1000, 10_000] {
        for (name, server) in servers(services) {
            for _ in 0..RUNS {
                measure_alone(services, name, &server);
            }
        }
    }
}

/// Counts, and says when everything is listed and in the kernel.
#[derive(Default)]
struct Counted {
    syncs: Arc<AtomicUsize>,
    events: Arc<AtomicUsize>,
    listed: usize,
}

impl<M> Observer<M> for Counted {
    fn received(&mut self, event: &Event) {
        use proxier::cluster::Change::{Nodes, Services, Slices};
        self.events.fetch_add(1, Ordering::Relaxed);
        if let Event::Cluster {
            change: Services(_) | Slices(_) | Nodes(_),
            ..
        } = event
        {
            self.listed += 1;
            if self.listed == 3 {
                println!("listed");
                // So that memory is read before the sync takes its own.
                thread::sleep(Duration::from_millis(500));
            }
        }
    }

    fn queued(&mut self) {}

    fn synced(&mut self, _: &Report, _: &Syncer<M>) {
        if self.syncs.fetch_add(1, Ordering::Relaxed) == 0 {
            println!("synced");
        }
    }
}

/// The daemon's loop on that kernel.
fn keep(kernel: impl Machine, events: Receiver<Event>, mut counted: Counted) {
    let now = Instant::now();
    let syncer = Syncer::new(kernel, NODE, Config::default(), now);
    run(&mut syncer.unwrap(), events, &Stop::default(), &mut counted).unwrap();
}

/// The process that is measured: the daemon's watch and its loop, on a kernel in memory.
#[test]
#[ignore = "run by the others"]
fn child() {
    let Ok(url) = std::env::var(SERVER) else {
        return;
    };
    let counted = Counted::default();
    let (syncs, received) = (Arc::clone(&counted.syncs), Arc::clone(&counted.events));
    let (sender, events) = tokio::sync::mpsc::channel(4096);
    thread::spawn(move || {
        if std::env::var_os(FORGETFUL).is_some() {
            keep(Forgetful, events, counted);
        } else {
            keep(MemoryKernel::new(), events, counted);
        }
    });
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let source = ApiSource {
                kubeconfig: None,
                master: Some(url),
            };
            let client = watch::client(&source).await.unwrap();
            let interest = Interest {
                node_name: NODE,
                node_addresses: &NodeScope::new(true),
            };
            let counters = Arc::<Counters>::default();
            watch::run(client, interest, Timing::default(), counters, sender).await;
        });
    });
    for _ in std::io::stdin().lines() {
        let (syncs, events) = (&syncs, &received);
        println!(
            "counts {} {}",
            syncs.load(Ordering::Relaxed),
            events.load(Ordering::Relaxed)
        );
    }
}
