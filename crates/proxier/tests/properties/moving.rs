//! Moving a node from one layout to another: at every step there is a way to what both serve, and in the end nothing of
//! the layout before is left.

use std::collections::BTreeSet;

use ipvs_netlink::{Destination, VirtualServerId};
use proptest::prelude::*;
use proptest::sample::select;
use proxier::cluster::{Family, Host};
use proxier::nftables::Routing;
use proxier::{Config, Desired, Layout, MemoryKernel, Observed, SetId, reconcile, translate};

use crate::safety::Watch;
use crate::{carried_out, marks, strategies};

/// The layouts whose Services are virtual servers; iptables mode has a test of its own (`iptables`).
const LAYOUTS: [Layout; 3] = [Layout::Current, Layout::Classic, Layout::Nftables];

fn layouts() -> impl Strategy<Value = (Layout, Layout)> {
    let pairs = LAYOUTS
        .into_iter()
        .flat_map(|from| LAYOUTS.map(|to| (from, to)));
    select(pairs.filter(|(from, to)| from != to).collect::<Vec<_>>())
}

/// Whether packets from outside to a virtual server come to this machine, and find it with a destination.
fn has_way(state: &Observed, host: &Host, config: &Config, id: VirtualServerId) -> bool {
    let VirtualServerId::Address { address, .. } = id else {
        return false;
    };
    let server = state.server(&id);
    let served = server.is_some_and(|server| {
        let mut destinations = server.destinations.iter();
        destinations.any(|found| found.destination.config.weight > 0)
    });
    let routing = Routing::of(&config.nftables, [Family::of(address)]);
    let routed = routing
        .rules
        .iter()
        .all(|rule| state.routing.rules.contains(rule))
        && routing
            .routes
            .iter()
            .all(|route| state.routing.routes.contains(route));
    let is_local = state.binds(address)
        || address.is_loopback()
        || host.addresses().any(|own| own == address)
        || routed && marks::leads_to(state, id);
    served && is_local
}

fn takes_new(destination: &Destination) -> bool {
    destination.config.weight > 0
}

/// What both layouts serve with destinations.
fn in_both<'a>(from: &'a Desired, to: &'a Desired) -> impl Iterator<Item = VirtualServerId> + 'a {
    let with_destinations = from
        .servers
        .iter()
        .filter(|server| server.destinations.iter().any(takes_new));
    let common = with_destinations.filter(|server| {
        let wanted = to.server(&server.id);
        wanted.is_some_and(|wanted| wanted.destinations.iter().any(takes_new))
    });
    common.map(|server| server.id)
}

fn assert_only(layout: Layout, state: &Observed) {
    let has_tables = Family::ALL.map(|family| state.tables.get(family).is_some());
    if layout == Layout::Nftables {
        assert_eq!(state.addresses, None, "the link is gone");
        let sets: Vec<_> = state
            .sets
            .keys()
            .filter(|name| SetId::owner(name).is_some())
            .collect();
        assert!(sets.is_empty(), "{sets:?}");
        for family in Family::ALL {
            let tables = &state.rules.get(family).tables;
            let chains = tables.iter().flat_map(|table| &table.chains);
            let ours: BTreeSet<_> = chains
                .filter(|chain| chain.name.as_str().starts_with("KUBE-"))
                .map(|chain| chain.name.clone())
                .collect();
            assert!(ours.is_empty(), "{ours:?}");
        }
    } else {
        assert_eq!(has_tables, [false; 2]);
        assert_eq!(state.routing, Routing::default());
    }
}

proptest! {
    #[test]
    fn no_step_of_a_move_leaves_a_service_without_a_way(
        cluster in strategies::cluster(),
        host in strategies::host(),
        config in strategies::config(),
        (from, to) in layouts(),
    ) {
        let with = |layout| {
            let mut config = config.clone();
            config.layout = layout;
            translate(&cluster, &host, &config)
        };
        let (before, after) = (with(from), with(to));
        let fresh = MemoryKernel::new().state();
        let found = carried_out(&reconcile(&before, &fresh), &fresh);
        let both: Vec<_> = in_both(&before, &after)
            .filter(|id| has_way(&found, &host, &config, *id))
            .collect();
        let plan = reconcile(&after, &found);
        let watch = Watch::new(&after, &host, &found);
        let mut kernel = MemoryKernel::holding(&found);
        for (done, (phase, operation)) in plan.iter().enumerate() {
            kernel.perform(operation).unwrap();
            let state = kernel.state();
            for id in &both {
                prop_assert!(
                    has_way(&state, &host, &config, *id),
                    "{id} has no way after step {} ({phase:?}: {operation}) from {from:?} to {to:?}\nplan:\n{plan}", done + 1
                );
            }
            let problems = watch.problems(&state);
            prop_assert!(problems.is_empty(), "after step {}: {problems:?}\nplan:\n{plan}", done + 1);
        }
        let end = kernel.state();
        prop_assert!(reconcile(&after, &end).is_empty());
        assert_only(to, &end);
        // Virtual servers that both need are never deleted and made anew.
        let deleted = plan.iter().filter_map(|(_, operation)| match operation {
            proxier::Operation::DeleteServer(id) => Some(*id),
            _ => None,
        });
        for id in deleted {
            prop_assert!(after.server(&id).is_none(), "{id} is needed");
        }
    }
}
