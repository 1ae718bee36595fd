//! The load balancer on a real kernel: clients and backends in network namespaces of their own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails should panic"
)]

mod network;
mod process;

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kernel_test::{cmd, tests, try_cmd};
use nix::sys::signal::Signal;

use network::{Conversation, Load, Network, VIP};
use process::Process;

fn main() -> ExitCode {
    let tests = tests![
        no_request_is_lost_that_can_be_served,
        a_later_run_knows_what_an_earlier_one_left,
        a_drain_ends_at_its_deadline,
    ];
    kernel_test::main(tests.map(|test| test.time_limit(Duration::from_secs(600))))
}

/// A file with one server and these backends.
fn file(net: &Network, drain: &str, backends: &[usize]) -> String {
    let head = format!("link = \"lb0\"\nmetrics = \"127.0.0.1:9100\"\ndrain = \"{drain}\"\n");
    head + &server(net, VIP, backends)
}

fn server(net: &Network, address: &str, backends: &[usize]) -> String {
    let mut text = format!(
        "[[server]]\naddress = \"{address}\"\nprotocol = \"tcp\"\nscheduler = \"rr\"\n\
         forwarding = \"masq\"\ncheck = {{ type = \"http\", path = \"/healthz\", \
         interval = \"200ms\", timeout = \"10s\", rise = 2, fall = 2 }}\n"
    );
    for backend in backends {
        let address = net.backends[backend - 1].address();
        text += &format!("[[server.backend]]\naddress = \"{address}\"\nweight = 1\n");
    }
    text
}

fn no_request_is_lost_that_can_be_served() {
    const REQUESTS: usize = 10_000;
    let mut net = Network::new();
    let [one, two, three] = [0, 1, 2].map(|index| net.backends[index].address());
    cmd("ipvsadm -A -t 198.51.100.9:80 -s rr");
    let all = file(&net, "10m", &[1, 2, 3]);
    let mut lb = Process::start(&all);
    lb.wait_until("all serve", |lb| {
        [one, two, three]
            .iter()
            .all(|backend| lb.of("backend_weight", *backend) == Some(1))
    });
    let load = Load::start(&net.client);
    let fair = load.settled();
    assert_eq!(fair.failed, [""; 0]);
    assert_eq!(fair.served.len(), 3, "{fair:?}");

    // Backend 2 dies: what was sent there before the check noticed is all that fails.
    net.backends[1].stop();
    lb.wait_until("2 is down", |lb| lb.of("backend_weight", two) == Some(0));
    assert_eq!(lb.of("backend_up", two), Some(0));
    let died = load.settled();
    // The kernel brings its counters up to date every two seconds.
    let attempts = u64::try_from(died.by(2) + died.failed.len()).unwrap();
    lb.wait_until(
        "2 has had what was attempted there, and nothing else",
        |lb| lb.of("backend_connections_total", two) == Some(attempts),
    );
    let down = load.settled();
    assert_eq!((down.by(2), &down.failed), (died.by(2), &died.failed));
    assert_eq!(lb.of("backend_connections_total", two), Some(attempts));
    assert!(lb.of("backend_checks_failed_total", two) >= Some(2));
    assert!(
        lb.log()
            .contains("10.1.2.2:8080 is down: Connection refused"),
        "{}",
        lb.log()
    );

    // It comes back.
    net.backends[1].start();
    lb.wait_until("2 is up", |lb| lb.of("backend_weight", two) == Some(1));
    assert_eq!(lb.of("backend_up", two), Some(1));
    assert!(load.settled().by(2) > died.by(2));

    // Backend 3 says that it would rather not, and serves all the same.
    net.backends[2].healthy.store(false, Ordering::SeqCst);
    lb.wait_until("3 is down", |lb| lb.of("backend_weight", three) == Some(0));
    assert!(
        lb.log().contains("10.1.3.2:8080 is down: HTTP status 503"),
        "{}",
        lb.log()
    );
    let spared = load.settled();
    assert_eq!(load.settled().by(3), spared.by(3));
    net.backends[2].healthy.store(true, Ordering::SeqCst);
    lb.wait_until("3 is up", |lb| lb.of("backend_weight", three) == Some(1));

    // Backend 1 is taken out of the file. An open connection lives on, and it stays for that.
    let mut open = Conversation::with(&net.client, 1);
    lb.replace_file(&file(&net, "10m", &[2, 3]));
    lb.wait_until("1 drains", |lb| lb.of("backend_draining", one) == Some(1));
    lb.wait_until("1 has weight 0", |lb| {
        lb.of("backend_weight", one) == Some(0)
    });
    assert_eq!(lb.value("reloads_total"), Some(1));
    let drained = load.settled();
    assert_eq!(open.ask("still here").unwrap(), "still here");
    // All others that it had are forgotten by now.
    lb.wait_until("one is left", |lb| {
        lb.of("backend_active_connections", one) == Some(1)
            && lb.of("backend_inactive_connections", one) == Some(0)
    });
    assert_eq!(open.ask("and now").unwrap(), "and now");
    assert_eq!(load.settled().by(1), drained.by(1));
    drop(open);
    lb.wait_until("1 is gone", |lb| lb.of("backend_weight", one).is_none());
    assert_eq!(cmd("ipvsadm -Sn").matches(" -r ").count(), 2);

    // It is added again.
    lb.write_file(&all);
    lb.wait_until("1 is back", |lb| lb.of("backend_weight", one) == Some(1));
    assert!(load.settled().by(1) > drained.by(1));

    // A file that cannot be used changes nothing.
    let before = cmd("ipvsadm -Sn | sort");
    let changes = lb.value("changes_total");
    lb.write_file(&all.replace("10.1.2.2:8080", "10.1.1.2:8080"));
    lb.wait_until("not reloaded", |lb| {
        lb.value("last_reload_failed") == Some(1)
    });
    assert_eq!(lb.value("reload_failures_total"), Some(1));
    let fault =
        "lb.toml:13: server TCP 192.0.2.10:80, backend 10.1.1.2:8080: address: another backend";
    assert!(lb.log().contains(fault), "{}", lb.log());
    let ticks = lb.of("backend_checks_passed_total", one).unwrap() + 15;
    lb.wait_until("some time has passed", |lb| {
        lb.of("backend_checks_passed_total", one) >= Some(ticks)
    });
    assert_eq!(cmd("ipvsadm -Sn | sort"), before);
    assert_eq!(lb.value("changes_total"), changes);
    lb.write_file(&all);
    lb.wait_until("reloaded", |lb| lb.value("last_reload_failed") == Some(0));
    lb.signal(Signal::SIGHUP);
    lb.wait_until("reloaded by SIGHUP", |lb| {
        lb.value("reloads_total") == Some(5)
    });

    while load.tally().total() < REQUESTS {
        std::thread::sleep(Duration::from_millis(100));
    }
    let tally = load.stop();
    println!("{tally:?}");
    assert_eq!((tally.lost, &tally.failed), (0, &died.failed));
    assert_eq!(lb.value("failures_total"), Some(0));

    // What is ours goes, what is somebody else's stays.
    let status = lb.end_with(Signal::SIGTERM);
    assert!(status.success(), "{status}: {}", lb.log());
    assert_eq!(cmd("ipvsadm -Sn"), "-A -t 198.51.100.9:80 -s rr\n");
    assert!(try_cmd("ip link show lb0").is_err());
    assert_eq!(cmd("ip -o addr show to 192.0.2.10"), "");
}

