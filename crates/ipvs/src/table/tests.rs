//! Tables and their differences, against a table in memory that is as strict as the kernel.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use proptest::prelude::*;

use crate::{
    Destination, DestinationConfig, DestinationStatus, Error, Family, Netmask, Request, Scheduler,
    Statistics, Table, TableEntry, Tunnel, VirtualServer, VirtualServerConfig, VirtualServerId,
    diff,
};

/// Carries out a request as the kernel does: what exists cannot be added, what is missing cannot be
/// changed or deleted.
fn apply(table: &mut Table, request: &Request) {
    let destination_exists = |table: &Table, service, id| {
        table
            .destinations(service)
            .any(|destination| destination.id == id)
    };
    match *request {
        Request::NewService { id, config } => {
            assert!(table.service(&id).is_none(), "{request}");
            table.set_service(id, config);
        }
        Request::SetService { id, config } => {
            assert!(table.service(&id).is_some(), "{request}");
            table.set_service(id, config);
        }
        Request::DeleteService { id } => assert!(table.remove_service(&id), "{request}"),
        Request::NewDestination {
            service,
            destination,
        } => {
            assert!(!destination_exists(table, &service, destination.id));
            table.set_destination(service, destination).unwrap();
        }
        Request::SetDestination {
            service,
            destination,
        } => {
            assert!(destination_exists(table, &service, destination.id));
            table.set_destination(service, destination).unwrap();
        }
        Request::DeleteDestination { service, id } => {
            assert!(table.remove_destination(service, &id).unwrap());
        }
        ref other => panic!("{other}"),
    }
}

const IDS: [&str; 6] = [
    "-t 10.0.0.1:80",
    "-t 10.0.0.1:81",
    "-u 10.0.0.1:80",
    "-t [2001:db8::1]:80",
    "-f 7",
    "-f 7 -6",
];

fn config() -> impl Strategy<Value = VirtualServerConfig> {
    let scheduler = prop_oneof![Just(Scheduler::RR), Just(Scheduler::SH)];
    (scheduler, any::<bool>(), 1_u8..=32).prop_map(|(scheduler, persistent, prefix)| {
        let config = VirtualServerConfig::new(scheduler);
        let netmask = Netmask::new(Family::V4, prefix).unwrap();
        match persistent {
            true => config.persistent(60).with_netmask(netmask),
            false => config,
        }
    })
}

fn destination() -> impl Strategy<Value = Destination> {
    let config = prop_oneof![
        (0_u32..3).prop_map(DestinationConfig::masquerade),
        Just(DestinationConfig::direct_route(1).with_thresholds(5, 4)),
        Just(DestinationConfig::tunnel(Tunnel::IPIP, 1)),
    ];
    (1_u8..5, config).prop_map(|(host, config)| Destination {
        id: ([10, 1, 0, host], 80).into(),
        config,
    })
}

fn table() -> impl Strategy<Value = Table> {
    let server = (
        0..IDS.len(),
        config(),
        prop::collection::vec(destination(), 0..5),
    );
    prop::collection::vec(server, 0..6).prop_map(|servers| {
        let mut table = Table::new();
        for (index, config, destinations) in servers {
            let id: VirtualServerId = IDS[index].parse().unwrap();
            table.set_service(id, config);
            for mut destination in destinations {
                if id.family() == Family::V6 {
                    destination.id.address = Ipv6Addr::LOCALHOST.into();
                }
                table.set_destination(id, destination).unwrap();
            }
        }
        table
    })
}

const fn is_deletion(request: &Request) -> bool {
    matches!(
        request,
        Request::DeleteService { .. } | Request::DeleteDestination { .. }
    )
}

proptest! {
    #[test]
    fn the_difference_makes_one_table_the_other(wanted in table(), found in table()) {
        let mut changed = found.clone();
        let changes = diff(&wanted, &found, |_| true);
        changes.iter().for_each(|request| apply(&mut changed, request));
        prop_assert_eq!(&changed, &wanted);
        prop_assert_eq!(diff(&wanted, &changed, |_| true), []);
        prop_assert!(changes.is_sorted_by_key(is_deletion), "deletions come last");
    }

    #[test]
    fn others_stay_as_they_are(wanted in table(), found in table(), owned in any::<[bool; 6]>()) {
        let owned: BTreeSet<VirtualServerId> = std::iter::zip(IDS, owned)
            .filter(|(_, owned)| *owned)
            .map(|(id, _)| id.parse().unwrap())
            .collect();
        let mut changed = found.clone();
        for request in diff(&wanted, &found, |id| owned.contains(id)) {
            apply(&mut changed, &request);
        }
        for id in IDS.map(|id| id.parse().unwrap()) {
            let kept = wanted.service(&id).is_none() && !owned.contains(&id);
            let expected = if kept { &found } else { &wanted };
            prop_assert_eq!(changed.service(&id), expected.service(&id));
            prop_assert!(changed.destinations(&id).eq(expected.destinations(&id)));
        }
    }

    #[test]
    fn nothing_is_sent_for_what_is_equal(wanted in table(), found in table()) {
        for request in diff(&wanted, &found, |_| true) {
            let mut without = found.clone();
            apply_if_possible(&mut without, &request);
            prop_assert_ne!(without, found.clone(), "{} changes nothing", request);
        }
    }

    #[test]
    fn tables_print_as_they_parse(table in table()) {
        prop_assert_eq!(table.to_string().parse(), Ok(table.clone()));
        let entries: Vec<TableEntry> = table.services().map(|(id, config)| entry(&table, id, *config)).collect();
        prop_assert_eq!(entries.into_iter().collect::<Table>(), table);
    }
}

/// Destinations of a virtual server that another request adds are a change by themselves.
fn apply_if_possible(table: &mut Table, request: &Request) {
    if let Request::NewDestination { service, .. } = request {
        if table.service(service).is_none() {
            table.set_service(*service, VirtualServerConfig::new(Scheduler::RR));
        }
    }
    apply(table, request);
}

fn entry(table: &Table, id: VirtualServerId, config: VirtualServerConfig) -> TableEntry {
    let server = VirtualServer {
        id,
        config,
        statistics: Statistics::default(),
    };
    let destinations = table
        .destinations(&id)
        .map(|destination| DestinationStatus {
            destination,
            connections: crate::Connections::default(),
            statistics: Statistics::default(),
        });
    TableEntry {
        server,
        destinations: destinations.collect(),
    }
}

#[test]
fn what_a_virtual_server_does_not_use_makes_no_difference() {
    let id = VirtualServerId::tcp(([10, 0, 0, 1], 80));
    let plain = VirtualServerConfig::new(Scheduler::RR);
    let v6 = Netmask::new(Family::V6, 64).unwrap();
    let (mut wanted, mut found) = (Table::new(), Table::new());
    wanted.set_service(id, plain.with_netmask(v6));
    found.set_service(id, plain);
    assert_eq!(diff(&wanted, &found, |_| true), []);
}

#[test]
fn errors_name_the_line() {
    for (text, line, words) in [
        (
            "-A -t 10.0.0.1:80 -s rr\n\n-A -t 10.0.0.1:80 -s wrr",
            3,
            "exists already",
        ),
        ("-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m", 1, "-t 10.0.0.1:80"),
        ("\n-X", 2, "-X"),
        (
            "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g",
            3,
            "exists already",
        ),
    ] {
        let error = text.parse::<Table>().unwrap_err();
        assert!(matches!(error, Error::Line { line: found, .. } if found == line));
        let shown = error.to_string();
        assert!(
            shown.contains(words) && shown.starts_with(&format!("line {line}: ")),
            "{shown}"
        );
    }
}
