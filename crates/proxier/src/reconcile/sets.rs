//! Sets and their members.

use std::collections::{BTreeSet, HashSet};

use ipset_netlink::{Entry, Set, SetName, SetSpec};

use crate::cluster::Family;
use crate::desired::{DesiredSet, FamilyState};
use crate::layout::{Reach, SetId};
use crate::observed::Observed;
use crate::plan::{Operation, Phase, Plan};

/// Plans the sets of a family. Returns those that are found as something else altogether: no rule may
/// name them until they are made anew.
pub(super) fn plan(
    family: Family,
    wanted: Option<&FamilyState>,
    observed: &Observed,
    plan: &mut Plan,
) -> BTreeSet<SetName> {
    let wanted = wanted.map_or(&[][..], |state| &state.sets);
    let mut misfits = BTreeSet::new();
    let unwanted = |name: &&SetName| !wanted.iter().any(|set| set.spec.name == **name);
    for found in observed.sets.keys().filter(unwanted) {
        let Some((of, id)) = SetId::owner(found) else {
            continue;
        };
        if of == family {
            // A set left over from a swap is destroyed at once, since its name is needed.
            let phase = if id.swap_name(family) == *found {
                Phase::Fill
            } else {
                Phase::Destroy
            };
            plan.push(phase, Operation::DestroySet(*found));
        }
    }
    let reached = Reached::new(wanted, observed);
    for set in wanted {
        let name = set.spec.name;
        match observed.sets.get(&name) {
            None => make(set, &reached, plan),
            Some(found) if fits(&set.spec, &found.spec) && has_room(set, found) => {
                members(set, &found.entries, &reached, plan);
            }
            Some(found) if set.spec.same_kind(&found.spec) => {
                replace(family, set, found, &reached, plan);
            }
            Some(_) => {
                misfits.insert(name);
                plan.push(Phase::Fill, Operation::DestroySet(name));
                make(set, &reached, plan);
            }
        }
    }
    // Emptied in the opposite order: what lets pass goes after what holds back.
    for set in wanted.iter().rev() {
        match observed.sets.get(&set.spec.name) {
            Some(found) if set.spec.same_kind(&found.spec) => withdraw(set, &found.entries, plan),
            _ => {}
        }
    }
    misfits
}

fn make(set: &DesiredSet, reached: &Reached, plan: &mut Plan) {
    let create = Operation::CreateSet(Box::new(set.spec.clone()));
    plan.push(Phase::Fill, create);
    add(set, &set.entries, reached, plan);
}

/// Adds members; exemptions of virtual servers already there come only after the destinations elsewhere are gone.
fn add<'a>(
    set: &DesiredSet,
    entries: impl IntoIterator<Item = &'a Entry>,
    reached: &Reached,
    plan: &mut Plan,
) {
    for entry in entries {
        let late = set.id.exempts() && reached.contains(set.id, entry);
        let phase = if late { Phase::Settle } else { Phase::Fill };
        let (set, entry) = (set.spec.name, entry.clone());
        plan.push(phase, Operation::AddEntry { set, entry });
    }
}

/// Adds the members that are missing, and takes back exemptions.
fn members(set: &DesiredSet, found: &[Entry], reached: &Reached, plan: &mut Plan) {
    let name = set.spec.name;
    add(set, missing(&set.entries, found), reached, plan);
    if set.id.exempts() {
        for entry in missing(found, &set.entries) {
            plan.push(
                Phase::Fill,
                Operation::DeleteEntry {
                    set: name,
                    entry: entry.clone(),
                },
            );
        }
    }
}

/// Removes the members that are no longer needed, now that what they served is gone.
fn withdraw(set: &DesiredSet, found: &[Entry], plan: &mut Plan) {
    if set.id.exempts() {
        return;
    }
    for entry in missing(found, &set.entries).filter(|entry| set.spec.check(entry).is_ok()) {
        plan.push(
            Phase::Settle,
            Operation::DeleteEntry {
                set: set.spec.name,
                entry: entry.clone(),
            },
        );
    }
}

