//! A large cluster: memory, and how long until all of it is in the kernel.

use std::net::Ipv4Addr;
use std::time::Instant;

use ipset_netlink::SetName;
use proxier::{Kernel as _, LinuxKernel};

use crate::api_server::ApiServer;
use crate::cluster::{node, service, slice};
use crate::daemon::{Setup, metric, sync_metric, syncs};

/// KiB.
const LIMIT: u64 = 150 * 1024;

fn address(network: u32, number: u32) -> String {
    Ipv4Addr::from(network + number).to_string()
}

/// So many Services with ten endpoints each: resident memory stays below 150 MiB.
pub(crate) fn memory_and_time(services: u32) {
    let server = ApiServer::start();
    server.put(node());
    for number in 0..services {
        let name = format!("service-{number}");
        let mut one = service(&name, &address(0x0a60_0000, number + 256));
        // One port, as most have.
        one["spec"]["ports"].as_array_mut().unwrap().truncate(1);
        server.put(one);
        let pods: Vec<_> = (0..10)
            .map(|n| address(0x0a80_0000, number * 10 + n))
            .collect();
        server.put(slice(&name, &pods));
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
    let sync = sync_metric("sum").unwrap_or(f64::NAN);
    let [resident, peak] = daemon.memory();
    // Counted, for want of memory to translate all of it again beside the server.
    assert_eq!(metric("kube_proxier_pending_failures"), Some(0.0));
    let state = LinuxKernel::open().unwrap().observe().unwrap();
    let many = usize::try_from(services).unwrap();
    assert_eq!(state.servers.len(), many);
    let destinations = state.servers.iter().map(|server| server.destinations.len());
    assert_eq!(destinations.sum::<usize>(), many * 10);
    let cluster_ips = &state.sets[&"KUBE-CLUSTER-IP".parse::<SetName>().unwrap()];
    assert_eq!(cluster_ips.entries.len(), many);
    assert_eq!(state.addresses.map(|bound| bound.len()), Some(many));
    println!(
        "{services} Services x 10: programmed {took:.1?} after the start (the sync itself: {sync:.2} s); \
         {resident} KiB resident, {peak} KiB at the peak"
    );
    assert!(peak < LIMIT, "{peak} KiB");
}
