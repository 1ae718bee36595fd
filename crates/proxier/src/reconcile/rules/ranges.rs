//! Rules of the mangle table, which mark packets to ranges of ports.
//!
//! IPVS takes packets by the mark alone, and without a virtual server of the mark they would come to what listens on the node.
//! So no mark is set before its virtual server is there, and an address loses its mark before another one gets it.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::num::NonZeroU16;

use iptables_restore::{Edit, Mark, Match, Rule, Ruleset, TableEdits, TableName, Target};
use ipvs_netlink::Protocol;

use super::change::{Change, Extent};
use crate::cluster::{Family, PortRange};
use crate::layout::nftables::AddressRange;
use crate::layout::{TableRules, owned_table};
use crate::plan::{Dependents, RulesChange};

/// What takes the rules away by which an address has a mark that it is to lose.
pub(super) fn withdraw(
    family: Family,
    wanted: Option<&[TableRules; 3]>,
    kernel: &Ruleset,
) -> Option<RulesChange> {
    let name = TableName::Mangle;
    let table = kernel.table(&name)?;
    let wanted = wanted.into_iter().flatten();
    let wanted = wanted.filter(|table| table.name == name);
    let rules = wanted
        .flat_map(|table| &table.chains)
        .flat_map(|own| &own.rules);
    let kept: HashSet<_> = rules.filter_map(marked).collect();
    let stale = |rule: &Rule| marked(rule).is_some_and(|mark| !kept.contains(&mark));
    let mut change = Change::new(family, &name, kernel);
    let owned = owned_table(family, &name).into_iter();
    for own in owned.flat_map(|table| &table.chains) {
        let found = table.chain(own.name.as_str());
        let rules = found.map_or(&[][..], |chain| &chain.rules);
        if rules.iter().any(stale) {
            let rules = rules.iter().filter(|rule| !stale(rule));
            change.rewrite(&own.name, rules.cloned().collect());
        }
    }
    Some(RulesChange {
        dependents: Dependents::Marks,
        ..change.finish()?
    })
}

/// What adds the rules that are missing, once their virtual servers are there.
pub(super) fn add(family: Family, wanted: &TableRules, kernel: &Ruleset) -> Option<RulesChange> {
    let mut change = Change::new(family, &wanted.name, kernel);
    change.write(wanted, Extent::Meanwhile);
    change.jumps(wanted);
    let change = change.finish()?;
    Some(RulesChange {
        dependents: Dependents::Marks,
        ..change
    })
}

impl RulesChange {
    /// The ranges of ports, listed ports that are served together with them among these, whose packets get a mark from this
    /// change on and did not before.
    #[must_use]
    pub fn marked_ranges(&self) -> BTreeSet<AddressRange> {
        let tables = self.input.tables().iter();
        let mangle = tables.filter(|table| *table.name() == TableName::Mangle);
        let rules = mangle.flat_map(TableEdits::edits).filter_map(Edit::rule);
        let before = self.before.iter().flat_map(|chain| &chain.rules);
        let before: BTreeSet<_> = before.filter_map(range).collect();
        let ranges = rules.filter_map(range);
        ranges.filter(|range| !before.contains(range)).collect()
    }
}

/// The range whose packets a rule marks.
fn range(rule: &Rule) -> Option<AddressRange> {
    let (address, _) = marked(rule)?;
    let protocol: u8 = rule.protocol.as_ref()?.value.number()?;
    let protocol = Protocol(protocol);
    let matched = rule.matches.iter().find_map(|part| match part {
        Match::Tcp(ports) | Match::Udp(ports) | Match::Sctp(ports) => ports.destination,
        _ => None,
    });
    let ports = match matched {
        None => PortRange::all(protocol),
        Some(ports) => {
            let [first, last] = [ports.value.first, ports.value.last].map(NonZeroU16::new);
            PortRange::new(protocol, first?, last?)?
        }
    };
    Some(AddressRange { address, ports })
}

/// The address whose packets a rule marks, and their mark.
fn marked(rule: &Rule) -> Option<(IpAddr, u32)> {
    let Some(Target::Mark(Mark { value, .. })) = rule.target else {
        return None;
    };
    let to = rule.destination.as_ref().filter(|to| !to.negated)?;
    // Behind IPVS there are rules for endpoints.
    let is_to_service = rule.protocol.is_some();
    let network = to.value.network().filter(|_| is_to_service)?;
    Some((network.ip(), value))
}
