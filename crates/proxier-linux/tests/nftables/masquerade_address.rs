//! The address that a Service is masqueraded with, where it chooses one of the node's.

use std::net::IpAddr;

use kernel_test::{Netns, cmd};
use proxier::cluster::Family;
use proxier::nftables::{AddressPort, Element, TableRules};
use proxier::{Layout, Operation, Phase, Plan, TablePart, TableWrite};
use scenarios::client::{Conversation, Protocol, answer};
use scenarios::servers::serve;
use scenarios::topology::{Both, CLIENT, NODE, NODE_TO_ELSEWHERE, NODE_TO_POD, POD, Topology};

use crate::addresses::spreads;
use crate::masquerading::addresses;
use crate::proxy::{CLUSTER_IP, EXTERNAL_IP, Endpoint, NODE_PORT, Node, PORT, Web};
use crate::state::table_of;

/// Two more addresses of the node, on links that do not lead to the pods: the kernel chooses neither.
const CHOSEN: Both = Both("192.168.20.11", "2001:db8:20::11");
const OTHER: Both = Both("10.8.0.12", "fd00:8::12");
/// Networks with one of these each.
const NETWORKS: &str = "192.168.20.11, 2001:db8:20::11/128";
const OTHER_NETWORKS: &str =
    "198.18.0.0/15, 10.8.0.0/16, fd00:8::/64, 192.168.20.11, 2001:db8:20::/64";
/// Those of no node.
const FOREIGN: &str = "198.18.0.0/15, 2001:db8:bad::/48";

fn choosing(networks: &str) -> Web {
    Web::new().annotated(&annotation(networks))
}

fn annotation(networks: &str) -> String {
    format!("kube-proxier/masquerade-address: '{networks}'")
}

/// The node gets its further addresses, which the pod elsewhere can answer.
fn add_addresses(net: &Topology) {
    for family in Family::ALL {
        let via = NODE_TO_ELSEWHERE.of(family);
        for (address, link) in [(CHOSEN, "eth1"), (OTHER, "lo")] {
            let address = address.of(family);
            cmd(&format!("ip address add {address} dev {link}"));
            net.elsewhere
                .cmd(&format!("ip route add {address} via {via}"));
        }
    }
}

fn serving(layout: Layout) -> (Topology, Node) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    add_addresses(&net);
    // Node ports at the new addresses.
    node.set(&Web::new());
    (net, node)
}

/// The table as `nft` lists it.
fn table(family: Family) -> String {
    match family {
        Family::V4 => cmd("nft list table ip kube-proxier"),
        Family::V6 => cmd("nft list table ip6 kube-proxier"),
    }
}

/// Both pods see this address of whoever sends to a Service's addresses, but for pods that reach the cluster IP.
#[track_caller]
fn sees(net: &Topology, family: Family, seen: [Both; 2]) {
    let [here, elsewhere] = seen.map(|seen| seen.of(family));
    let [cluster_ip, outside @ ..] = addresses(family);
    for from in [&net.client, &net.node] {
        spreads(from, cluster_ip, here, elsewhere);
    }
    // What a pod sends to itself is masqueraded too.
    spreads(&net.pod, cluster_ip, here, POD.of(family));
    for to in outside {
        for from in [&net.client, &net.pod, &net.node] {
            spreads(from, to, here, elsewhere);
        }
    }
}

pub(crate) fn at_every_address(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout);
    let plan = node.set(&choosing(NETWORKS));
    assert!(!plan.is_empty());
    sees(&net, family, [CHOSEN, CHOSEN]);
    let plan = node.set(&choosing(NETWORKS));
    assert!(plan.is_empty(), "{plan}");

    // Another: the first network that has one.
    let plan = node.set(&choosing(OTHER_NETWORKS));
    let changes = |plan: &Plan| {
        let is_change =
            |operation: &Operation| matches!(operation, Operation::ChangeElement { .. });
        plan.phase(Phase::Map)
            .iter()
            .filter(|one| is_change(one))
            .count()
    };
    assert_eq!(changes(&plan), plan.len(), "{plan}");
    sees(&net, family, [OTHER, OTHER]);

    // And the kernel's choice again, with nothing left behind.
    let plan = node.set(&Web::new());
    assert!(!plan.to_string().contains("table ip"), "{plan}");
    sees(&net, family, [NODE_TO_POD, NODE_TO_ELSEWHERE]);
    let listing = table(family);
    assert!(
        !listing.contains("masquerade-address") && !listing.contains("chosen-address"),
        "{listing}"
    );
    let plan = node.set(&Web::new());
    assert!(plan.is_empty(), "{plan}");
}

/// With the policy `Local` what comes from outside keeps its source, and the node's own is masqueraded.
pub(crate) fn with_policy_local(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout);
    node.set(&choosing(NETWORKS).with("externalTrafficPolicy: Local"));
    let to = NODE.port(family, NODE_PORT);
    for protocol in Protocol::BOTH {
        assert_eq!(answer(&net.client, protocol, to).seen, CLIENT.of(family));
    }
    for to in [to, EXTERNAL_IP.port(family, PORT)] {
        let chosen = CHOSEN.of(family);
        spreads(&net.node, to, chosen, chosen);
    }
}

