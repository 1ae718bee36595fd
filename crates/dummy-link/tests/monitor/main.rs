//! Against a real kernel: what `ip` changes is reported.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod routing;

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use dummy_link::{Changes, Client, Error, LinkName, Removal, host_address};
use kernel_test::{AnySocket, Test, cmd, cmd_input, tests};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::routing::{
    a_replaced_route_of_a_watched_table_is_reported, removals_from_a_watched_table_are_reported,
    routing_is_watched_after_reopening, rules_and_routes_are_reported_where_asked_for,
};

fn main() -> ExitCode {
    kernel_test::main(both().into_iter().chain(both().map(Test::on_tokio)))
}

/// The tests of both monitors.
fn both() -> [Test; 16] {
    tests![
        addresses_and_links_are_reported,
        a_burst_is_one_report,
        settling_waits_for_the_rest_of_a_burst,
        ignored_links_are_not_reported,
        ignored_links_are_known_by_their_present_name,
        too_many_changes_are_no_error,
        a_waiting_thread_is_woken,
        removals_from_a_watched_link_are_reported,
        a_watched_link_that_goes_or_is_renamed_is_reported,
        leaving_a_bridge_is_not_a_removal,
        lost_notifications_make_watched_links_known_anew,
        a_reopened_monitor_reports_a_loss_and_goes_on,
        rules_and_routes_are_reported_where_asked_for,
        removals_from_a_watched_table_are_reported,
        a_replaced_route_of_a_watched_table_is_reported,
        routing_is_watched_after_reopening,
    ]
}

/// The blocking monitor, or the async one on a tokio runtime.
type Monitor = dummy_link::Monitor<AnySocket>;

fn open() -> Result<Monitor, Error> {
    Monitor::over(AnySocket::new)
}

/// Long enough for whatever is to come.
const LONG: Duration = Duration::from_secs(60);

fn name(text: &str) -> LinkName {
    text.parse().unwrap()
}

/// What has changed by now. The kernel sends notifications before `ip` returns.
fn now(monitor: &mut Monitor) -> Option<(bool, bool, bool)> {
    let changes = monitor.wait(Duration::ZERO).unwrap();
    changes.map(|changes| (changes.links, changes.addresses, changes.lost))
}

fn addresses_and_links_are_reported() {
    let mut monitor = open().unwrap();
    assert_eq!(now(&mut monitor), None);
    for change in [
        "ip link add d0 type dummy",
        "ip link set d0 up",
        "ip link set d0 mtu 1400",
        "ip link del d0",
    ] {
        cmd(change);
        let (links, _, lost) = now(&mut monitor).unwrap();
        assert!(links && !lost, "{change}");
        // A link that is set up gets a link-local address in its own time.
        thread::sleep(Duration::from_millis(50));
        let _ = now(&mut monitor);
    }
    for change in [
        "ip addr add 192.0.2.7/24 dev lo",
        "ip addr add fd00::7/64 dev lo nodad",
        "ip addr del 192.0.2.7/24 dev lo",
        "ip addr del fd00::7/64 dev lo",
    ] {
        cmd(change);
        assert_eq!(now(&mut monitor), Some((false, true, false)), "{change}");
        assert_eq!(now(&mut monitor), None);
    }
    // Neither links nor addresses.
    cmd("ip route add 198.51.100.0/24 dev lo && ip rule add from 192.0.2.1 table 7");
    assert_eq!(now(&mut monitor), None);
}

fn a_burst_is_one_report() {
    let mut monitor = open().unwrap();
    let lines: String = (1..200)
        .map(|n| format!("addr add 192.0.2.{n}/32 dev lo\n"))
        .collect();
    cmd_input("ip -batch -", &lines);
    assert_eq!(now(&mut monitor), Some((false, true, false)));
    assert_eq!(now(&mut monitor), None);
}

fn settling_waits_for_the_rest_of_a_burst() {
    let mut monitor = open().unwrap().settling(Duration::from_secs(5));
    let burst = thread::spawn(|| {
        for n in 1..6 {
            cmd(&format!("ip addr add 192.0.2.{n}/32 dev lo"));
            thread::sleep(Duration::from_millis(10));
        }
    });
    assert!(monitor.wait(LONG).unwrap().is_some_and(|n| n.addresses));
    burst.join().unwrap();
    assert_eq!(now(&mut monitor), None);
}

