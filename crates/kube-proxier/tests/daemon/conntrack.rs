//! The kernel's settings of connection tracking.

use std::fs;

use kernel_test::{cmd, modprobe, set_sysctl, sysctl};

use crate::api_server::ApiServer;
use crate::cluster::steady;
use crate::daemon::{Daemon, Setup};

const LIMIT: &str = "net.netfilter.nf_conntrack_max";
const ESTABLISHED: &str = "net.netfilter.nf_conntrack_tcp_timeout_established";
const CLOSE_WAIT: &str = "net.netfilter.nf_conntrack_tcp_timeout_close_wait";
const UDP: &str = "net.netfilter.nf_conntrack_udp_timeout";
const STREAM: &str = "net.netfilter.nf_conntrack_udp_timeout_stream";
const BUCKETS: &str = "/sys/module/nf_conntrack/parameters/hashsize";

/// As the first network namespace has it, where alone the limit can be changed.
fn first(name: &str) -> u64 {
    let path = name.replace('.', "/");
    let value = cmd(&format!(
        "nsenter --net=/proc/1/ns/net cat /proc/sys/{path}"
    ));
    value.trim().parse().unwrap()
}

fn buckets() -> u64 {
    fs::read_to_string(BUCKETS).unwrap().trim().parse().unwrap()
}

/// Until the first network namespace has this timeout, in seconds.
fn wait_until_established(daemon: &mut Daemon, setup: &Setup, timeout: u64) {
    daemon.wait_until("the timeout", || {
        let is_set = first(ESTABLISHED) == timeout;
        is_set.then_some(()).ok_or_else(|| setup.log())
    });
}

/// What is asked for is set before anything is served, and what is 0 is left alone.
pub(crate) fn is_set_up_as_asked() {
    if !fs::read_to_string("/proc/cpuinfo").is_ok_and(|info| info.contains("User Mode Linux")) {
        println!("not in the guest: this machine's limit is left alone");
        return;
    }
    modprobe("nf_conntrack");
    let others = [CLOSE_WAIT, UDP, STREAM];
    let before = others.map(first);
    let (limit, table) = (first(LIMIT), buckets());
    let asked = 8 * table.max(limit / 4);
    let server = ApiServer::start();
    let setup = Setup::new(
        &server,
        &format!(
            "conntrack: {{maxPerCore: 1, min: {asked}, tcpEstablishedTimeout: 1h1m, tcpCloseWaitTimeout: 0s}}\n"
        ),
    );
    // It reaches no API server from there.
    let mut daemon = setup.start_in_first_namespace();
    wait_until_established(&mut daemon, &setup, 3660);
    assert_eq!(first(LIMIT), asked);
    assert!(buckets() >= asked / 4, "{}", buckets());
    assert_eq!(others.map(first), before);
    let log = setup.log();
    assert!(log.contains(&format!("was {limit}, is {asked}")), "{log}");
    daemon.kill();
    // One that is higher than asked for stays.
    let setup = Setup::new(
        &server,
        "conntrack: {maxPerCore: 1, min: 1, tcpEstablishedTimeout: 1h}\n",
    );
    let mut daemon = setup.start_in_first_namespace();
    wait_until_established(&mut daemon, &setup, 3600);
    assert_eq!(first(LIMIT), asked);
}

/// What cannot be set is a warning; a changed configuration is followed.
pub(crate) fn what_cannot_be_set_keeps_nothing_from_being_served() {
    modprobe("nf_conntrack");
    set_sysctl(UDP, "31");
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(
        &server,
        "conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 9999999h, tcpCloseWaitTimeout: 90s}\n",
    );
    let established = sysctl(ESTABLISHED);
    let mut daemon = setup.started();
    let log = setup.log();
    let path = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established";
    let said = format!("{path}: 4294967295 is wanted: stays {established}, cannot be written");
    assert!(log.contains(&said) && log.contains("WARN"), "{log}");
    assert!(log.contains("tcpEstablishedTimeout: 0s"), "{log}");
    assert_eq!(sysctl(ESTABLISHED), established);
    assert_eq!([CLOSE_WAIT, UDP].map(sysctl), ["90", "31"]);
    setup.reconfigure("conntrack: {maxPerCore: 0, udpTimeout: 32s}\n");
    daemon.wait_until("the new timeouts", || {
        let now = [ESTABLISHED, CLOSE_WAIT, UDP].map(sysctl);
        (now == ["86400", "3600", "32"])
            .then_some(())
            .ok_or_else(|| now.concat())
    });
}
