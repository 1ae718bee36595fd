//! What metrics and the page cost in a large cluster.

use std::thread;
use std::time::{Duration, Instant};

use super::FIELDS;
use crate::daemon::{METRICS, Setup, get, syncs};
use crate::size::filled;

/// What it costs at so many Services of ten endpoints each: prints times beside that of the bare dump, and sizes. (10,000 need
/// `PROXIER_KERNEL_TESTS_MEMORY=3072`.)
pub(crate) fn cost(services: u32) {
    let server = filled(services);
    let setups = [None, Some(services)].map(|limit| {
        let setup = Setup::new(&server, FIELDS);
        match limit {
            Some(limit) => setup.flag(&format!("--service-metrics-limit={limit}")),
            None => setup,
        }
    });
    for (setup, limit) in setups.iter().zip(["200 ports (the default)", "all ports"]) {
        let mut daemon = setup.start();
        let deadline = Instant::now() + Duration::from_secs(900);
        while syncs() < 1.0 {
            assert!(Instant::now() < deadline, "{}", setup.log());
            assert!(daemon.is_running(), "{}", setup.log());
            thread::sleep(Duration::from_millis(200));
        }
        let mut ipvs = ipvs_netlink::Client::open().unwrap();
        let dump = quickest(|| ipvs.services().unwrap().len());
        let (first, bytes) = timed(|| get(METRICS, "/metrics").unwrap().1.len());
        let (again, _) = timed(|| get(METRICS, "/metrics").unwrap().1.len());
        let fresh = quickest(|| {
            thread::sleep(Duration::from_millis(1100));
            let (took, _) = timed(|| get(METRICS, "/metrics").unwrap().1.len());
            took
        })
        .1;
        let before = daemon.processor_time();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(1100));
            get(METRICS, "/metrics").unwrap();
        }
        let processor = (daemon.processor_time() - before) / 20;
        println!(
            "{services} Services x 10, {limit}: the bare dump {:.1?} ({} virtual servers); /metrics {first:.1?} the first time, \
             then {fresh:.1?} ({again:.1?} within a second), {processor:.1?} of processor time each (idle time included), \
             {bytes} bytes",
            dump.0, dump.1
        );
        for path in [
            "/",
            "/?page=50",
            "/?view=endpoints",
            "/?q=10.128.3.232",
            "/?q=service-77",
        ] {
            let (took, bytes) = quickest(|| get(METRICS, path).unwrap().1.len());
            println!("{path}: {took:.1?}, {bytes} bytes");
        }
        println!("memory: {:?} KiB, resident and peak", daemon.memory());
    }
}

fn timed<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let result = act();
    (began.elapsed(), result)
}

/// The quickest of five.
fn quickest<T: Ord>(mut act: impl FnMut() -> T) -> (Duration, T) {
    (0..5).map(|_| timed(&mut act)).min().unwrap()
}
