#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should panic"
)]

use ipset_netlink::SetType;
use iptables_restore::{RestoreInput, Rule, TableName, Target};
use ipvs_netlink::{Connections, DestinationConfig, Family, ForwardingMethod, Scheduler};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use dummy_link::Table;

use crate::layout::nftables::{AddressPort, Element, Kind, Options, Routing, TableRules};
use crate::observed::{ObservedServer, ObservedTable};
use crate::plan::{RulesChange, TablePart, TableWrite};
use crate::{Kernel, MemoryKernel};

fn server(n: u8) -> VirtualServerId {
    VirtualServerId::tcp(([10, 0, 0, n], 80))
}

fn destination(n: u8, weight: u32) -> Destination {
    Destination {
        id: DestinationId {
            address: [10, 244, 0, n].into(),
            port: 8080,
        },
        config: DestinationConfig::new(ForwardingMethod::Masquerade, weight),
    }
}

fn config(least_connection: bool) -> VirtualServerConfig {
    VirtualServerConfig::new(if least_connection {
        Scheduler::LC
    } else {
        Scheduler::RR
    })
}

fn rules(chain: &str, action: u8) -> Operation {
    let mut input = RestoreInput::new();
    let nat = input.table(TableName::Nat);
    let rule = Rule::new().comment(chain).jump(Target::Return);
    match action {
        0 => nat.declare_chain(chain).unwrap(),
        1 => nat.append(chain, rule).unwrap(),
        2 => nat.delete(chain, rule).unwrap(),
        _ => nat.delete_chain(chain).unwrap(),
    };
    Operation::RestoreRules(Box::new(RulesChange::new(Family::V4, input)))
}

fn operation() -> impl Strategy<Value = Operation> {
    let set = || select(vec!["A", "B", "C"]).prop_map(|name| name.parse::<SetName>().unwrap());
    let id = || (1..3u8).prop_map(server);
    let address = || (1..4u8).prop_map(|n| IpAddr::from([10, 0, 0, n]));
    let entry = || address().prop_map(Entry::ip);
    let timeout = || select(vec![0, 60, 120]);
    let chain = select(vec!["ONE", "TWO"]);
    prop_oneof![
        1 => (select(Sysctl::ALL.to_vec()), 0..3i64).prop_map(|(sysctl, value)| {
            let was = None;
            Operation::SetSysctl { sysctl, value, was }
        }),
        1 => (timeout(), timeout(), timeout()).prop_map(|(tcp, tcp_fin, udp)| {
            Operation::SetTimeouts(Timeouts { tcp, tcp_fin, udp })
        }),
        2 => Just(Operation::CreateLink),
        1 => Just(Operation::DeleteLink),
        4 => set().prop_map(|name| {
            Operation::CreateSet(Box::new(SetSpec::hash(name, SetType::HASH_IP, Family::V4)))
        }),
        6 => (set(), entry()).prop_map(|(set, entry)| Operation::AddEntry { set, entry }),
        2 => (set(), entry()).prop_map(|(set, entry)| Operation::DeleteEntry { set, entry }),
        2 => (set(), set()).prop_map(|(set, with)| Operation::SwapSets { set, with }),
        1 => set().prop_map(Operation::DestroySet),
        4 => (chain, 0..4u8).prop_map(|(chain, action)| rules(chain, action)),
        4 => (id(), any::<bool>()).prop_map(|(id, lc)| Operation::AddServer { id, config: config(lc) }),
        2 => (id(), any::<bool>()).prop_map(|(id, lc)| {
            let (config, was) = (config(lc), config(!lc));
            Operation::SetServer { id, config, was }
        }),
        1 => id().prop_map(Operation::DeleteServer),
        8 => (id(), 1..4u8, 0..2u32).prop_map(|(server, n, weight)| {
            let destination = destination(n, weight);
            Operation::AddDestination { server, destination }
        }),
        2 => (id(), 1..4u8, 0..2u32).prop_map(|(server, n, weight)| {
            let destination = destination(n, weight);
            Operation::SetDestination { server, destination, was: 1 }
        }),
        2 => (id(), 1..4u8).prop_map(|(server, n)| {
            let id = destination(n, 1).id;
            Operation::DeleteDestination { server, id }
        }),
        3 => address().prop_map(Operation::BindAddress),
        1 => address().prop_map(|address| Operation::UnbindAddress(host_address(address))),
        12 => of_table(),
        4 => of_routing(),
    ]
}