/// Makes a set anew beside the one that is found, and swaps the two: rules never see it incomplete.
fn replace(family: Family, set: &DesiredSet, found: &Set, reached: &Reached, plan: &mut Plan) {
    let spare = set.id.swap_name(family);
    let mut spec = set.spec.clone();
    spec.name = spare;
    let kept: Vec<_> = found
        .entries
        .iter()
        .filter(|entry| set.spec.check(entry).is_ok())
        .cloned()
        .collect();
    let members_then: BTreeSet<&Entry> = if set.id.exempts() {
        let wanted: HashSet<_> = set.entries.iter().collect();
        let stay = kept.iter().filter(|entry| wanted.contains(entry));
        let new = missing(&set.entries, &kept).filter(|entry| !reached.contains(set.id, entry));
        stay.chain(new).collect()
    } else {
        kept.iter().chain(&set.entries).collect()
    };
    // Room for old and new at once.
    let spec = if members_then.len() > set.entries.len() {
        let mut roomy = set.id.spec(family, members_then.len());
        roomy.name = spare;
        roomy
    } else {
        spec
    };
    plan.push(Phase::Fill, Operation::CreateSet(Box::new(spec)));
    for entry in &members_then {
        plan.push(
            Phase::Fill,
            Operation::AddEntry {
                set: spare,
                entry: (*entry).clone(),
            },
        );
    }
    let name = set.spec.name;
    plan.push(
        Phase::Fill,
        Operation::SwapSets {
            set: name,
            with: spare,
        },
    );
    plan.push(Phase::Fill, Operation::DestroySet(spare));
    if set.id.exempts() {
        for entry in set
            .entries
            .iter()
            .filter(|entry| !members_then.contains(entry))
        {
            plan.push(
                Phase::Settle,
                Operation::AddEntry {
                    set: name,
                    entry: entry.clone(),
                },
            );
        }
    }
}

/// Whether a set that is found can hold what is wanted. Its hash size is left to the kernel, and a set with
/// more room than needed is not made anew.
fn fits(wanted: &SetSpec, found: &SetSpec) -> bool {
    let room = |spec: &SetSpec| spec.options.maxelem;
    let comparable = |spec: &SetSpec| {
        let mut spec = spec.portable();
        spec.options.hashsize = None;
        spec.options.maxelem = None;
        spec
    };
    room(found) >= room(wanted) && comparable(found) == comparable(wanted)
}

/// Whether old and new members have room beside one another, as they are for a moment.
fn has_room(set: &DesiredSet, found: &Set) -> bool {
    let room = room(&found.spec);
    found.entries.len() + set.entries.len() <= room
        || found.entries.len() + missing(&set.entries, &found.entries).count() <= room
}

fn room(spec: &SetSpec) -> usize {
    let maxelem = spec.options.maxelem;
    maxelem.map_or(usize::MAX, |maxelem| maxelem as usize)
}

/// Whether a set that is found can be changed into what is wanted by adding and deleting members, of which
/// there are so many in between.
pub(crate) fn suits(wanted: &SetSpec, found: &SetSpec, members: usize) -> bool {
    fits(wanted, found) && members <= room(found)
}

/// The members of `these` that `those` lacks; both sorted.
fn missing<'a>(these: &'a [Entry], those: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
    let mut those = those.iter().peekable();
    these.iter().filter(move |entry| {
        while those.next_if(|other| other < entry).is_some() {}
        those.peek() != Some(entry)
    })
}

/// What virtual servers are there already, as far as members to be exempted depend on it.
struct Reached(HashSet<Reach>);

impl Reached {
    fn new(wanted: &[DesiredSet], observed: &Observed) -> Self {
        let asked = |set: &DesiredSet| set.id.exempts() && !set.entries.is_empty();
        let servers = if wanted.iter().any(asked) {
            &observed.servers[..]
        } else {
            &[]
        };
        let reaches = servers.iter().map(|server| Reach::of_server(&server.id));
        Self(reaches.flatten().collect())
    }

    fn contains(&self, set: SetId, entry: &Entry) -> bool {
        Reach::of_entry(set, entry).is_some_and(|reach| self.0.contains(&reach))
    }
}
