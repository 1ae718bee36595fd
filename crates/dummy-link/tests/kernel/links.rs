//! Links.

use dummy_link::{AddressFlags, AddressProtocol, Error, Outcome};
use kernel_test::{cmd, cmd_input, try_cmd};

use crate::Client;
use crate::{all, ip_lists, name, nets};

pub(crate) fn made_by_us_read_by_ip() {
    let (link, mut client) = (name("kube-ipvs0"), crate::open().unwrap());
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

pub(crate) fn made_by_ip_read_by_us() {
    cmd("ip link add d1 type dummy && ip link add d0 type dummy && ip link set d1 up");
    cmd("ip link add v0 type veth peer name v1");
    let mut client = crate::open().unwrap();
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

pub(crate) fn other_links_are_left_alone() {
    cmd("ip link add v0 type veth peer name v1 && ip link property add dev v0 altname ours");
    let mut client = crate::open().unwrap();
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

pub(crate) fn links_of_another_kind_are_not_changed() {
    cmd("ip link add kube-ipvs0 type bridge && ip addr add 10.0.0.9/32 dev kube-ipvs0");
    let (link, mut client) = (name("kube-ipvs0"), crate::open().unwrap());
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

pub(crate) fn links_are_found_by_kind_and_any_name() {
    cmd_input(
        "ip -batch -",
        "link add b0 type bridge
         link add d0 type dummy
         link add d1 type dummy
         link property add dev d1 altname kube-ipvs0 altname a-name-of-more-than-fifteen-bytes",
    );
    let mut client = crate::open().unwrap();
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

pub(crate) fn marked_addresses_are_recognised_on_a_renamed_link() {
    let mark = AddressProtocol(42);
    let mut client = crate::open().unwrap().with_address_protocol(mark);
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

pub(crate) fn missing_links_are_reported_as_missing() {
    let (link, mut client) = (name("d9"), crate::open().unwrap());
    let missing = Error::LinkMissing { link };
    let wanted = nets(&["10.0.0.1/32"]);
    assert_eq!(client.add_addresses(link, &wanted), Err(missing.clone()));
    assert_eq!(client.remove_addresses(link, &wanted), Err(missing.clone()));
    assert_eq!(client.addresses(link), Err(missing.clone()));
    assert_eq!(client.set_up(link, true), Err(missing.clone()));
    assert_eq!(client.link(link), Err(missing));
}

pub(crate) fn a_kernel_without_dummy_links() {
    let by_ip = try_cmd("ip link add probe type dummy");
    let by_us = crate::open().unwrap().ensure(name("d0"));
    match by_ip {
        Ok(_) => assert_eq!(by_us, Ok(Outcome::Changed)),
        Err(_) => assert_eq!(by_us, Err(Error::DummyUnsupported { link: name("d0") })),
    }
}