/// An address that the node has not is never used, nor one that it has no more.
pub(crate) fn only_one_that_the_node_has(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout);
    let plan = node.set(&choosing(FOREIGN));
    assert!(plan.is_empty(), "{plan}");
    sees(&net, family, [NODE_TO_POD, NODE_TO_ELSEWHERE]);
    node.set(&choosing(NETWORKS));
    let chosen = CHOSEN.of(family);
    spreads(&net.client, CLUSTER_IP.port(family, PORT), chosen, chosen);
    let length = family.host_prefix();
    cmd(&format!("ip address delete {chosen}/{length} dev eth1"));
    node.set(&choosing(NETWORKS));
    sees(&net, family, [NODE_TO_POD, NODE_TO_ELSEWHERE]);
}

/// What is open keeps the address that it has.
pub(crate) fn what_is_open_stays(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout);
    let on = |networks: Option<&str>| {
        let web = Web::on(&[Endpoint::Elsewhere]);
        match networks {
            Some(networks) => web.annotated(&annotation(networks)),
            None => web,
        }
    };
    let to = CLUSTER_IP.port(family, PORT);
    let mut open: Vec<(Conversation, IpAddr)> = Vec::new();
    for (networks, seen) in [
        (None, NODE_TO_ELSEWHERE),
        (Some(NETWORKS), CHOSEN),
        (Some(OTHER_NETWORKS), OTHER),
        (None, NODE_TO_ELSEWHERE),
    ] {
        node.set(&on(networks));
        let (conversation, answer) = Conversation::with(&net.client, to);
        assert_eq!(answer.seen, seen.of(family), "{networks:?}");
        open.push((conversation, answer.seen));
        for (conversation, _) in &mut open {
            conversation.say("after a change");
        }
    }
}

/// Ranges, and listed ports that choose endpoints together.
pub(crate) fn of_ranges(layout: Layout, family: Family) {
    const RANGE: u16 = 15_000;
    let (net, mut node) = serving(layout);
    for port in [PORT, RANGE] {
        serve(&net.pod, "pod", port);
        serve(&net.elsewhere, "elsewhere", port);
    }
    let together = "kube-proxier/affinity: all-ports";
    let web = choosing(NETWORKS).ranges("10000-20000/tcp, 10000-20000/udp");
    let chosen = CHOSEN.of(family);
    node.set(&web);
    let sees = |from: &Netns, to| {
        for protocol in Protocol::BOTH {
            assert_eq!(
                answer(from, protocol, to).seen,
                chosen,
                "{protocol:?} to {to}"
            );
        }
    };
    for address in [CLUSTER_IP, EXTERNAL_IP] {
        for from in [&net.client, &net.node] {
            spreads(from, address.port(family, RANGE), chosen, chosen);
        }
    }
    node.set(
        &web.annotated(together)
            .on_its_port()
            .with("sessionAffinity: ClientIP"),
    );
    for address in [CLUSTER_IP, EXTERNAL_IP] {
        for from in [&net.client, &net.node] {
            sees(from, address.port(family, PORT));
            sees(from, address.port(family, RANGE));
        }
    }
}

/// Sets and chains are made and deleted beside the rest of a table, and are read back as they were written.
pub(crate) fn a_part_comes_and_goes() {
    let mut kernel = crate::proxy::open(Layout::Nftables);
    for family in Family::ALL {
        let address = CHOSEN.of(family);
        let at = AddressPort {
            address,
            protocol: ipvs_netlink::Protocol::TCP,
            port: 80,
        };
        let mut rules = TableRules::new(family);
        let (plain, stays) = (rules.structure(), Element::Hairpin(address));
        let write = TableWrite::new(rules.clone(), vec![stays]);
        kernel
            .perform(&Operation::WriteTable(Box::new(write)))
            .unwrap();
        let part = TablePart::of_masquerade_addresses(&rules);
        rules.masquerade_addresses = true;
        let own = [
            Element::MasqueradeAddress(at, address),
            Element::RangeMasqueradeAddress(0x1003, address),
        ];
        for _ in 0..2 {
            let add = Operation::AddTablePart(Box::new(part.clone()));
            kernel.perform(&add).unwrap();
            assert!(kernel.perform(&add).is_err(), "it is there");
            for element in own {
                kernel
                    .perform(&Operation::AddElement { family, element })
                    .unwrap();
            }
            let found = table_of(&mut kernel, family);
            assert_eq!(found.structure, rules.structure());
            assert_eq!(found.elements, [&[stays], &own[..]].concat());
            assert_eq!(found.foreign_elements, 0);
            // A listing loads again as it is.
            let listing = table(family);
            kernel_test::cmd_input("nft -c -f -", &format!("flush ruleset\n{listing}"));

            // With what is in it.
            let delete = Operation::DeleteTablePart(Box::new(part.clone()));
            kernel.perform(&delete).unwrap();
            assert!(kernel.perform(&delete).is_err(), "it is gone");
            let found = table_of(&mut kernel, family);
            assert_eq!(found.structure, plain);
            assert_eq!(found.elements, [stays]);
        }
        kernel.perform(&Operation::DeleteTable(family)).unwrap();
    }
}
