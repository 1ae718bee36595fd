//! Against a real kernel: written by us and read by `ip`, and the other way round.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::net::{IpAddr, TcpListener};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dummy_link::{AddressFlags, AddressProtocol, Client, Error, LinkName, Outcome, host_address};
use ipnetwork::IpNetwork;
use kernel_test::{Needs, cmd, cmd_input, set_sysctl, tests, try_cmd};

fn main() -> ExitCode {
    let anywhere = tests![
        made_by_us_read_by_ip,
        made_by_ip_read_by_us,
        other_links_are_left_alone,
        addresses_written_by_us_read_by_ip,
        addresses_written_by_ip_read_by_us,
        ipv6_addresses_are_usable_at_once,
        addresses_with_peers_are_removed_as_listed,
        an_address_with_and_without_a_peer_takes_two_removals,
        links_of_another_kind_are_not_changed,
        links_are_found_by_kind_and_any_name,
        marked_addresses_are_recognised_on_a_renamed_link,
        disabled_ipv6_fails_alone_with_its_reason,
        missing_links_are_reported_as_missing,
        ten_thousand_addresses,
        listings_survive_changes_meanwhile,
    ];
    let here = tests![a_kernel_without_dummy_links].map(|test| test.needs(Needs::NetNamespace));
    kernel_test::main(anywhere.into_iter().chain(here))
}

fn name(text: &str) -> LinkName {
    text.parse().unwrap()
}

fn nets(texts: &[&str]) -> Vec<IpNetwork> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The addresses of a link, as `ip` lists them.
fn ip_lists(link: LinkName) -> BTreeSet<IpNetwork> {
    let listed = cmd(&format!("ip -o addr show dev {link} | awk '{{print $4}}'"));
    listed.lines().map(|line| line.parse().unwrap()).collect()
}

/// The result of every request, or the first error.
fn all(results: Vec<Result<Outcome, Error>>) -> Vec<Outcome> {
    results.into_iter().collect::<Result<_, _>>().unwrap()
}

fn made_by_us_read_by_ip() {
    let (link, mut client) = (name("kube-ipvs0"), Client::open().unwrap());
    assert_eq!(client.delete(link), Ok(Outcome::Unchanged));
    assert_eq!(client.ensure(link), Ok(Outcome::Changed));
    assert_eq!(client.ensure(link), Ok(Outcome::Unchanged));

    let shown = cmd("ip -o -d link show type dummy");
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert!(
        shown.contains(": kube-ipvs0: <BROADCAST,NOARP> "),
        "not set up: {shown}"
    );
    assert_eq!(client.set_up(link, true), Ok(Outcome::Changed));
    assert_eq!(client.set_up(link, true), Ok(Outcome::Unchanged));
    assert!(cmd("ip -o link show up type dummy").contains("kube-ipvs0"));
    assert_eq!(client.set_up(link, false), Ok(Outcome::Changed));
    assert_eq!(cmd("ip -o link show up type dummy"), "");

    assert_eq!(client.delete(link), Ok(Outcome::Changed));
    assert_eq!(client.delete(link), Ok(Outcome::Unchanged));
    assert_eq!(cmd("ip -o link show type dummy"), "");
}

fn made_by_ip_read_by_us() {
    cmd("ip link add d1 type dummy && ip link add d0 type dummy && ip link set d1 up");
    cmd("ip link add v0 type veth peer name v1");
    let mut client = Client::open().unwrap();
    let dummies: Vec<_> = client
        .dummies()
        .unwrap()
        .into_iter()
        .map(|link| (link.name.to_string(), link.is_up))
        .collect();
    assert_eq!(dummies, [("d1".to_owned(), true), ("d0".to_owned(), false)]);

    let links = client.links().unwrap();
    assert!(links.is_sorted_by_key(|link| link.index));
    assert_eq!(links.len(), cmd("ip -o link").lines().count());
    let find = |wanted: &str| {
        links
            .iter()
            .find(|link| link.name.as_str() == wanted)
            .unwrap()
    };
    assert_eq!(
        (find("lo").index, find("lo").is_loopback, find("lo").is_up),
        (1, true, true)
    );
    assert_eq!(
        (find("lo").kind.clone(), find("v1").kind.as_deref()),
        (None, Some("veth"))
    );
    assert_eq!(client.link(name("v0")).as_ref(), Ok(find("v0")));
}

