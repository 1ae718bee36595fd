//! What is dirty of what is wanted, beside the same of what is last_applied.

use std::cell::LazyCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipset_netlink::{Entry, Set, SetName};
use ipvs_netlink::{ServiceFlags, VirtualServerId};

use super::dirty::Dirty;
use super::last_applied::{AppliedSet, LastApplied};
use super::wanted::Wanted;
use crate::cluster::{Family, Host, Node, PerFamily};
use crate::config::Config;
use crate::desired::{Desired, DesiredSet, FamilyState};
use crate::layout::nftables::Routing;
use crate::layout::{SetId, SetIds};
use crate::observed::Observed;
use crate::ownership::{Holdings, Ownership};
use crate::plan::Plan;
use crate::reconcile::{merge, reconcile_parts, suits};
use crate::settings::{self, Sysctl};
use crate::translate::{Context, Grants};

/// Takes parts out of what is wanted and what is last_applied.
pub(super) struct DeltaBuilder<'a> {
    /// This machine's own.
    pub(super) node: Option<&'a Node>,
    pub(super) host: &'a Host,
    pub(super) config: &'a Config,
    /// The addresses that serve node ports.
    pub(super) node_ports: &'a PerFamily<Vec<IpAddr>>,
    pub(super) wanted: &'a Wanted,
    pub(super) last_applied: &'a LastApplied,
    /// Virtual servers that the engine itself had wanted.
    pub(super) abandoned: &'a BTreeSet<VirtualServerId>,
}

/// A part of a desired state and of an observed one: what differs elsewhere is nothing.
pub(super) struct Delta {
    pub(super) desired: Desired,
    pub(super) observed: Observed,
    /// Whether the rules are part of it.
    pub(super) rules: PerFamily<bool>,
    /// How many more members may be added to sets.
    room: usize,
    /// Whether members are left out for that.
    pub(super) lacks_members: bool,
}

impl Delta {
    /// The steps from the observed part to the desired one.
    pub(super) fn plan(&self, wanted: &Wanted) -> Plan {
        let members = |family, id, each: &mut dyn FnMut(&Entry)| {
            wanted.members(family, id).keys().for_each(each);
        };
        reconcile_parts(&self.desired, &self.observed, self.rules, &members)
    }
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

/// What is held after a plan is recognized like what is held before it.
impl Holdings for (&Wanted, &LastApplied) {
    fn binds(&self, address: IpAddr) -> bool {
        self.0.binds(address) || self.1.bound(address).next().is_some()
    }

    fn has(&self, family: Family, set: SetId, entry: &Entry) -> bool {
        self.0.members(family, set).contains_key(entry)
            || self
                .1
                .sets
                .get(&set.name(family))
                .is_some_and(|set| set.entries.contains(entry))
    }
}

impl DeltaBuilder<'_> {
    /// The dirty parts. To sets that are as they should be otherwise no more than `room` members are added; those that
    /// come after in the order wait.
    pub(super) fn delta(&self, dirty: &Dirty, room: usize) -> Delta {
        let config = self.config;
        let last_value = |sysctl: &Sysctl| self.last_applied.sysctls.get(sysctl).copied();
        let mut sysctls = settings::sysctls(config, self.host.kernel);
        // Whether that of loopback addresses is wanted has to be known where it is set: it may have to be taken back.
        let localnet = Sysctl::RouteLocalnet;
        sysctls.retain(|(sysctl, value)| *sysctl == localnet || last_value(sysctl) != Some(*value));
        let localnet = (last_value(&localnet) == Some(1)).then_some(localnet);
        let compared = sysctls.iter().map(|(sysctl, _)| *sysctl).chain(localnet);
        let known = compared.filter_map(|sysctl| Some((sysctl, last_value(&sysctl)?)));
        let known = known.collect();
        let desired = Desired {
            layout: config.layout,
            servers: Vec::with_capacity(dirty.servers.len()),
            families: PerFamily::default(),
            tables: PerFamily::default(),
            routing: Routing::default(),
            addresses: BTreeSet::new(),
            sysctls,
            timeouts: settings::timeouts(config),
            link: config.layout.has_ipset(),
            ownership: Ownership::Only(BTreeSet::new()),
            drain_marks: config.layout.uses_ipvs(),
            conflicts: Vec::new(),
        };
        let observed = Observed {
            servers: Vec::new(),
            sets: BTreeMap::new(),
            rules: PerFamily::default(),
            tables: PerFamily::default(),
            routing: Routing::default(),
            addresses: self.last_applied.addresses.is_some().then(Vec::new),
            sysctls: known,
            timeouts: self.last_applied.timeouts,
        };
        let mut delta = Delta {
            desired,
            observed,
            rules: dirty.rules,
            room,
            lacks_members: false,
        };
        for id in &dirty.servers {
            delta.desired.servers.extend(self.wanted.server(id));
            delta.observed.servers.extend(self.last_applied.server(id));
        }
        delta.desired.ownership = Ownership::Only(self.own(&delta));
        for &address in &dirty.addresses {
            if self.wanted.binds(address) {
                delta.desired.addresses.insert(address);
            }
            if let Some(bound) = &mut delta.observed.addresses {
                bound.extend(self.last_applied.bound(address));
            }
        }
        for family in Family::ALL {
            self.family(family, dirty, &mut delta);
            self.table(family, dirty, &mut delta);
        }
        self.routing(&mut delta);
        if delta.lacks_members {
            // Only what fills sets is carried out of its plan.
            delta.desired.servers = Vec::new();
            delta.desired.addresses = BTreeSet::new();
        }
        delta
    }

