//! A large cluster: memory, and how long until all of it is in the kernel; in each mode, and what runs of tools it takes.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ipset_netlink::SetName;
use ipvs_netlink::VirtualServerId;
use kernel_test::{cmd, cmd_input, iptables_flavour, script};
use proxier::Kernel as _;
use proxier_linux::LinuxKernel;
use serde_json::Value;
use tempfile::TempDir;

use crate::api_server::{ApiServer, Streams};
use crate::cluster::{node, service, slice};
use crate::daemon::{BINARY, Daemon, PATIENCE, Setup, metric, sync_metric, syncs};

/// KiB.
const LIMIT: u64 = 150 * 1024;

/// The cluster IP of the first one, 10.96.1.0.
pub(crate) const FIRST_SERVICE: u32 = 0x0a60_0100;

pub(crate) fn address_of(network: u32, number: u32) -> String {
    Ipv4Addr::from(network + number).to_string()
}

pub(crate) fn pods_of(service: u32) -> Vec<String> {
    (0..10)
        .map(|n| address_of(0x0a80_0000, service * 10 + n))
        .collect()
}

/// A server with so many Services of ten endpoints each.
pub(crate) fn filled(services: u32) -> ApiServer {
    let server = ApiServer::start();
    fill(&server, services);
    server
}

/// Puts so many Services of ten endpoints each into a server.
pub(crate) fn fill(server: &ApiServer, services: u32) {
    server.put(node());
    for number in 0..services {
        let name = format!("service-{number}");
        let mut one = service(&name, &address_of(FIRST_SERVICE, number));
        // One port, as most have.
        one["spec"]["ports"].as_array_mut().unwrap().truncate(1);
        server.put(one);
        server.put(slice(&name, &pods_of(number)));
    }
    // The guest has 1 GB: how it came to this is of no interest.
    server.compact();
    // As API servers since Kubernetes 1.34 do it: from what they hold encoded already, on a machine of their own.
    server.prepare();
    server.stream_lists(Streams::Served);
}

/// So many Services with ten endpoints each: resident memory stays below 150 MiB.
pub(crate) fn memory_and_time(services: u32) {
    let server = filled(services);
    let setup = Setup::new(&server, "");
    let began = Instant::now();
    let (daemon, mut lines) = setup.start_with_lines(&[]);
    let took = lines.wait_for(" synced ") - began;
    let processor = daemon.processor_time();
    let sync = sync_metric("sum").unwrap_or(f64::NAN);
    let [resident, peak] = daemon.memory();
    assert_eq!(more_heaps(daemon.id()), 0, "all threads have one");
    // Counted, for want of memory to translate all of it again beside the server.
    assert_eq!(metric("kube_proxier_pending_failures"), Some(0.0));
    let mut kernel = LinuxKernel::open().unwrap();
    let state = kernel.observe().unwrap();
    let many = usize::try_from(services).unwrap();
    assert_eq!(state.servers.len(), many);
    let destinations = state.servers.iter().map(|server| server.destinations.len());
    assert_eq!(destinations.sum::<usize>(), many * 10);
    let cluster_ips = &state.sets[&"KUBE-CLUSTER-IP".parse::<SetName>().unwrap()];
    assert_eq!(cluster_ips.entries.len(), many);
    assert_eq!(state.addresses.map(|bound| bound.len()), Some(many));
    let id = state.servers[many / 2].id;
    let mut delays: Vec<_> = (0..5)
        .map(|n| replace(&server, &mut kernel, &id, n))
        .collect();
    delays.sort();
    println!(
        "{services} Services x 10: programmed {took:.1?} after the start (the sync itself: {sync:.2} s), \
         {processor:.1?} of processor time; {resident} KiB resident, {peak} KiB at the peak; \
         one endpoint replaced, until the kernel has it: {:.0?} (median of 5)",
        delays[2]
    );
    assert!(peak < LIMIT, "{peak} KiB");
}

/// How many heaps glibc made beside the first one. It reserves 64 MiB for each, at a multiple of that: `HEAP_MAX_SIZE` in its
/// `malloc/arena.c`.
fn more_heaps(process: u32) -> usize {
    const SIZE: usize = 64 << 20;
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut of_heaps = 0;
    let mut heap = None;
    for line in maps.lines() {
        let (start, rest) = line.split_once('-').unwrap();
        let (end, rest) = rest.split_once(' ').unwrap();
        let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).unwrap());
        if rest.starts_with("rw-p") && start.is_multiple_of(SIZE) {
            heap = Some(start);
        } else if rest.starts_with("---p") && heap.take().is_some_and(|heap| end == heap + SIZE) {
            of_heaps += 1;
        }
    }
    of_heaps
}

