//! Labels, lifetimes, scopes and protocols of addresses, held against `ip -d -j address`.

use dummy_link::{
    AddressFlags, AddressProtocol, AddressScope, BoundAddress, Error, Lifetime, Lifetimes,
    NewAddress, Outcome,
};
use kernel_test::{cmd, cmd_input};
use serde_json::{Value, json};

use crate::{all, name};

/// What `ip` lists of the addresses of d0, as far as we list it, without what is left of their lifetimes.
fn theirs() -> Vec<Value> {
    let links: Vec<Value> = serde_json::from_str(&cmd("ip -d -j addr show dev d0")).unwrap();
    let addresses = links[0]["addr_info"].as_array().unwrap();
    let keys = [
        "family",
        "local",
        "address",
        "prefixlen",
        "broadcast",
        "scope",
        "label",
        "nodad",
        "noprefixroute",
        "deprecated",
    ];
    let kept = addresses.iter().map(|address| {
        let kept = keys
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), address.get(key)?.clone())));
        Value::Object(kept.collect())
    });
    kept.collect()
}

/// The same of what we list.
fn ours(bound: &[BoundAddress]) -> Vec<Value> {
    let described = bound.iter().map(|bound| {
        let mut value = json!({
            "family": if bound.address.is_ipv4() { "inet" } else { "inet6" },
            "local": bound.address.ip(),
            "prefixlen": bound.address.prefix(),
            "scope": bound.scope.to_string(),
        });
        if let Some(peer) = bound.peer {
            value["address"] = json!(peer);
        }
        if let Some(broadcast) = bound.broadcast {
            value["broadcast"] = json!(broadcast);
        }
        if let Some(label) = bound.label {
            value["label"] = json!(label.as_str());
        }
        for (flag, key) in [
            (AddressFlags::NODAD, "nodad"),
            (AddressFlags::NOPREFIXROUTE, "noprefixroute"),
            (AddressFlags::DEPRECATED, "deprecated"),
        ] {
            if bound.flags.contains(flag) {
                value[key] = json!(true);
            }
        }
        value
    });
    described.collect()
}

/// What is left of valid and preferred lifetime, as `ip` lists it.
fn their_lifetimes() -> Vec<Lifetimes> {
    let links: Vec<Value> = serde_json::from_str(&cmd("ip -d -j addr show dev d0")).unwrap();
    let addresses = links[0]["addr_info"].as_array().unwrap();
    let lifetime = |value: &Value| match u32::try_from(value.as_u64().unwrap()).unwrap() {
        u32::MAX => Lifetime::Forever,
        seconds => Lifetime::Seconds(seconds),
    };
    let both = addresses.iter().map(|address| Lifetimes {
        preferred: lifetime(&address["preferred_life_time"]),
        valid: lifetime(&address["valid_life_time"]),
    });
    both.collect()
}

fn new(text: &str) -> NewAddress {
    NewAddress::new(text.parse().unwrap())
}

pub(crate) fn choices_written_by_us_read_by_ip() {
    let (link, mut client) = (name("d0"), crate::open().unwrap());
    client.ensure(link).unwrap();
    let wanted = [
        new("10.96.0.1/32").with_label("d0:web".parse().unwrap()),
        new("10.1.1.1/24")
            .with_broadcast([10, 1, 1, 255].into())
            .with_scope(AddressScope::LINK)
            .with_lifetimes(Lifetimes::seconds(30_000, 40_000)),
        new("10.2.2.1/32")
            .with_peer("10.2.2.2".parse().unwrap())
            .with_scope(AddressScope(77))
            .with_lifetimes(Lifetimes {
                preferred: Lifetime::Seconds(0),
                valid: Lifetime::Forever,
            }),
        new("fd00::1/128").with_lifetimes(Lifetimes::seconds(0, 40_000)),
        new("fd00:1::1/64")
            .with_flags(AddressFlags::NODAD | AddressFlags::NOPREFIXROUTE)
            .with_lifetimes(Lifetimes::seconds(40_000, 40_000)),
        new("127.0.0.7/8").with_protocol(AddressProtocol(77)),
    ];
    let outcomes = client.add_addresses_with(link, &wanted).unwrap();
    assert_eq!(all(outcomes), [Outcome::Changed; 6]);

    let before = client.bound_addresses(link).unwrap();
    let between = their_lifetimes();
    let after = client.bound_addresses(link).unwrap();
    assert_eq!(ours(&after), theirs());
    assert_eq!(after.len(), wanted.len());
    for ((before, between), after) in before.iter().zip(&between).zip(&after) {
        let lifetimes = [before.lifetimes, *between, after.lifetimes];
        // Lifetimes count down: each is at most what was chosen.
        assert!(lifetimes.is_sorted_by(|a, b| a.valid >= b.valid && a.preferred >= b.preferred));
        let chosen = wanted
            .iter()
            .find(|new| new.address == before.address)
            .unwrap();
        assert!(chosen.lifetimes.valid >= before.lifetimes.valid);
        assert_eq!(
            chosen.lifetimes.valid == Lifetime::Forever,
            before.lifetimes.valid == Lifetime::Forever
        );
        if chosen.lifetimes.valid == Lifetime::Forever {
            // The kernel then lists no end of the other either; the flag remains.
            let is_deprecated = before.flags.contains(AddressFlags::DEPRECATED);
            assert_eq!(
                chosen.lifetimes.preferred == Lifetime::Seconds(0),
                is_deprecated,
                "{before}"
            );
        } else {
            assert!(chosen.lifetimes.preferred >= before.lifetimes.preferred);
        }
        let again = NewAddress::from(before);
        assert_eq!((again.peer, again.scope), (chosen.peer, chosen.scope));
        assert_eq!(again.flags, chosen.flags, "{before}");
        if let Some(label) = chosen.label {
            assert_eq!(again.label, Some(label));
        }
    }
    // Kernels before 5.18 keep no protocol.
    let marked = after.iter().find(|bound| bound.address.ip().is_loopback());
    let protocol = marked.unwrap().protocol;
    assert!([AddressProtocol(77), AddressProtocol::UNSPEC].contains(&protocol));

    // The address is there, whatever its choices.
    let outcomes = client
        .add_addresses_with(link, &[new("10.96.0.1/32")])
        .unwrap();
    assert_eq!(all(outcomes), [Outcome::Unchanged]);
    assert_eq!(ours(&client.bound_addresses(link).unwrap()), theirs());
}