fn a_later_run_knows_what_an_earlier_one_left() {
    let net = Network::new();
    let [one, two, _] = [0, 1, 2].map(|index| net.backends[index].address());
    let other = server(&net, "192.0.2.20:80", &[1, 2]);
    let mut lb = Process::start(&(file(&net, "10m", &[1, 2]) + &other));
    lb.wait_until("all are served", |_| {
        cmd("ipvsadm -Sn").matches(" -w 1").count() == 4
    });
    let mut open = Conversation::with(&net.client, 1);
    assert_eq!(lb.end_with(Signal::SIGKILL).code(), None);
    assert_eq!(cmd("ipvsadm -Sn").lines().count(), 6, "all of it is left");

    // Without the second server, and without the first backend of the first.
    lb.start_again(&file(&net, "10m", &[2]));
    lb.wait_until("1 drains", |lb| lb.of("backend_draining", one) == Some(1));
    lb.wait_until("the other server goes", |_| {
        !cmd("ipvsadm -Sn").contains("192.0.2.20")
    });
    assert_eq!(lb.of("backend_weight", two), Some(1));
    assert_eq!(open.ask("still here").unwrap(), "still here");
    lb.wait_until("its address goes", |_| {
        cmd("ip -o addr show to 192.0.2.20").is_empty()
    });
    assert!(lb.end_with(Signal::SIGINT).success());
    assert_eq!(cmd("ipvsadm -Sn"), "");
}

fn a_drain_ends_at_its_deadline() {
    let net = Network::new();
    let one = net.backends[0].address();
    let mut lb = Process::start(&file(&net, "1s", &[1]));
    lb.wait_until("1 serves", |lb| lb.of("backend_weight", one) == Some(1));
    let mut open = Conversation::with(&net.client, 1);
    lb.replace_file(&file(&net, "1s", &[]));
    lb.wait_until("1 is gone", |lb| lb.of("backend_weight", one).is_none());
    assert_eq!(cmd("ipvsadm -Sn").lines().count(), 1, "the server stays");
    // There is no way to it any more: nothing comes back.
    open.impatient();
    assert!(open.ask("lost").is_err());
    assert!(lb.end_with(Signal::SIGTERM).success());
}