/// Replaces an endpoint of the Service in the middle; how long until the kernel has it.
fn replace(
    server: &ApiServer,
    kernel: &mut LinuxKernel,
    id: &VirtualServerId,
    number: u32,
) -> Duration {
    let VirtualServerId::Address { address, .. } = id else {
        panic!("{id}");
    };
    let IpAddr::V4(address) = address else {
        panic!("{address}");
    };
    let service = u32::from(*address) - FIRST_SERVICE;
    // After a quiet while, as most changes come.
    thread::sleep(Duration::from_secs(2));
    let new = address_of(0x0ac8_0000, number);
    server.put(replacement(service, new.clone()));
    let began = Instant::now();
    let there = |kernel: &mut LinuxKernel| {
        let found = kernel.connections(&[*id]).unwrap();
        let destinations = found.iter().flat_map(|server| &server.destinations);
        let mut addresses = destinations.map(|found| found.destination.id.address.to_string());
        addresses.any(|address| address == new)
    };
    while !there(kernel) {
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(1));
    }
    began.elapsed()
}

/// Changes gathered for this long at least, as where others were measured.
const GATHERED: Duration = Duration::from_millis(200);

/// The same cluster in iptables mode and in ipvs mode, one after the other in one guest: prints what each takes.
pub(crate) fn in_both_modes(services: u32) {
    let server = filled(services);
    for mode in ["iptables", "ipvs"] {
        let fields = format!("{mode}: {{minSyncPeriod: {}ms}}\n", GATHERED.as_millis());
        let fields = match mode {
            "iptables" => format!("mode: iptables\n{fields}"),
            _ => fields,
        };
        let restored = Measured::start(&server, services, &fields).print(mode);
        // The next one begins with nothing.
        clean_up();
        if mode == "iptables" {
            print_floor(&restored);
            clean_up();
        }
        for number in 0..services {
            server.put(slice(&format!("service-{number}"), &pods_of(number)));
        }
        server.delete(&service("large", ""));
        server.delete(&slice("large", &[]));
        server.compact();
    }
}

fn clean_up() {
    let output = Command::new(BINARY).arg("--cleanup").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// What was measured of a daemon.
struct Measured<'a> {
    server: &'a ApiServer,
    services: u32,
    setup: Setup,
    daemon: Daemon,
    tools: Tools,
    /// Whether a change of endpoints takes a tool.
    has_tools: bool,
    lines: Vec<String>,
    /// What tools were given for each step.
    restored: Vec<(String, String)>,
}

impl<'a> Measured<'a> {
    fn start(server: &'a ApiServer, services: u32, fields: &str) -> Self {
        let tools = Tools::new();
        let setup = Setup::new(server, fields).tools_in(tools.folder.path());
        let began = Instant::now();
        let mut daemon = setup.start();
        daemon.wait_until("first sync", || {
            (syncs() >= 1.0).then_some(()).ok_or_else(|| setup.log())
        });
        let took = began.elapsed();
        let pending = metric("kube_proxier_pending_failures");
        assert_eq!(pending, Some(0.0), "{}", setup.log());
        let processor = daemon.processor_time();
        let mut measured = Self {
            server,
            services,
            setup,
            daemon,
            tools,
            has_tools: fields.contains("mode: iptables"),
            lines: Vec::new(),
            restored: Vec::new(),
        };
        measured.note("start", took, processor);
        measured
    }

    fn note(&mut self, what: &str, took: Duration, processor: Duration) {
        let taken = self.tools.take();
        self.lines.push(format!(
            "{what}: {took:.1?}, {processor:.1?} of processor time; {} runs of tools, {} bytes restored",
            taken.runs,
            taken.restored.len()
        ));
        if !taken.restored.is_empty() {
            self.restored.push((what.to_owned(), taken.restored));
        }
    }

