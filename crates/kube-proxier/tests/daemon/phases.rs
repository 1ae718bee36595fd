//! Where the time and the memory of a start go.

use std::fs;
use std::io::Read as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Setup, syncs};
use crate::size::filled;

/// How often it is looked.
const TICK: Duration = Duration::from_millis(5);

/// The stand-in for the API server takes its time, too, in the same guest.
const LIMIT: Duration = Duration::from_secs(600);

/// What a start has come to, in this order.
const PHASES: [&str; 6] = [
    "its first request",
    "its checks are done",
    "all is listed and watched",
    "the first virtual server",
    "resident memory after the first sync",
    "resident memory a while later",
];

/// Memory of a process by kind, and its peak, in KiB.
fn memory(id: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let of = |field: &str| {
        let line = status.lines().find(|line| line.starts_with(field))?;
        line.split_whitespace().nth(1)
    };
    let text = |field| of(field).unwrap_or("?");
    format!(
        "{} KiB anonymous, {} of files, {} at the peak, {} threads",
        text("RssAnon:"),
        text("RssFile:"),
        text("VmHWM:"),
        text("Threads:")
    )
}

fn has_virtual_server() -> bool {
    let mut head = [0; 400];
    let read = fs::File::open("/proc/net/ip_vs").and_then(|mut file| file.read(&mut head));
    // Its heading has three lines.
    let head = head.get(..read.unwrap_or(0)).unwrap_or_default();
    head.iter().filter(|byte| **byte == b'\n').count() > 3
}

/// Starts with so many Services of ten endpoints each, and prints when each phase is over, with the daemon's processor time
/// and memory then.
pub(crate) fn of_a_start(services: u32) {
    let server = filled(services);
    let setup = Setup::new(&server, "");
    let began = Instant::now();
    let mut daemon = setup.start();
    let show = |daemon: &Daemon, phase: &str| {
        println!(
            "{services} Services, {phase}: after {:.2?}, {:.2?} of processor time and {:.2?} of programs; {}",
            began.elapsed(),
            daemon.processor_time(),
            daemon.processor_time_of_programs(),
            memory(daemon.id())
        );
    };
    let deadline = began + LIMIT;
    let mut seen = [false; 4];
    while seen.contains(&false) {
        let now = [
            !server.requests().is_empty(),
            setup.log().contains("Using ipvs Proxier"),
            server.watches() == 3,
            has_virtual_server(),
        ];
        for ((seen, now), phase) in seen.iter_mut().zip(now).zip(PHASES) {
            if now && !std::mem::replace(seen, true) {
                show(&daemon, phase);
            }
        }
        assert!(
            daemon.is_running() && Instant::now() < deadline,
            "{}",
            setup.log()
        );
        thread::sleep(TICK);
    }
    daemon.wait_until("first sync", || {
        (syncs() >= 1.0).then_some(()).ok_or_else(|| setup.log())
    });
    show(&daemon, PHASES[4]);
    thread::sleep(Duration::from_secs(3));
    show(&daemon, PHASES[5]);
}
