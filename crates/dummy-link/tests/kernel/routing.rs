//! Rules by mark and local routes.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::Duration;

use dummy_link::{
    Error, Family, LocalRoute, Mark, MarkRule, Outcome, RouteKind, RoutingProtocol, Table,
    every_address,
};
use kernel_test::{Namespace, Netns, cmd, cmd_input, set_sysctl, try_cmd};

use super::{all, name};
use crate::Client;

const TABLE: Table = Table(8192);
const OURS: RoutingProtocol = RoutingProtocol(77);

/// The options of `ip` for each family.
const FAMILIES: [(Family, &str); 2] = [(Family::V4, "-4"), (Family::V6, "-6")];

fn rule(family: Family, priority: u32) -> MarkRule {
    MarkRule {
        family,
        priority,
        iif_lo: false,
        mark: Mark::bits(0x2000),
        table: TABLE,
        protocol: OURS,
    }
}

fn route(destination: &str) -> LocalRoute {
    LocalRoute {
        destination: destination.parse().unwrap(),
        link: 1,
        table: TABLE,
        protocol: OURS,
    }
}

/// The rules by mark that the client lists.
fn listed(client: &mut Client) -> Vec<MarkRule> {
    let rules = client.rules().unwrap();
    rules.iter().filter_map(dummy_link::Rule::by_mark).collect()
}

