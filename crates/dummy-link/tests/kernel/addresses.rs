//! Addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dummy_link::{Error, Outcome, host_address};
use ipnetwork::IpNetwork;
use kernel_test::{cmd, cmd_input, set_sysctl};

use crate::{all, ip_lists, name, nets};

pub(crate) fn addresses_written_by_us_read_by_ip() {
    let (link, mut client) = (name("d0"), crate::open().unwrap());
    client.ensure(link).unwrap();
    let wanted = nets(&[
        "10.96.0.1/32",
        "192.0.2.7/24",
        "fd00::1/128",
        "2001:db8::7/64",
        "10.96.0.2/32",
    ]);
    assert_eq!(
        all(client.add_addresses(link, &wanted).unwrap()),
        [Outcome::Changed; 5]
    );
    assert_eq!(ip_lists(link), wanted.iter().copied().collect());
    let shown = cmd("ip -o -6 addr show dev d0 to fd00::1");
    assert!(
        shown.contains("scope global nodad noprefixroute"),
        "{shown}"
    );

    assert_eq!(
        all(client.add_addresses(link, &wanted).unwrap()),
        [Outcome::Unchanged; 5]
    );
    // Another length is another address to IPv4 only.
    let longer = nets(&["192.0.2.7/32", "2001:db8::7/128"]);
    assert_eq!(
        all(client.add_addresses(link, &longer).unwrap()),
        [Outcome::Changed, Outcome::Unchanged]
    );
    assert_eq!(
        all(client.remove_addresses(link, &longer).unwrap()),
        [Outcome::Changed, Outcome::Unchanged]
    );

    let gone = nets(&["10.96.0.1/32", "10.96.0.9/32", "fd00::1/128", "fd00::9/128"]);
    let (changed, unchanged) = (Outcome::Changed, Outcome::Unchanged);
    assert_eq!(
        all(client.remove_addresses(link, &gone).unwrap()),
        [changed, unchanged, changed, unchanged]
    );
    assert_eq!(
        ip_lists(link),
        nets(&["192.0.2.7/24", "2001:db8::7/64", "10.96.0.2/32"])
            .into_iter()
            .collect()
    );
}

pub(crate) fn addresses_written_by_ip_read_by_us() {
    cmd_input(
        "ip -batch -",
        "link add d0 type dummy
         link add d1 type dummy
         link set d1 up
         link add v0 type veth peer name v1
         addr add 192.0.2.7/24 dev d0
         addr add 192.0.2.8/24 dev d0
         addr add fd00::7/64 dev d0
         addr add 192.0.2.7/32 dev v0
         addr add 10.1.1.1 peer 10.1.1.2/32 dev v1
         addr add 10.2.2.2/31 dev d1 label d1:alias",
    );
    let mut client = crate::open().unwrap();
    let d0 = client.addresses(name("d0")).unwrap();
    assert_eq!(
        d0,
        nets(&["192.0.2.7/24", "192.0.2.8/24", "fd00::7/64"])
            .into_iter()
            .collect()
    );

    let links = client.node_links().unwrap();
    assert_eq!(links.addresses(name("d0")), Some(&d0));
    assert_eq!(
        links.addresses(name("v0")).unwrap(),
        &nets(&["192.0.2.7/32"]).into_iter().collect()
    );
    assert_eq!(
        links.addresses(name("v1")).unwrap(),
        &nets(&["10.1.1.1/32"]).into_iter().collect()
    );
    assert!(links.has(name("d1"), "10.2.2.2".parse().unwrap()));
    assert!(links.has(name("lo"), "::1".parse().unwrap()));
    let with: Vec<_> = links.links_with("192.0.2.7".parse().unwrap()).collect();
    assert_eq!(with, [name("d0"), name("v0")]);
    for (link, addresses) in links.iter() {
        let mut listed = ip_lists(link);
        if link == name("v1") {
            listed = nets(&["10.1.1.1/32"]).into_iter().collect(); // ip shows "10.1.1.1"
        }
        assert_eq!(*addresses, listed, "{link}");
    }
}

pub(crate) fn ipv6_addresses_are_usable_at_once() {
    let (link, mut client) = (name("d0"), crate::open().unwrap());
    client.ensure(link).unwrap();
    for text in ["fd00::5", "fd00::6", "10.96.0.5"] {
        let ip: IpAddr = text.parse().unwrap();
        assert_eq!(
            all(client.add_addresses(link, &[host_address(ip)]).unwrap()),
            [Outcome::Changed]
        );
        // Were it tentative, or not local because the link is down: EADDRNOTAVAIL.
        TcpListener::bind((ip, 0)).unwrap();
    }
}