    /// Which of the virtual servers that are found and not wanted are the proxy's: by all that is wanted and last applied,
    /// not by this part of it.
    fn own(&self, delta: &Delta) -> BTreeSet<VirtualServerId> {
        let mut unwanted = Vec::new();
        merge(
            &delta.desired.servers,
            &delta.observed.servers,
            |wanted| wanted.id,
            |found| found.id,
            |wanted, found| {
                if wanted.is_none() {
                    unwanted.extend(found.map(|found| found.id));
                }
            },
        );
        if unwanted.is_empty() {
            return BTreeSet::new();
        }
        // Most are known to be the engine's own, without the rule for those that are found.
        let rule = LazyCell::new(|| self.config.ownership(self.host));
        unwanted.retain(|id| {
            if self.abandoned.contains(id) {
                !matches!(*id, VirtualServerId::Address { address, .. } if self.config.excludes(address))
            } else {
                let found = self.last_applied.servers.get(id);
                let flags = found.map_or(ServiceFlags::empty(), |found| found.config.flags);
                rule.covers(id, flags, &(self.wanted, self.last_applied))
            }
        });
        unwanted.into_iter().collect()
    }

    /// Whether a family is written.
    pub(super) const fn writes(&self, family: Family) -> bool {
        written(family, self.wanted, self.host, self.config)
    }