/// Our rules, as `ip -j rule` lists them: it shows those of others whatever it is asked for.
fn ip_lists_rules(flag: &str) -> Vec<String> {
    let json = cmd(&format!("ip {flag} -j rule show"));
    let rules = json.trim().trim_matches(['[', ']']).replace("},{", "}\n{");
    let rules = rules.lines().map(str::to_owned);
    rules
        .filter(|rule| rule.contains(r#""protocol":"77""#))
        .collect()
}

pub(crate) fn rules_written_by_us_read_by_ip() {
    let mut client = crate::open().unwrap();
    for (family, flag) in FAMILIES {
        let low = MarkRule {
            mark: Mark::whole(7),
            table: Table(100),
            ..rule(family, 9)
        };
        let unset = MarkRule {
            mark: "0x0/0xff".parse().unwrap(),
            ..rule(family, 11)
        };
        let own = MarkRule {
            iif_lo: true,
            ..rule(family, 99)
        };
        let rules = [rule(family, 100), low, unset, own];
        assert_eq!(all(client.add_rules(&rules)), [Outcome::Changed; 4]);
        assert_eq!(all(client.add_rules(&rules)), [Outcome::Unchanged; 4]);
        assert_eq!(
            ip_lists_rules(flag),
            [
                r#"{"priority":9,"src":"all","fwmark":"0x7","table":"100","protocol":"77"}"#,
                r#"{"priority":11,"src":"all","fwmark":"0","fwmask":"0xff","table":"8192","protocol":"77"}"#,
                r#"{"priority":99,"src":"all","fwmark":"0x2000","fwmask":"0x2000","iif":"lo","table":"8192","protocol":"77"}"#,
                r#"{"priority":100,"src":"all","fwmark":"0x2000","fwmask":"0x2000","table":"8192","protocol":"77"}"#,
            ]
        );
        assert_eq!(all(client.remove_rules(&rules)), [Outcome::Changed; 4]);
        assert_eq!(all(client.remove_rules(&rules)), [Outcome::Unchanged; 4]);
        assert_eq!(ip_lists_rules(flag), [""; 0]);
    }
}

pub(crate) fn rules_written_by_ip_read_by_us() {
    let mut client = crate::open().unwrap();
    let before = client.rules().unwrap();
    assert_eq!(before.iter().filter(|rule| rule.has_more).count(), 0);
    for (family, flag) in FAMILIES {
        let (all, to) = match family {
            Family::V4 => ("0.0.0.0/1", "192.0.2.0/24"),
            Family::V6 => ("::/1", "2001:db8::/32"),
        };
        for options in [
            "priority 100 fwmark 0x2000/0x2000 table 8192 protocol 77",
            "priority 101 fwmark 0x2000/0x2000 iif lo table 8192 protocol 77",
            "priority 102 not fwmark 0x2000/0x2000 table 8192 protocol 77",
            "priority 103 fwmark 0x2000/0x2000 table 8192 suppress_prefixlength 0 protocol 77",
            "priority 104 fwmark 0x2000/0x2000 blackhole protocol 77",
            &format!("priority 105 from {all} to {to} fwmark 1 table 8192 protocol 77"),
            "priority 106 fwmark 1 sport 1-9 table 8192 protocol 77",
            "priority 107 table 8192 protocol 77",
        ] {
            cmd(&format!("ip {flag} rule add {options}"));
        }
        let rules = client.rules().unwrap();
        let ours: Vec<_> = rules
            .iter()
            .filter(|rule| rule.family == family && rule.protocol == OURS)
            .collect();
        let priorities: Vec<_> = ours.iter().map(|rule| rule.priority).collect();
        assert_eq!(priorities, [100, 101, 102, 103, 104, 105, 106, 107]);
        let by_mark: Vec<_> = ours.iter().filter_map(|rule| rule.by_mark()).collect();
        let own = MarkRule {
            iif_lo: true,
            ..rule(family, 101)
        };
        assert_eq!(by_mark, [rule(family, 100), own], "{ours:?}");
    }
}

/// The routes of the table, as `ip` lists them: destination and protocol.
fn ip_lists(flag: &str, table: Table) -> BTreeSet<(String, String)> {
    let listed = cmd(&format!("ip {flag} -j route show table {table}"));
    let field = |route: &str, name: &str| {
        let (_, rest) = route.split_once(&format!(r#""{name}":""#)).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    listed
        .split('{')
        .filter(|route| route.contains(r#""dst""#))
        .map(|route| {
            assert!(route.contains(r#""type":"local""#), "{route}");
            assert!(route.contains(r#""dev":"lo""#), "{route}");
            (field(route, "dst"), field(route, "protocol"))
        })
        .collect()
}

pub(crate) fn routes_written_by_us_read_by_ip() {
    let mut client = crate::open().unwrap();
    for (flag, destinations, as_ip_has_them) in [
        (
            "-4",
            ["0.0.0.0/0", "10.96.0.0/12", "10.96.0.1/32"],
            ["default", "10.96.0.0/12", "10.96.0.1"],
        ),
        (
            "-6",
            ["::/0", "fd00:10:96::/112", "fd00:10:96::1/128"],
            ["default", "fd00:10:96::/112", "fd00:10:96::1"],
        ),
    ] {
        // In a table whose number fits a byte too.
        for table in [TABLE, Table(100)] {
            let routes = destinations.map(|destination| LocalRoute {
                table,
                ..route(destination)
            });
            assert_eq!(all(client.add_routes(&routes)), [Outcome::Changed; 3]);
            assert_eq!(all(client.add_routes(&routes)), [Outcome::Unchanged; 3]);
            let expected = as_ip_has_them.map(|text| (text.to_owned(), "77".to_owned()));
            assert_eq!(ip_lists(flag, table), BTreeSet::from(expected));
            assert_eq!(all(client.remove_routes(&routes)), [Outcome::Changed; 3]);
            assert_eq!(all(client.remove_routes(&routes)), [Outcome::Unchanged; 3]);
            assert_eq!(client.routes(table), Ok(vec![]));
        }
    }
}

pub(crate) fn routes_written_by_ip_read_by_us() {
    let mut client = crate::open().unwrap();
    assert_eq!(client.routes(TABLE), Ok(vec![]), "no such table");
    cmd("ip route add local default dev lo table 8192 proto 77");
    cmd("ip -6 route add local default dev lo table 8192 proto 77");
    cmd("ip route add blackhole 192.0.2.0/24 table 8192 proto static metric 5");
    let routes = client.routes(TABLE).unwrap();
    let local: Vec<_> = routes.iter().filter_map(dummy_link::Route::local).collect();
    assert_eq!(local, [route("0.0.0.0/0"), route("::/0")]);
    let other = routes.iter().find(|route| route.local().is_none()).unwrap();
    assert_eq!(
        (other.destination, other.kind, other.link, other.metric),
        (
            "192.0.2.0/24".parse().unwrap(),
            RouteKind::BLACKHOLE,
            None,
            Some(5)
        )
    );
    assert_eq!(other.protocol, RoutingProtocol::STATIC);
    let lo = client.routes(Table::LOCAL).unwrap();
    let has = |text: &str| lo.iter().any(|r| r.destination == text.parse().unwrap());
    assert!(has("127.0.0.0/8") && has("::1/128"), "{lo:?}");
}

pub(crate) fn what_others_made_stays() {
    let mut client = crate::open().unwrap();
    for (family, flag) in FAMILIES {
        cmd(&format!(
            "ip {flag} rule add priority 100 fwmark 0x2000/0x2000 table 8192 protocol static"
        ));
        cmd(&format!(
            "ip {flag} route add local default dev lo table 8192 proto static"
        ));
        let (ours, lo) = (rule(family, 100), client.link(name("lo")).unwrap().index);
        let default = LocalRoute {
            destination: every_address(family),
            link: lo,
            table: TABLE,
            protocol: OURS,
        };
        // Two routes to the same addresses cannot be, two rules can.
        assert_eq!(all(client.add_routes(&[default])), [Outcome::Unchanged]);
        assert_eq!(all(client.remove_rules(&[ours])), [Outcome::Unchanged]);
        assert_eq!(all(client.remove_routes(&[default])), [Outcome::Unchanged]);
        let (any, any_route) = (
            MarkRule {
                protocol: RoutingProtocol::UNSPEC,
                ..ours
            },
            LocalRoute {
                protocol: RoutingProtocol::UNSPEC,
                ..default
            },
        );
        let others = MarkRule {
            protocol: RoutingProtocol::STATIC,
            ..ours
        };
        assert_eq!(listed(&mut client), [others]);
        assert_eq!(all(client.add_rules(&[ours])), [Outcome::Changed]);
        assert_eq!(listed(&mut client), [others, ours]);
        assert_eq!(all(client.remove_rules(&[ours])), [Outcome::Changed]);
        assert_eq!(listed(&mut client), [others]);
        assert_eq!(all(client.remove_rules(&[any])), [Outcome::Changed]);
        assert_eq!(all(client.remove_routes(&[any_route])), [Outcome::Changed]);
        assert_eq!(listed(&mut client), []);
    }
}

pub(crate) fn another_route_to_the_same_addresses_is_reported() {
    let mut client = crate::open().unwrap();
    cmd("ip route add blackhole default table 8192");
    // IPv6 routes have a metric of their own, 1024 by default.
    cmd("ip -6 route add blackhole default table 8192 metric 1024");
    for destination in ["0.0.0.0/0", "::/0"] {
        let route = route(destination);
        let failed = client.add_routes(&[route]).remove(0).unwrap_err();
        assert_eq!(failed, Error::RouteTaken { route });
        assert_eq!(
            failed.to_string(),
            format!(
                "cannot add the route local {destination} table 8192 proto 77: the table has \
                 another route to these addresses, choose another table"
            )
        );
    }
}

pub(crate) fn a_failing_item_fails_alone() {
    let mut client = crate::open().unwrap();
    let nowhere = LocalRoute {
        link: 4711,
        ..route("10.96.0.2/32")
    };
    let routes = [route("10.96.0.1/32"), nowhere, route("10.96.0.3/32")];
    let results = client.add_routes(&routes);
    assert_eq!(results[0], Ok(Outcome::Changed));
    assert!(matches!(&results[1], Err(Error::Route { route, .. }) if *route == nowhere));
    assert_eq!(results[2], Ok(Outcome::Changed));
    // A prefix with bits behind it.
    let crooked = client.add_routes(&[route("10.96.0.1/12")]).remove(0);
    assert!(matches!(crooked, Err(Error::Route { .. })), "{crooked:?}");
    cmd("ip link add d0 type dummy");
    let down = LocalRoute {
        link: client.link(name("d0")).unwrap().index,
        ..route("::/0")
    };
    assert_eq!(
        client.add_routes(&[down]),
        [Err(Error::LinkDown { route: down })]
    );
}

/// A packet to an address that no link has is delivered where its mark makes it local, and only there.
pub(crate) fn marked_packets_are_delivered_here(namespace: &Namespace) {
    let (node, client) = (namespace.netns(), Netns::new().unwrap());
    client.veth("eth0", node, "client");
    cmd("ip addr add 192.168.1.1/24 dev client");
    client.cmd("ip addr add 192.168.1.2/24 dev eth0 && ip route add default via 192.168.1.1");
    set_sysctl("net.ipv4.ip_forward", "1");
    cmd("iptables-legacy -t mangle -A PREROUTING -p udp --dport 80 -j MARK --set-mark 0x6000");
    let receiver = UdpSocket::bind("0.0.0.0:80").unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let sender = client.run(|| UdpSocket::bind("192.168.1.2:0")).unwrap();
    let send = |to: &str, text: &str| sender.send_to(text.as_bytes(), (to, 80)).unwrap();
    let receive = || {
        let mut buffer = [0; 64];
        let (length, peer) = receiver.recv_from(&mut buffer).unwrap();
        assert_eq!(peer.ip().to_string(), "192.168.1.2");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    // Packets of one sender do not overtake one another: what was not delivered before this one never is.
    let everything_arrived = || {
        send("192.168.1.1", "to the node");
        assert_eq!(receive(), "to the node");
    };
    everything_arrived();
    send("10.96.0.1", "without a rule");
    everything_arrived();

    let mut routing = crate::open().unwrap();
    let lo = routing.link(name("lo")).unwrap().index;
    let local = LocalRoute {
        link: lo,
        ..route("0.0.0.0/0")
    };
    all(routing.add_routes(&[local]));
    send("10.96.0.1", "with a route that no rule looks up");
    everything_arrived();
    all(routing.add_rules(&[rule(Family::V4, 100)]));
    send("10.96.0.1", "with both");
    assert_eq!(receive(), "with both");

    let decided = |mark: &str| {
        try_cmd(&format!(
            "ip route get 10.96.0.1 from 192.168.1.2 iif client {mark}"
        ))
    };
    let marked = decided("mark 0x6000").unwrap();
    assert!(marked.starts_with("local 10.96.0.1 "), "{marked}");
    assert!(decided("").is_err() && decided("mark 0x4000").is_err());
}

pub(crate) fn ten_thousand_routes() {
    let mut client = crate::open().unwrap();
    let routes: Vec<_> = (0..10_000_u32)
        .map(|n| {
            route(&format!(
                "10.{}.{}.{}/32",
                n >> 16,
                (n >> 8) & 0xff,
                n & 0xff
            ))
        })
        .collect();
    assert!(
        all(client.add_routes(&routes))
            .iter()
            .all(|o| *o == Outcome::Changed)
    );
    let listed: BTreeSet<_> = client
        .routes(TABLE)
        .unwrap()
        .iter()
        .filter_map(dummy_link::Route::local)
        .collect();
    assert_eq!(listed, routes.iter().copied().collect());
    assert!(
        all(client.remove_routes(&routes))
            .iter()
            .all(|o| *o == Outcome::Changed)
    );
    assert_eq!(client.routes(TABLE), Ok(vec![]));
    cmd_input(
        "ip -batch -",
        "route add local 10.0.0.1/32 dev lo table 8192 proto 77\n",
    );
    assert_eq!(
        all(client.remove_routes(&[route("10.0.0.1/32")])),
        [Outcome::Changed]
    );
}
