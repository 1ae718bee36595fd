//! A large cluster: memory, and how long until all of it is in the kernel.

use std::net::Ipv4Addr;
use std::time::Instant;

use proxier::{Config, LinuxKernel};

use crate::api_server::ApiServer;
use crate::cluster::{missing, node, service, slice};
use crate::daemon::{Setup, sync_metric, syncs};

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
    let setup = Setup::new(&server, "");
    let began = Instant::now();
    let mut daemon = setup.start();
    daemon.wait_until("first sync", || {
        (syncs() >= 1.0).then_some(()).ok_or_else(|| setup.log())
    });
    let took = began.elapsed();
    let sync = sync_metric("sum").unwrap_or(f64::NAN);
    let [resident, peak] = daemon.memory();
    let mut kernel = LinuxKernel::open().unwrap();
    let left = missing(&server, &mut kernel, &Config::default());
    assert_eq!(left, "");
    println!(
        "{services} Services x 10: programmed {took:.1?} after the start (the sync itself: {sync:.2} s); \
         {resident} KiB resident, {peak} KiB at the peak"
    );
    assert!(peak < LIMIT, "{peak} KiB");
}