fn ignored_links_are_not_reported() {
    let (ours, mut client) = (name("kube-ipvs0"), Client::open().unwrap());
    let addresses =
        ["10.96.0.1", "10.96.0.2", "fd00::1"].map(|ip| host_address(ip.parse().unwrap()));
    let change = |client: &mut Client| {
        client.ensure(ours).unwrap();
        for result in client.add_addresses(ours, &addresses).unwrap() {
            result.unwrap();
        }
        for result in client.remove_addresses(ours, &addresses).unwrap() {
            result.unwrap();
        }
    };
    // Made after the monitor was opened.
    let mut early = open().unwrap().ignoring(ours);
    let mut all = open().unwrap();
    change(&mut client);
    assert_eq!(now(&mut all), Some((true, true, false)));
    assert_eq!(now(&mut early), None);
    // There before.
    let mut late = open().unwrap().ignoring(ours);
    change(&mut client);
    assert_eq!(now(&mut late), None);
    cmd("ip addr add 192.0.2.1/32 dev lo");
    for monitor in [&mut early, &mut late, &mut all] {
        assert_eq!(now(monitor), Some((false, true, false)));
    }
    client.delete(ours).unwrap();
    assert_eq!(now(&mut late), None);
    assert_eq!(now(&mut all), Some((true, false, false)));
}

fn ignored_links_are_known_by_their_present_name() {
    cmd("ip link add d0 type dummy");
    let mut monitor = open().unwrap().ignoring(name("ours"));
    cmd("ip addr add 192.0.2.1/32 dev d0");
    assert_eq!(now(&mut monitor), Some((false, true, false)));
    cmd("ip link set d0 name ours");
    let _ = now(&mut monitor);
    cmd("ip addr add 192.0.2.2/32 dev ours");
    assert_eq!(now(&mut monitor), None);
    cmd("ip link set ours name d1");
    assert!(now(&mut monitor).is_some_and(|(links, ..)| links));
    cmd("ip addr add 192.0.2.3/32 dev d1");
    assert_eq!(now(&mut monitor), Some((false, true, false)));
    // Another link comes to the name and to addresses at once.
    cmd("ip link add ours type dummy && ip addr add 192.0.2.4/32 dev ours && ip link del ours");
    assert_eq!(now(&mut monitor), None);
}

fn too_many_changes_are_no_error() {
    let mut monitor = open().unwrap().ignoring(name("ours"));
    cmd("ip link add ours type dummy");
    let lines: String = (0..20_000)
        .map(|n| {
            let change = if n % 2 == 0 { "add" } else { "del" };
            format!("addr {change} 192.0.2.1/32 dev ours\n")
        })
        .collect();
    cmd_input("ip -batch -", &lines);
    let lost = monitor.wait(Duration::ZERO).unwrap();
    assert!(
        lost.as_ref().is_some_and(|changes| changes.lost),
        "{lost:?}"
    );
    // Afterwards it reports as before.
    while now(&mut monitor).is_some() {}
    cmd("ip addr add 192.0.2.2/32 dev ours");
    assert_eq!(now(&mut monitor), None);
    cmd("ip addr add 192.0.2.3/32 dev lo");
    assert_eq!(now(&mut monitor), Some((false, true, false)));
}

