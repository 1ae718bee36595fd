//! A large cluster: memory, and how long until all of it is in the kernel.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use ipset_netlink::SetName;
use ipvs_netlink::VirtualServerId;
use proxier::Kernel as _;
use proxier_linux::LinuxKernel;

use crate::api_server::ApiServer;
use crate::cluster::{node, service, slice};
use crate::daemon::{PATIENCE, Setup, metric, sync_metric, syncs};

/// KiB.
const LIMIT: u64 = 150 * 1024;

/// The cluster IP of the first one, 10.96.1.0.
const FIRST_SERVICE: u32 = 0x0a60_0100;

fn address_of(network: u32, number: u32) -> String {
    Ipv4Addr::from(network + number).to_string()
}

fn pods_of(service: u32) -> Vec<String> {
    (0..10)
        .map(|n| address_of(0x0a80_0000, service * 10 + n))
        .collect()
}

/// So many Services with ten endpoints each: resident memory stays below 150 MiB.
pub(crate) fn memory_and_time(services: u32) {
    let server = ApiServer::start();
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
    let setup = Setup::new(&server, "");
    let began = Instant::now();
    let mut daemon = setup.start();
    daemon.wait_until("first sync", || {
        (syncs() >= 1.0).then_some(()).ok_or_else(|| setup.log())
    });
    let took = began.elapsed();
    let processor = daemon.processor_time();
    let sync = sync_metric("sum").unwrap_or(f64::NAN);
    let [resident, peak] = daemon.memory();
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
    let mut pods = pods_of(service);
    pods[0].clone_from(&new);
    server.put(slice(&format!("service-{service}"), &pods));
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
