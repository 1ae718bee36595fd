//! API servers that go away without a word, and come back.

use std::thread;
use std::time::{Duration, Instant};

use kernel_test::cmd;

use crate::api_server::ApiServer;
use crate::cluster::{slice, steady};
use crate::daemon::{Daemon, Setup, metric};

/// How long an outage lasts, in which pauses grow to their longest.
const OUTAGE: Duration = Duration::from_secs(120);

fn contains(command: &str, part: &str) -> Result<(), String> {
    let held = cmd(command);
    held.contains(part).then_some(()).ok_or(held)
}

fn log_has(setup: &Setup, part: &str) -> Result<(), String> {
    let log = setup.log();
    log.contains(part).then_some(()).ok_or(log)
}

/// The kernel has this endpoint alone.
fn served_by(daemon: &mut Daemon, endpoint: &str) {
    daemon.wait_until(endpoint, || {
        contains(
            "ipvsadm -Sn",
            &format!("-a -t 10.96.0.10:80 -r {endpoint}:8080"),
        )
    });
}

/// All packets to and from the server vanish for two minutes: no FIN, no RST. It is noticed, what is programmed stays, and
/// what changed meanwhile is there after it. Prints how long either took.
pub(crate) fn a_server_that_vanishes_is_noticed() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms}\n");
    let mut daemon = setup.started();
    let port = server.address().port();
    let drops = |command: &str| {
        for side in ["--dport", "--sport"] {
            cmd(&format!(
                "iptables-legacy -t raw {command} OUTPUT -p tcp {side} {port} -j DROP"
            ));
        }
    };
    let began = Instant::now();
    drops("-A");
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    daemon.wait_until("the outage in the log", || {
        log_has(&setup, "the API server is away")
    });
    println!("noticed after {:?}", began.elapsed());
    assert!(
        metric("kube_proxier_api_away_since_timestamp_seconds").is_some_and(|since| since > 0.0)
    );
    thread::sleep(OUTAGE.saturating_sub(began.elapsed()));
    served_by(&mut daemon, "10.244.1.5");
    drops("-D");
    let began = Instant::now();
    served_by(&mut daemon, "10.244.1.6");
    println!(
        "in the kernel {:?} after packets pass again",
        began.elapsed()
    );
    daemon.wait_until("the return in the log", || {
        log_has(&setup, "the API server is back")
    });
}

/// A server that was restarted refuses connections, is not ready, and then finds the versions of old watches gone.
pub(crate) fn a_server_that_was_restarted_is_listed_at_once() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms}\n");
    let mut daemon = setup.started();
    server.stop();
    server.unready(true);
    thread::sleep(OUTAGE);
    served_by(&mut daemon, "10.244.1.5");
    server.come_back();
    thread::sleep(Duration::from_secs(5));
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    server.compact();
    server.forget_requests();
    server.unready(false);
    let began = Instant::now();
    served_by(&mut daemon, "10.244.1.6");
    println!(
        "in the kernel {:?} after the server is ready",
        began.elapsed()
    );
    let lists = server
        .requests()
        .iter()
        .filter(|asked| !asked.is_watch() && asked.path != "/readyz")
        .count();
    println!("{lists} lists");
}