fn a_waiting_thread_is_woken() {
    let mut monitor = open().unwrap();
    let readable = |monitor: &Monitor| {
        let mut sockets = [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
        poll(&mut sockets, PollTimeout::ZERO).unwrap() == 1
    };
    assert!(!readable(&monitor));
    assert_eq!(monitor.wait(Duration::from_millis(5)), Ok(None));
    let change = thread::spawn(|| {
        thread::sleep(Duration::from_millis(20));
        cmd("ip addr add 192.0.2.1/32 dev lo");
    });
    let changes: Option<Changes> = monitor.wait(LONG).unwrap();
    assert!(changes.unwrap().addresses);
    change.join().unwrap();
    cmd("ip addr add 192.0.2.2/32 dev lo");
    assert!(readable(&monitor));
    assert!(now(&mut monitor).is_some());
    assert!(!readable(&monitor));
}

/// What was removed by now; nothing else may have been reported.
fn removed(monitor: &mut Monitor) -> Vec<Removal> {
    let Some(changes) = monitor.wait(Duration::ZERO).unwrap() else {
        return Vec::new();
    };
    let others = (changes.links, changes.addresses, changes.lost);
    assert_eq!(others, (false, false, false), "{changes:?}");
    changes.removed
}

fn address(link: &str, address: &str) -> Removal {
    Removal::Address {
        link: name(link),
        address: address.parse().unwrap(),
    }
}

fn removals_from_a_watched_link_are_reported() {
    let (ours, mut client) = (name("ours"), Client::open().unwrap());
    let mut monitor = open().unwrap().watching(ours);
    client.ensure(ours).unwrap();
    let addresses =
        ["10.96.0.1", "10.96.0.2", "fd00::1"].map(|ip| host_address(ip.parse().unwrap()));
    client.add_addresses(ours, &addresses).unwrap();
    assert_eq!(removed(&mut monitor), []);
    cmd("ip addr del 10.96.0.2/32 dev ours && ip addr del fd00::1/128 dev ours");
    assert_eq!(
        removed(&mut monitor),
        [
            address("ours", "10.96.0.2/32"),
            address("ours", "fd00::1/128")
        ]
    );
    // As others' addresses are reported.
    cmd("ip addr add 192.0.2.1/32 dev lo && ip addr flush dev ours");
    let changes = monitor.wait(Duration::ZERO).unwrap().unwrap();
    assert!(changes.addresses && !changes.links && !changes.lost);
    assert_eq!(changes.removed, [address("ours", "10.96.0.1/32")]);
    assert_eq!(removed(&mut monitor), []);
}

fn a_watched_link_that_goes_or_is_renamed_is_reported() {
    cmd("ip link add ours type dummy && ip addr add 10.96.0.1/32 dev ours");
    let mut monitor = open().unwrap().watching(name("ours"));
    cmd("ip link del ours");
    assert_eq!(
        removed(&mut monitor),
        [address("ours", "10.96.0.1/32"), Removal::Link(name("ours"))]
    );
    cmd("ip link add ours type dummy && ip addr add 10.96.0.1/32 dev ours");
    assert_eq!(removed(&mut monitor), []);
    cmd("ip link set ours name other");
    let changes = monitor.wait(Duration::ZERO).unwrap().unwrap();
    assert!(changes.links, "there is a new name");
    assert_eq!(changes.removed, [Removal::Link(name("ours"))]);
    // It is a link like others now.
    cmd("ip addr del 10.96.0.1/32 dev other");
    assert_eq!(now(&mut monitor), Some((false, true, false)));
}

/// When a port leaves a bridge, the kernel sends RTM_DELLINK of the family AF_BRIDGE.
fn leaving_a_bridge_is_not_a_removal() {
    cmd("ip link add b0 type bridge && ip link add ours type dummy");
    cmd("ip addr add 10.96.0.1/32 dev ours && ip link set ours master b0");
    let mut monitor = open().unwrap().watching(name("ours"));
    cmd("ip link set ours nomaster");
    let changes = monitor.wait(Duration::ZERO).unwrap().unwrap_or_default();
    assert_eq!(changes.removed, []);
    // Its index is still known.
    cmd("ip addr del 10.96.0.1/32 dev ours");
    let changes = monitor.wait(Duration::ZERO).unwrap().unwrap();
    assert_eq!(changes.removed, [address("ours", "10.96.0.1/32")]);
    assert!(!changes.addresses);
}

fn lost_notifications_make_watched_links_known_anew() {
    let mut monitor = open().unwrap().watching(name("ours"));
    let lines: String = (0..20_000)
        .map(|n| {
            let change = if n % 2 == 0 { "add" } else { "del" };
            format!("addr {change} 192.0.2.1/32 dev lo\n")
        })
        .collect();
    cmd_input("ip -batch -", &lines);
    // Its creation is among what is lost.
    cmd("ip link add ours type dummy && ip addr add 10.96.0.1/32 dev ours");
    let mut lost = false;
    while let Some(changes) = monitor.wait(Duration::ZERO).unwrap() {
        lost |= changes.lost;
    }
    assert!(lost);
    cmd("ip addr del 10.96.0.1/32 dev ours");
    assert_eq!(removed(&mut monitor), [address("ours", "10.96.0.1/32")]);
}

fn a_reopened_monitor_reports_a_loss_and_goes_on() {
    cmd("ip link add ours type dummy");
    let mut monitor = open().unwrap().watching(name("ours"));
    monitor.reopen().unwrap();
    assert_eq!(now(&mut monitor), Some((false, false, true)));
    assert_eq!(now(&mut monitor), None);
    cmd("ip addr add 10.96.0.1/32 dev ours && ip addr del 10.96.0.1/32 dev ours");
    assert_eq!(removed(&mut monitor), [address("ours", "10.96.0.1/32")]);
    cmd("ip addr add 192.0.2.1/32 dev lo");
    assert_eq!(now(&mut monitor), Some((false, true, false)));
}
