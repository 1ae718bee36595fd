//! The steps from what the kernel holds to what it should hold.

mod dependents;
mod merge;
mod nftables;
mod rules;
mod servers;
mod sets;

pub(crate) use merge::merge;
pub(crate) use nftables::{interval, overlap};
pub(crate) use rules::{FoundChain, FoundService, ServiceChanges, targets_of_others};
pub(crate) use servers::is_idle;
pub(crate) use sets::suits;

use ipset_netlink::Entry;

use crate::cluster::{Family, PerFamily};
use crate::desired::Desired;
use crate::layout::nftables::guards_loopback;
use crate::layout::{Layout, SetId};
use crate::observed::Observed;
use crate::plan::{Operation, Phase, Plan};
use crate::settings::{Sysctl, timeouts_request};

/// Plans the steps from `observed` to `desired`.
///
/// Pure and deterministic. The plan is empty where the kernel holds what it should; after any number of
/// its operations the node is in working order (see [`Phase`]), and planning again from there leads to
/// the same end. What is not the proxy's own is never touched: virtual servers at
/// excluded addresses, other sets, other chains, other links.
///
/// A destination that is no longer wanted but has connections gets weight 0 and stays; it goes with the
/// first plan that finds it without any. Nothing depends on memory of an earlier run.
#[must_use]
pub fn reconcile(desired: &Desired, observed: &Observed) -> Plan {
    let both = PerFamily { v4: true, v6: true };
    let members = |family, id, each: &mut dyn FnMut(&Entry)| {
        let state = desired.families.get(family).as_ref();
        let set = state.and_then(|state| state.set(id));
        set.iter().flat_map(|set| &set.entries).for_each(each);
    };
    reconcile_parts(desired, observed, both, &members)
}

/// Gives all members that a set is to have.
pub(crate) type Members<'a> = &'a dyn Fn(Family, SetId, &mut dyn FnMut(&Entry));

/// The same for a part of both: what neither names is as it should be. Rules of a family are only compared
/// where told to, or where a set has to be made anew that they name.
pub(crate) fn reconcile_parts(
    desired: &Desired,
    observed: &Observed,
    rules: PerFamily<bool>,
    members: Members<'_>,
) -> Plan {
    let mut plan = Plan::default();
    settings(desired, observed, &mut plan);
    nftables::routing(desired, observed, &mut plan);
    for family in Family::ALL {
        nftables::plan(family, desired, observed, *rules.get(family), &mut plan);
        let wanted = desired.families.get(family).as_ref();
        let misfits = sets::plan(family, wanted, observed, &mut plan);
        if *rules.get(family) || !misfits.is_empty() {
            rules::plan(family, desired, observed, &misfits, members, &mut plan);
        }
    }
    route_localnet(desired, observed, &mut plan);
    servers::plan(desired, observed, &mut plan);
    addresses(desired, observed, &mut plan);
    plan
}

fn settings(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    for &(sysctl, value) in &desired.sysctls {
        let was = observed.sysctls.get(&sysctl).copied();
        if was != Some(value) && sysctl != Sysctl::RouteLocalnet {
            let set = Operation::SetSysctl { sysctl, value, was };
            plan.push(Phase::Prepare, set);
        }
    }
    if let Some(request) = timeouts_request(desired.timeouts, observed.timeouts) {
        plan.push(Phase::Prepare, Operation::SetTimeouts(request));
    }
    match (&observed.addresses, desired.link) {
        (None, true) => plan.push(Phase::Prepare, Operation::CreateLink),
        (Some(_), false) => plan.push(Phase::Destroy, Operation::DeleteLink),
        _ => {}
    }
}

/// Loopback addresses must not be reachable from elsewhere before a rule keeps others away, nor after it is gone.
///
/// To be called when the tables of nf_tables are planned: the setting comes after the table of the layout that needs it, in its
/// phase. That this proxy has set it shows by the rule.
fn route_localnet(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let sysctl = Sysctl::RouteLocalnet;
    let was = observed.sysctls.get(&sysctl).copied();
    let wanted = desired.sysctls.contains(&(sysctl, 1));
    let guarded = || {
        let table = observed.tables.v4.as_ref();
        rules::has_localnet_rule(observed)
            || table.is_some_and(|table| guards_loopback(&table.structure))
    };
    let (phase, value) = match (wanted, was == Some(1)) {
        (true, false) if desired.layout == Layout::Nftables => (Phase::Map, 1),
        (true, false) => (Phase::Serve, 1),
        (false, true) if guarded() => (Phase::Prepare, sysctl.fresh()),
        _ => return,
    };
    plan.push(phase, Operation::SetSysctl { sysctl, value, was });
}

fn addresses(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let found = observed.addresses.as_deref().unwrap_or_default();
    for &address in &desired.addresses {
        // Found sorted by address, whatever the prefix length.
        let at = found.partition_point(|bound| bound.ip() < address);
        if found.get(at).is_none_or(|bound| bound.ip() != address) {
            plan.push(Phase::Bind, Operation::BindAddress(address));
        }
    }
    for bound in found
        .iter()
        .filter(|bound| !desired.addresses.contains(&bound.ip()))
    {
        plan.push(Phase::Unbind, Operation::UnbindAddress(*bound));
    }
}