pub(crate) fn addresses_with_peers_are_removed_as_listed() {
    let (link, mut client) = (name("d0"), crate::open().unwrap());
    client.ensure(link).unwrap();
    cmd_input(
        "ip -batch -",
        "addr add 10.1.1.1 peer 10.1.1.2/32 dev d0
         addr add 10.1.1.1 peer 10.1.1.3/32 dev d0
         addr add 10.2.2.1 peer 10.3.3.0/24 dev d0
         addr add 10.4.4.1 peer 10.4.4.9/24 dev d0
         addr add 10.5.5.5/32 dev d0
         addr add fd00::1 peer fd00::2/64 dev d0 nodad
         addr add fd00::3 peer fd01::3/128 dev d0 nodad",
    );
    let bound = client.bound_addresses(link).unwrap();
    let mut shown: Vec<_> = bound.iter().map(ToString::to_string).collect();
    shown.sort();
    let by_ip = cmd("ip -o addr show dev d0 | sed -E 's/.* inet6? //; s/ (scope|brd) .*//'");
    let mut by_ip: Vec<_> = by_ip.lines().collect();
    by_ip.sort_unstable();
    assert_eq!(shown, by_ip);
    assert_eq!(bound.iter().filter(|bound| bound.peer.is_some()).count(), 6);

    let listed = client.addresses(link).unwrap();
    let expected = nets(&[
        "10.1.1.1/32",
        "10.2.2.1/24",
        "10.4.4.1/24",
        "10.5.5.5/32",
        "fd00::1/64",
        "fd00::3/128",
    ]);
    assert_eq!(listed, expected.iter().copied().collect());
    // Another prefix length is another address, with a peer too.
    let others = nets(&["10.1.1.1/24", "10.2.2.1/32", "10.3.3.0/24", "fd00::1/128"]);
    assert_eq!(
        all(client.remove_addresses(link, &others).unwrap()),
        [Outcome::Unchanged; 4]
    );
    assert_eq!(client.addresses(link).unwrap(), listed);

    assert_eq!(
        all(client.remove_addresses(link, &expected).unwrap()),
        [Outcome::Changed; 6]
    );
    assert_eq!(cmd("ip -o addr show dev d0"), "");
    assert_eq!(
        all(client.remove_addresses(link, &expected).unwrap()),
        [Outcome::Unchanged; 6]
    );
}

pub(crate) fn an_address_with_and_without_a_peer_takes_two_removals() {
    let (link, mut client) = (name("d0"), crate::open().unwrap());
    client.ensure(link).unwrap();
    cmd("ip addr add 10.1.1.1 peer 10.1.1.2/32 dev d0 && ip addr add 10.1.1.1/32 dev d0");
    let address = nets(&["10.1.1.1/32"]);
    for left in [1, 0] {
        let outcomes = client.remove_addresses(link, &address).unwrap();
        assert_eq!(all(outcomes), [Outcome::Changed]);
        assert_eq!(client.bound_addresses(link).unwrap().len(), left);
    }
    let outcomes = client.remove_addresses(link, &address).unwrap();
    assert_eq!(all(outcomes), [Outcome::Unchanged]);
}

pub(crate) fn disabled_ipv6_fails_alone_with_its_reason() {
    let (link, mut client) = (name("d0"), crate::open().unwrap());
    client.ensure(link).unwrap();
    set_sysctl("net.ipv6.conf.d0.disable_ipv6", "1");
    let wanted = nets(&["10.0.0.1/32", "fd00::1/128", "10.0.0.2/32"]);
    let results = client.add_addresses(link, &wanted).unwrap();
    let disabled = Err(Error::Ipv6Disabled {
        link,
        address: wanted[1],
    });
    assert_eq!(
        results,
        [Ok(Outcome::Changed), disabled, Ok(Outcome::Changed)]
    );
    assert_eq!(
        ip_lists(link),
        nets(&["10.0.0.1/32", "10.0.0.2/32"]).into_iter().collect()
    );
    // Removing an address that is not there is not an error.
    assert_eq!(
        all(client.remove_addresses(link, &wanted[1..2]).unwrap()),
        [Outcome::Unchanged]
    );
}

pub(crate) fn ten_thousand_addresses() {
    let (link, mut client) = (name("kube-ipvs0"), crate::open().unwrap());
    client.ensure(link).unwrap();
    let wanted: Vec<IpNetwork> = (0..10_000_u32)
        .map(|number| match number % 2 {
            0 => host_address(IpAddr::V4((0x0a60_0000 + number).into())),
            _ => host_address(IpAddr::V6((0xfd_u128 << 120 | u128::from(number)).into())),
        })
        .collect();
    assert!(
        all(client.add_addresses(link, &wanted).unwrap())
            .iter()
            .all(|e| *e == Outcome::Changed)
    );
    assert_eq!(
        client.addresses(link).unwrap(),
        wanted.iter().copied().collect()
    );
    assert_eq!(ip_lists(link), wanted.iter().copied().collect());
    let (first, second) = wanted.split_at(5000);
    assert!(
        all(client.remove_addresses(link, first).unwrap())
            .iter()
            .all(|e| *e == Outcome::Changed)
    );
    let results = all(client.remove_addresses(link, &wanted).unwrap());
    assert_eq!(
        results
            .iter()
            .filter(|outcome| **outcome == Outcome::Changed)
            .count(),
        second.len()
    );
    assert_eq!(ip_lists(link), BTreeSet::new());
}

pub(crate) fn listings_survive_changes_meanwhile() {
    let (steady, busy) = (name("steady"), name("busy"));
    let mut client = crate::open().unwrap();
    client.ensure(steady).unwrap();
    client.ensure(busy).unwrap();
    let stays: Vec<IpNetwork> = (0..500_u32)
        .map(|n| host_address(IpAddr::V4((0x0a60_0000 + n).into())))
        .collect();
    all(client.add_addresses(steady, &stays).unwrap());
    let expected: BTreeSet<_> = stays.iter().copied().collect();

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut other = crate::open().unwrap();
            let comes_and_goes: Vec<_> = (1..50)
                .map(|n| host_address(IpAddr::V4([192, 0, 2, n].into())))
                .collect();
            while !done.load(Ordering::Relaxed) {
                all(other.add_addresses(busy, &comes_and_goes).unwrap());
                all(other.remove_addresses(busy, &comes_and_goes).unwrap());
                // Several processors could change something during each of thirty attempts.
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for _ in 0..100 {
            assert_eq!(client.addresses(steady).unwrap(), expected);
            assert_eq!(
                client.node_links().unwrap().addresses(steady),
                Some(&expected)
            );
        }
        done.store(true, Ordering::Relaxed);
    });
}
