//! Where the time and the memory of a start go.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Setup};
use crate::size::filled;

/// What a start has come to, in this order, and the line of the log that says so.
const PHASES: [(&str, &str); 3] = [
    ("its checks are done", "Using ipvs Proxier"),
    ("all is listed", "everything is listed"),
    ("the first sync is over", " synced "),
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

/// Pages of a process by what they are of, in KiB: of files with the rights that they are mapped with (`smaps` of proc(5)). A page
/// that was written counts as the process's own.
fn mapped(id: u32) -> String {
    let smaps = fs::read_to_string(format!("/proc/{id}/smaps")).unwrap_or_default();
    let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut kind = String::new();
    for line in smaps.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match *words {
            [addresses, rights, _, _, _, ref name @ ..] if !addresses.ends_with(':') => {
                let name = name.first().copied().unwrap_or("no name");
                let name = name.rsplit('/').next().unwrap_or_default();
                kind = format!("{name} {}", &rights[..3]);
            }
            ["Rss:", size, _] => kinds.entry(kind.clone()).or_default().0 += number(size),
            ["Anonymous:", size, _] => kinds.entry(kind.clone()).or_default().1 += number(size),
            _ => {}
        }
    }
    let lines = kinds.iter().filter(|(_, (all, _))| *all > 0);
    let lines = lines.map(|(kind, (all, own))| format!("  {kind}: {all} KiB, {own} its own\n"));
    lines.collect()
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

/// Starts with so many Services of ten endpoints each, and prints when each phase is over, with the daemon's processor time
/// and memory then.
pub(crate) fn of_a_start(services: u32) {
    let server = filled(services);
    let setup = Setup::new(&server, "");
    let began = Instant::now();
    let (daemon, mut lines) = setup.start_with_lines(&[]);
    let show = |daemon: &Daemon, phase: &str, after: Duration| {
        println!(
            "{services} Services, {phase}: after {after:.2?}, {:.2?} of processor time and {:.2?} of programs; {}",
            daemon.processor_time(),
            daemon.processor_time_of_programs(),
            memory(daemon.id())
        );
    };
    for (phase, line) in PHASES {
        let at = lines.wait_for(line);
        show(&daemon, phase, at - began);
    }
    let asked = server.first_asked().unwrap();
    println!(
        "{services} Services, its first request: after {:.2?}",
        asked - began
    );
    thread::sleep(Duration::from_secs(3));
    show(&daemon, "a while later", began.elapsed());
    print!("{}", mapped(daemon.id()));
    print!("{}", lines.read());
}

/// A streamed list is read in large pieces, without a system call for each object.
pub(crate) fn a_streamed_list_takes_few_system_calls() {
    const SERVICES: u32 = 300;
    let server = filled(SERVICES);
    let setup = Setup::new(&server, "");
    let calls = setup.folder().join("calls");
    let to = calls.display().to_string();
    // Outside User Mode Linux the clock is read without a system call, and only `epoll_wait` is left to count.
    let traced = ["-f", "-e", "trace=epoll_wait,clock_gettime", "-o", &to];
    let mut daemon = setup.start_by("strace", &traced);
    let read = |what: &str| {
        let log = fs::read_to_string(&calls).unwrap_or_default();
        log.matches(what).count()
    };
    daemon.wait_until("all to be listed", || {
        let log = setup.log();
        let listed = log.contains("everything is listed");
        listed.then_some(()).ok_or(log)
    });
    let [polls, clock] = ["epoll_wait(", "clock_gettime("].map(read);
    println!("{SERVICES} Services: {polls} times epoll_wait, {clock} times clock_gettime");
    let objects = 2 * usize::try_from(SERVICES).unwrap();
    assert!(polls < objects / 3, "{polls}");
    assert!(clock < 2 * objects, "{clock}");
}
