//! What is dirty of what is wanted, beside the same of what is believed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use ipset_netlink::{Entry, Set, SetName};

use super::believed::{Believed, BelievedSet};
use super::dirty::Dirty;
use super::wanted::Wanted;
use crate::cluster::{Family, Host, Node, PerFamily};
use crate::config::Config;
use crate::desired::{Desired, DesiredSet, FamilyState, Ownership};
use crate::layout::{SetId, SetIds};
use crate::observed::Observed;
use crate::reconcile::suits;
use crate::settings;
use crate::translate::Context;

/// Takes parts out of what is wanted and what is believed.
pub(super) struct Cutter<'a> {
    /// This machine's own.
    pub(super) node: Option<&'a Node>,
    pub(super) host: &'a Host,
    pub(super) config: &'a Config,
    pub(super) wanted: &'a Wanted,
    pub(super) believed: &'a Believed,
}

/// A part of a desired state and of an observed one: what differs elsewhere is nothing.
pub(super) struct Section {
    pub(super) desired: Desired,
    pub(super) observed: Observed,
    /// Whether the rules are part of it.
    pub(super) rules: PerFamily<bool>,
}

/// Whether a family is written.
pub(super) const fn written(family: Family, wanted: &Wanted, host: &Host, config: &Config) -> bool {
    match family {
        Family::V4 => true,
        Family::V6 => {
            host.serves(family) && (config.layout.writes_unused_ipv6() || wanted.uses(family))
        }
    }
}

impl Cutter<'_> {
    pub(super) fn section(&self, dirty: &Dirty) -> Section {
        let config = self.config;
        let desired = Desired {
            layout: config.layout,
            servers: Vec::new(),
            families: PerFamily::default(),
            addresses: BTreeSet::new(),
            sysctls: settings::sysctls(config, self.host.kernel),
            timeouts: config.timeouts,
            link: true,
            ownership: Ownership::AllBut(config.exclude_cidrs.clone()),
            conflicts: Vec::new(),
        };
        let observed = Observed {
            servers: Vec::new(),
            sets: BTreeMap::new(),
            rules: PerFamily::default(),
            addresses: self.believed.addresses.is_some().then(Vec::new),
            sysctls: self.believed.sysctls.clone(),
            timeouts: self.believed.timeouts,
        };
        let mut section = Section {
            desired,
            observed,
            rules: dirty.rules,
        };
        for id in &dirty.servers {
            section.desired.servers.extend(self.wanted.server(id));
            section.observed.servers.extend(self.believed.server(id));
        }
        for &address in &dirty.addresses {
            if self.wanted.binds(address) {
                section.desired.addresses.insert(address);
            }
            if let Some(bound) = &mut section.observed.addresses {
                bound.extend(self.believed.bound(address));
            }
        }
        for family in Family::ALL {
            self.family(family, dirty, &mut section);
        }
        section
    }

    fn family(&self, family: Family, dirty: &Dirty, section: &mut Section) {
        let written = written(family, self.wanted, self.host, self.config);
        let whole = *dirty.sets.get(family);
        let entries = dirty.entries.get(family);
        let mut names = Vec::new();
        let mut sets = Vec::new();
        if written && !(whole.is_empty() && entries.is_empty()) {
            for id in SetId::of(self.config.layout) {
                names.push(id.name(family));
                let dirty = entries.get(&id);
                if whole.contains(id) || dirty.is_some() {
                    let dirty = dirty.filter(|_| !whole.contains(id));
                    sets.push(self.set(family, id, dirty, section));
                }
            }
        }
        if !whole.is_empty() || !written {
            let stray = |name: &&SetName| {
                let own = SetId::owner(name).is_some_and(|(of, _)| of == family);
                own && !names.contains(*name)
            };
            for name in self.believed.sets.keys().filter(stray) {
                if let Some(stray) = self.believed.sets.get(name) {
                    section
                        .observed
                        .sets
                        .insert(*name, Set::new(stray.spec.clone()));
                }
            }
        }
        if *section.rules.get(family) {
            let rules = self.believed.rules.get(family);
            section.observed.rules.get_mut(family).clone_from(rules);
        }
        if !written {
            return;
        }
        let (filled, drops) = if *section.rules.get(family) {
            let filled = self.wanted.filled(family, self.config.layout);
            (filled, self.wanted.drops(family))
        } else {
            (SetIds::NONE, BTreeSet::new())
        };
        let context =
            Context::with_node_ports(self.node, self.host, self.config, family, Vec::new());
        let rules = context.rules(filled, drops);
        *section.desired.families.get_mut(family) = Some(FamilyState { sets, rules });
    }

    /// What differs of a set; all of it where it has to be made anew.
    fn set(
        &self,
        family: Family,
        id: SetId,
        dirty: Option<&BTreeSet<Entry>>,
        section: &mut Section,
    ) -> DesiredSet {
        let wanted = self.wanted.members(family, id);
        let spec = id.spec(family, wanted.len());
        let believed = self.believed.sets.get(&spec.name);
        let (mut missing, mut extra) = match (dirty, believed) {
            (Some(dirty), Some(set)) => differing(dirty, wanted, set),
            (None, Some(set)) => differences(wanted, set),
            (_, None) => (Vec::new(), Vec::new()),
        };
        match believed {
            Some(set) if suits(&spec, &set.spec, set.entries.len() + missing.len()) => {}
            _ => {
                missing = wanted.keys().cloned().collect();
                extra = believed.map_or_else(Vec::new, |set| set.entries.iter().cloned().collect());
                // Rules may name it.
                *section.rules.get_mut(family) |= believed.is_some();
            }
        }
        if let Some(believed) = believed {
            let mut set = Set::new(believed.spec.clone());
            set.entries = extra;
            section.observed.sets.insert(spec.name, set);
        }
        DesiredSet {
            id,
            spec,
            entries: missing,
        }
    }
}

/// The members among these that are only wanted, and those only believed.
fn differing(
    dirty: &BTreeSet<Entry>,
    wanted: &BTreeMap<Entry, u32>,
    believed: &BelievedSet,
) -> (Vec<Entry>, Vec<Entry>) {
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    for entry in dirty {
        match (wanted.contains_key(entry), believed.entries.contains(entry)) {
            (true, false) => missing.push(entry.clone()),
            (false, true) => extra.push(entry.clone()),
            _ => {}
        }
    }
    (missing, extra)
}

/// The same among all members.
fn differences(wanted: &BTreeMap<Entry, u32>, believed: &BelievedSet) -> (Vec<Entry>, Vec<Entry>) {
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    let (mut ours, mut theirs) = (wanted.keys().peekable(), believed.entries.iter().peekable());
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return (missing, extra),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.cmp(other),
        };
        let (one, other) = match order {
            Ordering::Less => (ours.next(), None),
            Ordering::Greater => (None, theirs.next()),
            Ordering::Equal => {
                let _ = (ours.next(), theirs.next());
                (None, None)
            }
        };
        missing.extend(one.cloned());
        extra.extend(other.cloned());
    }
}
