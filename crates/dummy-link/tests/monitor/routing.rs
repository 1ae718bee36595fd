//! Routing rules and routes: reported where asked for, and removals from a watched table.

use std::time::Duration;

use dummy_link::{
    Client, Family, LocalRoute, Mark, MarkRule, Removal, RoutingProtocol, Table, every_address,
};
use kernel_test::cmd;

use super::{Monitor, now, open, removed};

const TABLE: Table = Table(8192);
const PROTOCOL: RoutingProtocol = RoutingProtocol(77);

fn our_rule(family: Family) -> MarkRule {
    MarkRule {
        family,
        priority: 100,
        iif_lo: false,
        mark: Mark::bits(0x2000),
        table: TABLE,
        protocol: PROTOCOL,
    }
}

fn our_route(family: Family) -> LocalRoute {
    LocalRoute {
        destination: every_address(family),
        link: 1,
        table: TABLE,
        protocol: PROTOCOL,
    }
}

/// Whether rules and routes have changed by now; nothing else may have been reported.
fn routing(monitor: &mut Monitor) -> (bool, bool) {
    let changes = monitor.wait(Duration::ZERO).unwrap().unwrap_or_default();
    let (rules, routes) = (changes.rules, changes.routes);
    assert!(
        !changes.links && !changes.addresses && !changes.lost,
        "{changes:?}"
    );
    assert_eq!(changes.removed, []);
    (rules, routes)
}

pub(super) fn rules_and_routes_are_reported_where_asked_for() {
    let mut monitor = open().unwrap().with_routing().unwrap();
    for family in ["-4", "-6"] {
        for change in [
            format!("ip {family} rule add fwmark 1 table 7"),
            format!("ip {family} rule del fwmark 1 table 7"),
        ] {
            cmd(&change);
            assert_eq!(routing(&mut monitor), (true, false), "{change}");
        }
        for change in [
            format!("ip {family} route add local default dev lo table 7"),
            format!("ip {family} route del local default dev lo table 7"),
        ] {
            cmd(&change);
            assert_eq!(routing(&mut monitor), (false, true), "{change}");
        }
    }
    assert_eq!(now(&mut monitor), None);
}

pub(super) fn removals_from_a_watched_table_are_reported() {
    let mut client = Client::open().unwrap();
    let mut monitor = open().unwrap().watching_table(TABLE).unwrap();
    let rules = Family::ALL.map(our_rule);
    let routes = Family::ALL.map(our_route);
    for result in client
        .add_routes(&routes)
        .into_iter()
        .chain(client.add_rules(&rules))
    {
        result.unwrap();
    }
    // What is ours is new, what others have is of no interest.
    cmd("ip rule add fwmark 1 table 7 && ip route add local default dev lo table 7");
    cmd("ip rule del fwmark 1 table 7 && ip route del local default dev lo table 7");
    assert_eq!(removed(&mut monitor), []);
    cmd("ip rule flush && ip -6 rule del priority 100");
    cmd("ip route flush table 8192 && ip -6 route flush table 8192");
    let removed = removed(&mut monitor);
    let gone_rules: Vec<_> = removed
        .iter()
        .filter_map(|removal| match removal {
            Removal::Rule(rule) => rule.by_mark(),
            _ => None,
        })
        .collect();
    let gone_routes: Vec<_> = removed
        .iter()
        .filter_map(|removal| match removal {
            Removal::Route(route) => route.local(),
            _ => None,
        })
        .collect();
    assert_eq!(gone_rules, rules);
    assert_eq!(gone_routes, routes);
    assert_eq!(removed.len(), 4, "{removed:?}");
}

pub(super) fn a_replaced_route_of_a_watched_table_is_reported() {
    let mut client = Client::open().unwrap();
    let mut monitor = open().unwrap().watching_table(TABLE).unwrap();
    for family in Family::ALL {
        client.add_routes(&[our_route(family)]).remove(0).unwrap();
        assert_eq!(routing(&mut monitor), (false, false));
        let flag = if family == Family::V4 { "-4" } else { "-6" };
        cmd(&format!(
            "ip {flag} route replace blackhole default table 8192 proto static"
        ));
        assert!(routing(&mut monitor).1, "{family}");
    }
}

pub(super) fn routing_is_watched_after_reopening() {
    let mut client = Client::open().unwrap();
    let mut monitor = open().unwrap().watching_table(TABLE).unwrap();
    client.add_rules(&[our_rule(Family::V4)]).remove(0).unwrap();
    monitor.reopen().unwrap();
    assert_eq!(now(&mut monitor), Some((false, false, true)));
    cmd("ip rule del priority 100");
    let removed = removed(&mut monitor);
    assert!(
        matches!(removed[..], [Removal::Rule(rule)] if rule.by_mark() == Some(our_rule(Family::V4))),
        "{removed:?}"
    );
}