fn other_links_are_left_alone() {
    cmd("ip link add v0 type veth peer name v1 && ip link property add dev v0 altname ours");
    let mut client = Client::open().unwrap();
    let veth = Error::NotDummy {
        link: name("v0"),
        kind: Some("veth".into()),
    };
    assert_eq!(client.ensure(name("v0")), Err(veth.clone()));
    assert_eq!(client.delete(name("v0")), Err(veth));
    let taken = Error::NameTaken {
        link: name("ours"),
        holder: name("v0"),
    };
    assert_eq!(client.ensure(name("ours")), Err(taken.clone()));
    assert_eq!(client.delete(name("ours")), Err(taken));
    let lo = client.delete(name("lo")).unwrap_err();
    assert_eq!(
        lo.to_string(),
        "link lo is a device, not a dummy link: choose another name"
    );
    assert!(cmd("ip -o link").contains("v0"));
}

fn addresses_written_by_us_read_by_ip() {
    let (link, mut client) = (name("d0"), Client::open().unwrap());
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

fn addresses_written_by_ip_read_by_us() {
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
    let mut client = Client::open().unwrap();
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

fn ipv6_addresses_are_usable_at_once() {
    let (link, mut client) = (name("d0"), Client::open().unwrap());
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

/// Whatever is listed can be removed, and is gone then for `ip` too.
fn addresses_with_peers_are_removed_as_listed() {
    let (link, mut client) = (name("d0"), Client::open().unwrap());
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

fn an_address_with_and_without_a_peer_takes_two_removals() {
    let (link, mut client) = (name("d0"), Client::open().unwrap());
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

fn links_of_another_kind_are_not_changed() {
    cmd("ip link add kube-ipvs0 type bridge && ip addr add 10.0.0.9/32 dev kube-ipvs0");
    let (link, mut client) = (name("kube-ipvs0"), Client::open().unwrap());
    let addresses = nets(&["10.0.0.1/32", "10.0.0.9/32"]);
    let bridge = Error::NotDummy {
        link,
        kind: Some("bridge".into()),
    };
    assert_eq!(
        bridge.to_string(),
        "link kube-ipvs0 is of kind bridge, not a dummy link: \
         choose another name, or delete it with `ip link delete kube-ipvs0`"
    );
    assert_eq!(client.ensure(link), Err(bridge.clone()));
    assert_eq!(client.dummy(link), Err(bridge.clone()));
    assert_eq!(client.add_addresses(link, &addresses), Err(bridge.clone()));
    assert_eq!(
        client.remove_addresses(link, &addresses),
        Err(bridge.clone())
    );
    assert_eq!(client.set_up(link, true), Err(bridge.clone()));
    assert_eq!(client.delete(link), Err(bridge));
    // It can be read, and is as it was.
    assert_eq!(client.link(link).unwrap().kind.as_deref(), Some("bridge"));
    let listed = client.addresses(link).unwrap();
    assert_eq!(listed, nets(&["10.0.0.9/32"]).into_iter().collect());
    assert_eq!(ip_lists(link), listed);
}

fn links_are_found_by_kind_and_any_name() {
    cmd_input(
        "ip -batch -",
        "link add b0 type bridge
         link add d0 type dummy
         link add d1 type dummy
         link property add dev d1 altname kube-ipvs0 altname a-name-of-more-than-fifteen-bytes",
    );
    let mut client = Client::open().unwrap();
    let of_kind = |client: &mut Client, kind: &str| {
        let links = client.links_of_kind(kind).unwrap();
        links.iter().map(|link| link.name).collect::<Vec<_>>()
    };
    assert_eq!(of_kind(&mut client, "dummy"), [name("d0"), name("d1")]);
    assert_eq!(of_kind(&mut client, "bridge"), [name("b0")]);
    assert_eq!(of_kind(&mut client, "vxlan"), []);
    for by in ["d1", "kube-ipvs0", "a-name-of-more-than-fifteen-bytes"] {
        let found = client.find_link(by).unwrap().unwrap();
        assert_eq!(found.name, name("d1"), "{by}");
        assert_eq!(found.alternative_names.len(), 2);
    }
    for missing in ["d2", "a-name-of-more-than-fifteen", "", &"x".repeat(200)] {
        assert_eq!(client.find_link(missing), Ok(None), "{missing}");
    }
    // An alternative name of ours is somebody's name.
    let taken = client.ensure(name("kube-ipvs0")).unwrap_err();
    assert!(matches!(taken, Error::NameTaken { .. }), "{taken}");
}

fn marked_addresses_are_recognised_on_a_renamed_link() {
    let mark = AddressProtocol(42);
    let mut client = Client::open().unwrap().with_address_protocol(mark);
    let ours = nets(&["10.96.0.1/32", "fd00::1/128"]);
    client.ensure(name("d0")).unwrap();
    all(client.add_addresses(name("d0"), &ours).unwrap());
    cmd("ip addr add 192.0.2.7/24 dev d0 && ip link set d0 name other");
    let marked: Vec<_> = client
        .all_addresses()
        .unwrap()
        .into_iter()
        .filter(|bound| bound.protocol == mark)
        .collect();
    let other = client.link(name("other")).unwrap().index;
    assert!(marked.iter().all(|bound| bound.index == other));
    let found: Vec<_> = marked.iter().map(|bound| bound.address).collect();
    assert_eq!(found, ours);
    assert!(
        marked[1]
            .flags
            .contains(AddressFlags::NODAD | AddressFlags::NOPREFIXROUTE)
    );
    let lo = client.bound_addresses(name("lo")).unwrap();
    let local = lo.iter().find(|bound| bound.address.is_ipv6()).unwrap();
    assert_eq!(local.protocol, AddressProtocol::KERNEL_LO);
}

fn disabled_ipv6_fails_alone_with_its_reason() {
    let (link, mut client) = (name("d0"), Client::open().unwrap());
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

fn missing_links_are_reported_as_missing() {
    let (link, mut client) = (name("d9"), Client::open().unwrap());
    let missing = Error::LinkMissing { link };
    let wanted = nets(&["10.0.0.1/32"]);
    assert_eq!(client.add_addresses(link, &wanted), Err(missing.clone()));
    assert_eq!(client.remove_addresses(link, &wanted), Err(missing.clone()));
    assert_eq!(client.addresses(link), Err(missing.clone()));
    assert_eq!(client.set_up(link, true), Err(missing.clone()));
    assert_eq!(client.link(link), Err(missing));
}

fn ten_thousand_addresses() {
    let (link, mut client) = (name("kube-ipvs0"), Client::open().unwrap());
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

/// Links and addresses come and go while another socket lists: what stays is in every listing.
fn listings_survive_changes_meanwhile() {
    let (steady, busy) = (name("steady"), name("busy"));
    let mut client = Client::open().unwrap();
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
            let mut other = Client::open().unwrap();
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

fn a_kernel_without_dummy_links() {
    let by_ip = try_cmd("ip link add probe type dummy");
    let by_us = Client::open().unwrap().ensure(name("d0"));
    match by_ip {
        Ok(_) => assert_eq!(by_us, Ok(Outcome::Changed)),
        Err(_) => assert_eq!(by_us, Err(Error::DummyUnsupported { link: name("d0") })),
    }
}