    /// What the rules of a family depend on, apart from Services.
    pub(super) fn context(&self, family: Family) -> Context<'_> {
        static NOTHING: Grants = Grants::none();
        let (node, host, config) = (self.node, self.host, self.config);
        let node_ports = &**self.node_ports.get(family);
        Context::with_node_ports(node, host, config, family, node_ports, &(), &NOTHING)
    }

    fn family(&self, family: Family, dirty: &Dirty, delta: &mut Delta) {
        let written = self.config.layout.has_ipset() && self.writes(family);
        let whole = *dirty.sets.get(family);
        let entries = dirty.entries.get(family);
        if written && whole.is_empty() && entries.is_empty() && !*delta.rules.get(family) {
            return;
        }
        let mut names = Vec::new();
        let mut sets = Vec::new();
        let mut any_gone = !whole.is_empty() || !written;
        if written && !(whole.is_empty() && entries.is_empty()) {
            for id in SetId::of(self.config.layout) {
                let dirty = entries.get(&id);
                if id.is_optional() && self.wanted.members(family, id).is_empty() {
                    any_gone |= dirty.is_some();
                    continue;
                }
                names.push(id.name(family));
                if delta.lacks_members {
                    continue;
                }
                if whole.contains(id) || dirty.is_some() {
                    let dirty = dirty.filter(|_| !whole.contains(id));
                    sets.push(self.set(family, id, dirty, delta));
                }
            }
        }
        if any_gone {
            let stray = |name: &&SetName| {
                let own = SetId::owner(name).is_some_and(|(of, _)| of == family);
                own && !names.contains(*name)
            };
            for name in self.last_applied.sets.keys().filter(stray) {
                if let Some(stray) = self.last_applied.sets.get(name) {
                    let mut set = Set::new(stray.spec.clone());
                    // By its members it is known which rules go after the virtual servers.
                    if SetId::owner(name).is_some_and(|(_, id)| id.is_optional()) {
                        set.entries = stray.entries.iter().cloned().collect();
                    }
                    delta.observed.sets.insert(*name, set);
                }
            }
        }
        if *delta.rules.get(family) {
            let rules = self.last_applied.rules.get(family).whole();
            *delta.observed.rules.get_mut(family) = rules.into_owned();
            *delta.desired.families.get_mut(family) = self.iptables_mode(family);
        }
        if !written {
            return;
        }
        let mut rules = self.context(family).rules(SetIds::NONE);
        if *delta.rules.get(family) {
            rules.filled = self.wanted.filled(family, self.config.layout);
            rules.drops = self.wanted.drops(family);
            rules.ranges = self.wanted.ranges(family);
        }
        *delta.desired.families.get_mut(family) = Some(FamilyState { sets, rules });
    }

    /// What differs of a set; all of it where it has to be made anew.
    fn set(
        &self,
        family: Family,
        id: SetId,
        dirty: Option<&BTreeSet<Entry>>,
        delta: &mut Delta,
    ) -> DesiredSet {
        let wanted = self.wanted.members(family, id);
        let spec = id.spec(family, wanted.len());
        let last_applied = self.last_applied.sets.get(&spec.name);
        let (mut missing, mut extra) = match (dirty, last_applied) {
            (Some(dirty), Some(set)) => differing(dirty, wanted, set),
            (None, Some(set)) => differences(wanted, set),
            (_, None) => (wanted.keys().collect(), Vec::new()),
        };
        match last_applied {
            None => {}
            Some(set) if suits(&spec, &set.spec, set.entries.len() + missing.len()) => {}
            Some(set) => {
                missing = wanted.keys().collect();
                extra = set.entries.iter().cloned().collect();
                // Rules may name it.
                *delta.rules.get_mut(family) = true;
                // It takes the place of another, whose rules change with it: all of that is one plan.
                delta.room = usize::MAX;
            }
        }
        // When exemptions come depends on all else.
        if !id.exempts() {
            delta.lacks_members = missing.len() > delta.room;
            missing.truncate(delta.room);
            delta.room -= missing.len();
        }
        if let Some(last_applied) = last_applied {
            let mut set = Set::new(last_applied.spec.clone());
            set.entries = extra;
            delta.observed.sets.insert(spec.name, set);
        }
        DesiredSet {
            id,
            spec,
            entries: missing.into_iter().cloned().collect(),
        }
    }
}

/// The members among these that are only wanted, and those only last_applied.
fn differing<'a>(
    dirty: &'a BTreeSet<Entry>,
    wanted: &BTreeMap<Entry, u32>,
    last_applied: &AppliedSet,
) -> (Vec<&'a Entry>, Vec<Entry>) {
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    for entry in dirty {
        match (
            wanted.contains_key(entry),
            last_applied.entries.contains(entry),
        ) {
            (true, false) => missing.push(entry),
            (false, true) => extra.push(entry.clone()),
            _ => {}
        }
    }
    (missing, extra)
}

/// The same among all members.
fn differences<'a>(
    wanted: &'a BTreeMap<Entry, u32>,
    last_applied: &AppliedSet,
) -> (Vec<&'a Entry>, Vec<Entry>) {
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    let (mut ours, mut theirs) = (
        wanted.keys().peekable(),
        last_applied.entries.iter().peekable(),
    );
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
        missing.extend(one);
        extra.extend(other.cloned());
    }
}