fn element() -> impl Strategy<Value = Element> {
    let at = AddressPort {
        address: [10, 0, 0, 7].into(),
        protocol: ipvs_netlink::Protocol::TCP,
        port: 80,
    };
    select(vec![
        Element::ClusterIp(at.address),
        Element::Firewalled(at),
        Element::SourceRange(at, "10.0.0.0/8".parse().unwrap()),
        Element::ServiceMark(at, 1),
        Element::ServiceMark(at, 2),
        Element::Service(at, Kind::External),
        Element::Service(at, Kind::ExternalLocal),
        Element::MasqueradeAddress(at, "10.0.0.1".parse().unwrap()),
        Element::MasqueradeAddress(at, "10.0.0.2".parse().unwrap()),
    ])
}

fn of_table() -> impl Strategy<Value = Operation> {
    let family = Family::V4;
    prop_oneof![
        2 => vec(element(), 0..2).prop_map(move |elements| {
            Operation::WriteTable(Box::new(TableWrite::new(TableRules::new(family), elements)))
        }),
        1 => Just(Operation::DeleteTable(family)),
        3 => of_part().prop_map(Operation::AddTablePart),
        2 => of_part().prop_map(Operation::DeleteTablePart),
        6 => element().prop_map(move |element| Operation::AddElement { family, element }),
        4 => (element(), element())
            .prop_filter("of one key", |(element, was)| element.key() == was.key())
            .prop_map(move |(element, was)| Operation::ChangeElement { family, element, was }),
        3 => element().prop_map(move |element| Operation::DeleteElement { family, element }),
    ]
}

fn of_part() -> impl Strategy<Value = Box<TablePart>> {
    let part = TablePart::of_masquerade_addresses(&TableRules::new(Family::V4));
    Just(Box::new(part))
}

fn of_routing() -> impl Strategy<Value = Operation> {
    let routing = select(vec![1u32, 2]).prop_map(|number| {
        let options = Options {
            routing_table: Table(number),
            ..Options::default()
        };
        Routing::of(&options, [Family::V4])
    });
    (routing, 0..4u8).prop_map(|(routing, what)| {
        let (rule, route) = (
            *routing.rules.first().unwrap(),
            *routing.routes.first().unwrap(),
        );
        match what {
            0 => Operation::AddRoutingRule(rule),
            1 => Operation::DeleteRoutingRule(rule),
            2 => Operation::AddRoute(route),
            _ => Operation::DeleteRoute(route),
        }
    })
}

/// All but connections, which change by themselves.
fn state(applied: &LastApplied) -> Observed {
    let mut ids: Vec<_> = applied.servers.keys().copied().collect();
    ids.sort_unstable();
    let servers = ids.iter().filter_map(|id| applied.server(id));
    let sets = applied.sets.iter().map(|(name, set)| {
        let mut whole = ipset_netlink::Set::new(set.spec.clone());
        whole.entries = set.entries.iter().cloned().collect();
        (*name, whole)
    });
    Observed {
        servers: servers.map(without_connections).collect(),
        sets: sets.collect(),
        rules: PerFamily::from_fn(|family| applied.rules.get(family).whole().into_owned()),
        tables: PerFamily::from_fn(|family| {
            let table = applied.tables.get(family).as_ref()?;
            let elements = table.elements.iter().copied().collect();
            let mut found = ObservedTable::new(table.structure.clone(), elements);
            found.foreign_elements = table.foreign_elements;
            Some(found)
        }),
        routing: applied.routing.clone(),
        addresses: applied
            .addresses
            .as_ref()
            .map(|bound| bound.iter().copied().collect()),
        sysctls: applied.sysctls.clone(),
        timeouts: applied.timeouts,
    }
}

fn without_connections(mut server: ObservedServer) -> ObservedServer {
    for found in &mut server.destinations {
        found.connections = Connections::default();
    }
    server
}

