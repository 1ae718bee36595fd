//! Destinations.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use ipvs_netlink::{
    Destination, DestinationConfig, DestinationId, ForwardingMethod, SaveLine, Tunnel, TunnelFlags,
    VirtualServerId,
};
use kernel_test::cmd;

use crate::{
    add, assert_ipvsadm_reads, assert_reads_those_of_ipvsadm, client, saved, saved_by_ipvsadm, set,
};

/// Every forwarding method and tunnel, in every combination of families that the kernel takes.
const LINES: [&str; 19] = [
    "-A -t 10.0.0.1:80 -s rr",
    "-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1",
    "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -g -w 0",
    "-a -t 10.0.0.1:80 -r 10.1.0.3:80 -i -w 2147483647 --tun-type ipip",
    "-a -t 10.0.0.1:80 -r 10.1.0.4:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
    "-a -t 10.0.0.1:80 -r 10.1.0.5:80 -i -w 1 --tun-type gue --tun-port 65535 --tun-csum",
    "-a -t 10.0.0.1:80 -r 10.1.0.6:80 -i -w 1 --tun-type gue --tun-port 1 --tun-remcsum",
    "-a -t 10.0.0.1:80 -r 10.1.0.7:80 -i -w 1 --tun-type gre --tun-nocsum",
    "-a -t 10.0.0.1:80 -r 10.1.0.8:80 -i -w 1 --tun-type gre --tun-csum",
    "-a -t 10.0.0.1:80 -r [2001:db8:1::1]:80 -i -w 1 --tun-type ipip",
    "-a -t 10.0.0.1:80 -r [2001:db8:1::2]:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
    "-A -u [2001:db8::1]:53 -s rr",
    "-a -u [2001:db8::1]:53 -r [2001:db8:1::1]:5353 -m -w 1",
    "-a -u [2001:db8::1]:53 -r [2001:db8:1::2]:53 -g -w 1",
    "-a -u [2001:db8::1]:53 -r 10.1.0.1:53 -i -w 1 --tun-type ipip",
    "-A -f 7 -s rr",
    "-a -f 7 -r 10.1.0.1:0 -g -w 1",
    "-A -f 7 -6 -s rr",
    "-a -f 7 -6 -r [2001:db8:1::1]:0 -g -w 1",
];

pub fn ours_are_read_by_ipvsadm() {
    assert_ipvsadm_reads(&LINES);
}

pub fn those_of_ipvsadm_are_read_by_us() {
    assert_reads_those_of_ipvsadm(&LINES);
}

/// `ipvsadm -S` leaves thresholds out, `-L --thresholds` shows them.
pub fn thresholds_go_both_ways() {
    let mut client = client();
    let ours = "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1 -x 100 -y 50";
    add(&mut client, &["-A -t 10.0.0.1:80 -s rr", ours]);
    cmd("ipvsadm -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -x 65535");
    let theirs = "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1 -x 65535";
    assert_eq!(
        saved(&mut client),
        set(&["-A -t 10.0.0.1:80 -s rr", ours, theirs])
    );
    let shown = cmd("ipvsadm -Ln --thresholds");
    let columns = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let rows: Vec<_> = shown.lines().skip(4).map(columns).collect();
    assert_eq!(rows[0][1..4], ["10.1.0.1:80", "100", "50"]);
    assert_eq!(rows[1][1..4], ["10.1.0.2:80", "65535", "0"]);
}

fn parsed(line: &str) -> (VirtualServerId, Destination) {
    match line.parse().unwrap() {
        SaveLine::AddDestination {
            service,
            destination,
        } => (service, destination),
        SaveLine::AddService { .. } => unreachable!(),
    }
}

pub fn are_changed_in_place_and_deleted() {
    let mut client = client();
    let (service, mut destination) = parsed("-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1");
    cmd("ipvsadm -A -t 10.0.0.1:80 -s rr; ipvsadm -a -t 10.0.0.1:80 -r 10.1.0.1:80 -m");
    destination.config.forwarding = ForwardingMethod::Tunnel;
    destination.config.tunnel = Tunnel::gue(6080, TunnelFlags::CHECKSUM);
    destination.config.weight = 7;
    client.set_destination(service, destination).unwrap();
    let tunnel =
        "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -i -w 7 --tun-type gue --tun-port 6080 --tun-csum";
    assert_eq!(
        saved_by_ipvsadm(),
        set(&["-A -t 10.0.0.1:80 -s rr", tunnel])
    );

    destination.config = DestinationConfig::masquerade(0);
    client.set_destination(service, destination).unwrap();
    let drained = "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 0";
    assert_eq!(
        saved_by_ipvsadm(),
        set(&["-A -t 10.0.0.1:80 -s rr", drained])
    );
    let [status] = client.destinations(service).unwrap()[..] else {
        panic!()
    };
    assert_eq!(status.destination, destination);

    client.delete_destination(service, destination.id).unwrap();
    assert_eq!(saved_by_ipvsadm(), set(&["-A -t 10.0.0.1:80 -s rr"]));
}

/// The kernel keeps them as they are; `ipvsadm` prints the option of another method, or `(null)`.
pub fn methods_that_ipvsadm_has_no_option_for() {
    let mut client = client();
    add(&mut client, &["-A -t 10.0.0.1:80 -s rr"]);
    let (service, _) = parsed("-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1");
    for (host, method) in [(1, ForwardingMethod::Local), (2, ForwardingMethod::Bypass)] {
        let id = DestinationId {
            address: [10, 1, 0, host].into(),
            port: 80,
        };
        let destination = Destination {
            id,
            config: DestinationConfig::new(method, 1),
        };
        client.add_destination(service, destination).unwrap();
        let found = client.destinations(service).unwrap();
        assert_eq!(
            found.last().map(|status| status.destination),
            Some(destination)
        );
    }
    let theirs = saved_by_ipvsadm();
    let mended = theirs.into_iter().map(|line| line.replace("(null)", "-g"));
    assert_eq!(saved(&mut client), mended.collect());
}

/// Prints how long a destination takes to be added, by how many were deleted before. The kernel keeps those for two to three
/// minutes, and looks through all of them for the same one.
pub fn how_long_one_takes_after_many_were_deleted() {
    let mut client = client();
    let (service, model) = parsed("-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1");
    add(&mut client, &["-A -t 10.0.0.1:80 -s rr"]);
    let mut number = 0;
    let mut replace = |pause| {
        let mut added = model;
        added.id.address = Ipv4Addr::from(0x0a80_0000 + number).into();
        number += 1;
        thread::sleep(pause);
        let began = Instant::now();
        client.add_destination(service, added).unwrap();
        let took = began.elapsed();
        client.delete_destination(service, added.id).unwrap();
        took
    };
    let mut deleted = 0;
    for many in [0, 1000, 2000, 5000, 10_000, 20_000, 40_000] {
        while deleted < many {
            replace(Duration::ZERO);
            deleted += 1;
        }
        let [together, apart] = [0, 10].map(|pause| {
            let mut times = [(); 101].map(|()| replace(Duration::from_millis(pause)));
            times.sort();
            times[50]
        });
        deleted += 202;
        println!(
            "{many} deleted: {together:.2?} in a row, {apart:.2?} each 10 ms (medians of 101)"
        );
    }
}
