//! What the daemon costs while nothing happens.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use kernel_test::cmd;

use crate::api_server::ApiServer;
use crate::cluster::{service, slice, steady};
use crate::daemon::Setup;

/// How long it is watched.
const LONG: Duration = Duration::from_secs(60);
/// How long its system calls are counted.
const COUNTED: u64 = 20;

/// A process that does nothing but wake once a second.
struct Floor(Child);

impl Floor {
    fn start() -> Self {
        let script = "exec 3<> <(:); while read -t 1 -u 3 _ || :; do :; done";
        let mut command = Command::new("bash");
        command.args(["-c", script]).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The time that all threads of a process have run, as the scheduler counts it, to the nanosecond.
fn ran(id: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let of_thread = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    Duration::from_nanos(threads.map(|thread| of_thread(thread.unwrap())).sum())
}

/// Prints the processor time of a minute in which nothing changes, with so many Services, beside that of a process that only
/// wakes once a second; and the daemon's system calls.
pub(crate) fn processor_time(services: u8) {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    for n in 0..services {
        let name = format!("web-{n}");
        server.put(service(&name, &format!("10.96.1.{n}")));
        server.put(slice(&name, &["10.244.1.5".to_owned()]));
    }
    // No full comparison comes between.
    let setup = Setup::new(&server, "ipvs: {syncPeriod: 1h}\n");
    let daemon = setup.started();
    let floor = Floor::start();
    thread::sleep(Duration::from_secs(5));
    let both = [daemon.id(), floor.0.id()];
    let before = both.map(ran);
    thread::sleep(LONG);
    for (what, (id, before)) in ["daemon", "floor"].iter().zip(both.iter().zip(before)) {
        let spent = ran(*id) - before;
        let share = spent.as_secs_f64() / LONG.as_secs_f64();
        println!(
            "{services} Services, {what}: {spent:?} in {LONG:?}, {:.3} % of a processor",
            share * 100.0
        );
    }
    let id = daemon.id();
    let calls = cmd(&format!(
        "timeout -s INT {COUNTED} strace -c -f -o /tmp/strace-{id} -p {id} 2>/dev/null; cat /tmp/strace-{id}"
    ));
    println!("system calls in {COUNTED} s:\n{calls}");
    let log = setup.log();
    assert!(!log.contains("others changed"), "{log}");
}