fn untouched(kernel: &mut MemoryKernel) -> LastApplied {
    LastApplied::new(&kernel.observe().unwrap(), 0, |_| true)
}

/// A number for each kind of operation. A new kind does not compile until it is named here; then
/// `operation` has to make it too, or `every_kind_is_tried` fails.
const fn kind(operation: &Operation) -> usize {
    match operation {
        Operation::SetSysctl { .. } => 0,
        Operation::SetTimeouts(_) => 1,
        Operation::CreateLink => 2,
        Operation::DeleteLink => 3,
        Operation::CreateSet(_) => 4,
        Operation::AddEntry { .. } => 5,
        Operation::DeleteEntry { .. } => 6,
        Operation::SwapSets { .. } => 7,
        Operation::DestroySet(_) => 8,
        Operation::RestoreRules(_) => 9,
        Operation::AddServer { .. } => 10,
        Operation::SetServer { .. } => 11,
        Operation::DeleteServer(_) => 12,
        Operation::AddDestination { .. } => 13,
        Operation::SetDestination { .. } => 14,
        Operation::DeleteDestination { .. } => 15,
        Operation::BindAddress(_) => 16,
        Operation::UnbindAddress(_) => 17,
        Operation::WriteTable(_) => 18,
        Operation::DeleteTable(_) => 19,
        Operation::AddElement { .. } => 20,
        Operation::ChangeElement { .. } => 21,
        Operation::DeleteElement { .. } => 22,
        Operation::AddRoutingRule(_) => 23,
        Operation::DeleteRoutingRule(_) => 24,
        Operation::AddRoute(_) => 25,
        Operation::DeleteRoute(_) => 26,
        Operation::AddTablePart(_) => 27,
        Operation::DeleteTablePart(_) => 28,
    }
}

const KINDS: usize = 29;

proptest! {
    /// What the engine takes an operation to have done is what the kernel in memory does: one by one, and many at a time.
    #[test]
    fn operations_have_one_effect_in_both(operations in vec(operation(), 1..60)) {
        let mut kernel = MemoryKernel::new();
        let (mut one_by_one, mut at_once) = (untouched(&mut kernel), untouched(&mut kernel));
        let mut done = Vec::new();
        for operation in operations {
            if kernel.perform(&operation).is_err() {
                continue;
            }
            one_by_one.take(std::iter::once(&operation), |_| None, |_, _, _| ());
            prop_assert_eq!(state(&one_by_one), kernel.state(), "{}", operation);
            done.push(operation);
        }
        at_once.take(done.iter(), |_| None, |_, _, _| ());
        prop_assert_eq!(state(&at_once), kernel.state());
    }
}

/// As `operations_have_one_effect_in_both` found it.
#[test]
fn the_last_of_several_edits_of_a_destination_decides() {
    let (server, destination) = (server(1), destination(1, 1));
    let add = || Operation::AddDestination {
        server,
        destination,
    };
    let delete = || Operation::DeleteDestination {
        server,
        id: destination.id,
    };
    let config = config(false);
    let id = server;
    for (edits, left) in [
        (vec![add(), delete()], 0),
        (vec![add(), delete(), add()], 1),
    ] {
        let mut applied = untouched(&mut MemoryKernel::new());
        let operations = [vec![Operation::AddServer { id, config }], edits].concat();
        applied.take(operations.iter(), |_| None, |_, _, _| ());
        assert_eq!(applied.server(&server).unwrap().destinations.len(), left);
    }
}

#[test]
fn every_kind_is_tried() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut made, mut carried_out) = ([false; KINDS], [false; KINDS]);
    let mut kernel = MemoryKernel::new();
    for _ in 0..2_000 {
        let operation = operation().new_tree(&mut runner).unwrap().current();
        *made.get_mut(kind(&operation)).unwrap() = true;
        if kernel.perform(&operation).is_ok() {
            *carried_out.get_mut(kind(&operation)).unwrap() = true;
        }
    }
    assert_eq!((made, carried_out), ([true; KINDS], [true; KINDS]));
}