pub(crate) fn choices_written_by_ip_read_by_us() {
    cmd_input(
        "ip -batch -",
        "link add d0 type dummy
         addr add 192.0.2.7/24 dev d0 label d0:seven brd +
         addr add 192.0.2.8/24 dev d0 valid_lft 40000 preferred_lft 30000
         addr add 10.1.1.1 peer 10.1.1.2/24 brd 10.1.1.255 dev d0 scope link
         addr add 10.3.3.3/32 dev d0 scope host
         addr add fd00::7/64 dev d0 nodad valid_lft 40000 preferred_lft 0
         addr add fe80::7/64 dev d0 nodad
         addr add fd00:1::7 peer fd00:1::8/128 dev d0 nodad noprefixroute",
    );
    let mut client = crate::open().unwrap();
    let bound = client.bound_addresses(name("d0")).unwrap();
    assert_eq!(bound.len(), 7);
    assert_eq!(ours(&bound), theirs());
    let scopes: Vec<_> = bound.iter().map(|bound| bound.scope).collect();
    for scope in [
        AddressScope::UNIVERSE,
        AddressScope::LINK,
        AddressScope::HOST,
    ] {
        assert!(scopes.contains(&scope), "{scope}");
    }
    let limited = bound
        .iter()
        .filter(|bound| bound.lifetimes != Lifetimes::FOREVER);
    assert_eq!(limited.count(), 2);
}

pub(crate) fn lifetimes_are_renewed_and_end() {
    let (link, mut client) = (name("d0"), crate::open().unwrap());
    client.ensure(link).unwrap();
    let addresses = [new("10.1.1.1/32"), new("fd00::1/128")];
    let of = |preferred, valid| {
        addresses.map(|new| new.with_lifetimes(Lifetimes::seconds(preferred, valid)))
    };
    let forever = |bound: &[BoundAddress]| bound.iter().all(|b| b.lifetimes == Lifetimes::FOREVER);
    // New ones too.
    let outcomes = client.replace_addresses(link, &of(40_000, 50_000)).unwrap();
    assert_eq!(all(outcomes), [Outcome::Changed; 2]);
    let bound = client.bound_addresses(link).unwrap();
    assert!(bound.len() == 2 && !forever(&bound));
    client.replace_addresses(link, &addresses).unwrap();
    assert!(forever(&client.bound_addresses(link).unwrap()));
    assert_eq!(client.bound_addresses(link).unwrap().len(), 2);

    // What no address can have is refused by name, and changes nothing.
    for (preferred, valid) in [(2, 1), (0, 0)] {
        let wrong = Lifetimes::seconds(preferred, valid);
        let others = ["10.1.1.9/32", "fd00::9/128"].map(|text| new(text).with_lifetimes(wrong));
        for (result, news) in [
            (client.add_addresses_with(link, &others), others),
            (client.replace_addresses(link, &others), others),
            (
                client.replace_addresses(link, &of(preferred, valid)),
                of(preferred, valid),
            ),
        ] {
            for (outcome, new) in result.unwrap().into_iter().zip(news) {
                let expected = Error::InvalidLifetimes {
                    link,
                    address: new.address,
                    lifetimes: new.lifetimes,
                };
                assert_eq!(outcome, Err(expected));
            }
        }
    }
    assert!(forever(&client.bound_addresses(link).unwrap()));

    // The kernel removes it.
    client.replace_addresses(link, &of(1, 1)).unwrap();
    while !client.bound_addresses(link).unwrap().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

pub(crate) fn of_several_with_the_same_address_the_one_is_removed() {
    let (link, mut client) = (name("d0"), crate::open().unwrap());
    client.ensure(link).unwrap();
    let with = |peer: &str| new("10.1.1.1/32").with_peer(peer.parse().unwrap());
    let wanted = [new("10.1.1.1/32"), with("10.1.1.2"), with("10.1.1.3")];
    let outcomes = client.add_addresses_with(link, &wanted).unwrap();
    assert_eq!(all(outcomes), [Outcome::Changed; 3]);
    let bound = client.bound_addresses(link).unwrap();
    let third = bound
        .iter()
        .find(|bound| bound.peer == wanted[2].peer)
        .unwrap();
    for expected in [Outcome::Changed, Outcome::Unchanged] {
        let outcomes = client.remove_bound_addresses(link, &[*third]).unwrap();
        assert_eq!(all(outcomes), [expected]);
        let left = client.bound_addresses(link).unwrap();
        let peers: Vec<_> = left.iter().map(|bound| bound.peer).collect();
        assert_eq!(peers.len(), 2);
        assert!(peers.contains(&None) && peers.contains(&wanted[1].peer));
    }
}