    /// Makes changes of so many EndpointSlices, and waits until a sync has programmed them.
    fn change(&mut self, what: &str, slices: u32, make: impl FnOnce(&ApiServer)) {
        // After a quiet while, as most changes come.
        thread::sleep(Duration::from_secs(2));
        let seen = || metric("kubeproxy_sync_proxy_rules_endpoint_changes_total");
        let pending = || metric("kubeproxy_sync_proxy_rules_endpoint_changes_pending");
        let before = seen().unwrap();
        let processor = self.daemon.processor_time();
        self.tools.take();
        make(self.server);
        let began = Instant::now();
        let expected = before + f64::from(slices);
        // What the daemon measures of itself takes processor time to ask for: a tool is waited for without.
        if self.has_tools {
            self.daemon.wait_until(what, || match self.tools.ended() {
                0 => Err("no tool has ended".to_owned()),
                _ => Ok(()),
            });
        }
        self.daemon.wait_until(what, || match (seen(), pending()) {
            (Some(seen), Some(0.0)) if seen >= expected => Ok(()),
            other => Err(format!("{other:?}")),
        });
        let took = began.elapsed();
        let pending = metric("kube_proxier_pending_failures");
        assert_eq!(pending, Some(0.0), "{}", self.setup.log());
        let processor = self.daemon.processor_time() - processor;
        self.note(what, took, processor);
    }

    /// Prints how long each step takes, and gives what the tools were given for it.
    fn print(mut self, mode: &str) -> Vec<(String, String)> {
        let middle = self.services / 2;
        for n in 0..3 {
            self.change("one endpoint replaced", 1, |server| {
                server.put(changed(middle, n));
            });
        }
        let many = 100.min(self.services);
        self.change(
            &format!("{many} Services' endpoints at once"),
            many,
            |server| {
                for number in 0..many {
                    server.put(changed(number, number));
                }
            },
        );
        let large = |count| -> Vec<_> { (0..count).map(|n| address_of(0x0a90_0000, n)).collect() };
        let mut one = service("large", &address_of(FIRST_SERVICE, self.services));
        one["spec"]["ports"].as_array_mut().unwrap().truncate(1);
        self.change("a Service of 1,000 endpoints", 1, |server| {
            server.put(one);
            server.put(slice("large", &large(1000)));
        });
        self.change("one of them less", 1, |server| {
            server.put(slice("large", &large(999)));
        });
        let [resident, peak] = self.daemon.memory();
        let lines = self.lines.join("\n  ");
        println!(
            "{mode} mode, {} Services x 10:\n  {lines}\n  {resident} KiB resident, {peak} KiB at the peak",
            self.services
        );
        assert!(peak < LIMIT, "{peak} KiB");
        self.restored
    }
}

/// Endpoints of a Service, one of which is new.
pub(crate) fn changed(service: u32, number: u32) -> Value {
    replacement(service, address_of(0x0ac8_0000, number))
}

/// Endpoints of a Service, the first of which has this address.
pub(crate) fn replacement(service: u32, address: String) -> Value {
    let mut pods = pods_of(service);
    pods[0] = address;
    slice(&format!("service-{service}"), &pods)
}

/// The floor of iptables mode: what `iptables-restore` takes for the same texts, one after the other, on tables without any
/// of these chains.
fn print_floor(restored: &[(String, String)]) {
    println!("iptables-restore --noflush alone, with the same texts:");
    for (what, text) in restored {
        let began = Instant::now();
        let line = format!("iptables-{}-restore -w --noflush", iptables_flavour());
        cmd_input(&line, text);
        println!("  {what}: {:.1?}, {} bytes", began.elapsed(), text.len());
    }
}

/// The iptables tools behind scripts that note each run, and keep what is restored of IPv4.
struct Tools {
    folder: TempDir,
}

/// What tools were run for.
struct Taken {
    runs: usize,
    restored: String,
}

impl Tools {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flavour = iptables_flavour();
        for family in ["iptables", "ip6tables"] {
            for what in ["", "-save", "-restore"] {
                let tool = format!("{family}-{flavour}{what}");
                let of = cmd(&format!("command -v {tool}")).trim().to_owned();
                let path = folder.path().join(&tool);
                let at = folder.path().display();
                let run = match what {
                    "-restore" if family == "iptables" => {
                        format!("tee -a {at}/restored | {of} \"$@\"")
                    }
                    _ => format!("{of} \"$@\""),
                };
                let text = format!(
                    "echo {tool} >> {at}/runs\n{run}\nstatus=$?\necho {tool} >> {at}/ended\nexit $status\n"
                );
                script(&path, &text);
            }
        }
        Self { folder }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// How many have ended since they were last taken.
    fn ended(&self) -> usize {
        self.read("ended").lines().count()
    }

    /// What was run since they were last taken.
    fn take(&self) -> Taken {
        let [runs, restored] = ["runs", "restored"].map(|name| self.read(name));
        for name in ["runs", "restored", "ended"] {
            fs::write(self.folder.path().join(name), "").unwrap();
        }
        Taken {
            runs: runs.lines().count(),
            restored,
        }
    }
}
