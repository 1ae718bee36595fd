//! The engine comes to what `translate` and `reconcile` come to, whatever happens in whatever order.

mod story;

use std::collections::{BTreeMap, BTreeSet};

use ipset_netlink::SetName;
use ipvs_netlink::{Connections, VirtualServerId};
use proptest::sample::Index;
use proxier::cluster::{Change, Cluster, ServiceOptions};
use proxier::{
    Engine, Kernel, KernelError, KernelErrorKind, KernelPart, MemoryKernel, Observed, Operation,
    Plan, SetId, Sysctl, reconcile, service_health, translate,
};

use self::story::Event;
pub(crate) use self::story::{Story, story};
use crate::safety::{EXEMPTING, Watch, Ways};
use crate::{found, held};

/// An engine and the kernel that it keeps.
struct Pair {
    engine: Engine,
    kernel: MemoryKernel,
    fail: Vec<Index>,
    /// The virtual servers that were ever wanted: the engine's, recognized or not.
    made: BTreeSet<VirtualServerId>,
}

impl Pair {
    /// Carries a plan out, first on trial, one operation at a time, looking at every state on the way. One of the
    /// full path's need not be looked at so closely: another property does.
    fn carry_out(&mut self, plan: &Plan, full: bool) {
        let desired = self.engine.desired();
        self.made
            .extend(desired.servers.iter().map(|server| server.id));
        if plan.is_empty() {
            return;
        }
        let found = self.kernel.state();
        let watch = Watch::new(&desired, self.engine.host(), &found);
        if !full {
            Self::try_out(plan, &watch, &found);
        }

        let doomed: Vec<_> = self.fail.drain(..).collect();
        let doomed: Vec<_> = doomed
            .iter()
            .filter_map(|index| plan.iter().nth(index.index(plan.len().max(1))))
            .map(|(_, operation)| operation.clone())
            .collect();
        let failing = !doomed.is_empty();
        self.kernel.fail_with(Some(Box::new(move |operation| {
            doomed.contains(operation).then(|| {
                KernelError::new(
                    KernelPart::of(operation),
                    KernelErrorKind::Other,
                    "by the test",
                )
            })
        })));
        let applied = self.kernel.apply(plan);
        self.kernel.fail_with(None);
        assert_eq!(
            !applied.is_ok(),
            failing,
            "{:?}\nplan:\n{plan}",
            applied.failures
        );
        let problems = watch.problems(&self.kernel.state());
        assert!(
            problems.is_empty(),
            "{problems:?}\nfailed: {:?}\nplan:\n{plan}",
            applied.failures
        );
        held::assert_foreign_untouched(&desired, &self.made, &found, &self.kernel.state());
        self.engine.applied(plan, &applied);
        if failing {
            assert!(self.engine.needs_audit());
        }
    }

    /// Carries out the other pieces of a plan, one after the other.
    fn carry_out_rest(&mut self, full: bool) {
        while self.engine.has_more() {
            let plan = self.engine.plan();
            self.carry_out(&plan, full);
        }
    }

    fn try_out(plan: &Plan, watch: &Watch<'_>, found: &Observed) {
        let mut trial = MemoryKernel::holding(found);
        let mut ways = Ways::of(found);
        for (phase, operation) in plan.iter() {
            trial.perform(operation).unwrap_or_else(|error| {
                panic!("{phase:?}: {operation}: {error}\nplan:\n{plan}");
            });
            // Of these no packet takes notice, but for one.
            let unnoticed = match operation {
                Operation::CreateSet(_) => true,
                Operation::SetSysctl { sysctl, .. } => *sysctl != Sysctl::RouteLocalnet,
                _ => false,
            };
            if unnoticed {
                continue;
            }
            let state = trial.state();
            if matches!(operation, Operation::RestoreRules(_)) {
                ways = Ways::of(&state);
            }
            let problems = watch.problems_by(&state, &ways);
            assert!(
                problems.is_empty(),
                "after {phase:?}: {operation}: {problems:?}\nplan:\n{plan}"
            );
        }
    }

    /// Carries a plan out, and then what of it failed, which is pending without any observation.
    fn carry_through(&mut self, plan: &Plan) {
        self.carry_out(plan, false);
        self.carry_out_rest(false);
        let pending = self.engine.plan();
        self.carry_out(&pending, false);
    }

    /// Carries out what is left, has draining destinations looked at, and compares with the full path.
    fn settle(&mut self) {
        let plan = self.engine.plan();
        self.carry_through(&plan);
        let draining: Vec<_> = self.engine.draining().collect();
        let counts = self.kernel.connections(&draining).unwrap();
        let plan = self.engine.drained(&counts);
        self.carry_through(&plan);
        let again = self.engine.plan();
        assert!(again.is_empty(), "planned again:\n{again}");

        let cluster = self.engine.cluster();
        let desired = translate(&cluster, self.engine.host(), self.engine.config());
        let rest = reconcile(&desired, &self.kernel.state());
        assert!(rest.is_empty(), "left to do:\n{rest}");
        held::assert_holds(&desired, &self.kernel.state());

        let mut conflicts: Vec<_> = self.engine.conflicts().collect();
        conflicts.sort_unstable();
        assert_eq!(conflicts, desired.conflicts);
        let health: Vec<_> = self.engine.health().cloned().collect();
        assert_eq!(
            health,
            service_health(&cluster, &self.engine.host().node_name)
        );
        for id in self.engine.draining() {
            let state = self.kernel.state();
            let server = state.server(&id).unwrap();
            assert!(
                server
                    .destinations
                    .iter()
                    .any(|d| d.destination.config.weight == 0)
            );
        }
    }
}

/// Goes through a story, comparing after each event that a plan follows.
pub(crate) fn follow(story: Story) {
    let mut engine = Engine::new(story.host, story.config);
    engine.limit_changes(story.limit);
    assert!(engine.plan().is_empty(), "nothing is known of the kernel");
    let mut mirror = Cluster::default();
    let Cluster {
        services,
        slices,
        nodes,
        ..
    } = story.cluster;
    for change in [
        Change::Services(services.into_values().collect()),
        Change::Slices(slices.into_values().collect()),
        Change::Nodes(nodes.into_values().collect()),
    ] {
        mirror.change(change.clone());
        engine.change(change);
    }
    let kernel = MemoryKernel::holding(&story.found);
    let mut pair = Pair {
        engine,
        kernel,
        fail: Vec::new(),
        made: BTreeSet::new(),
    };
    audit(&mut pair, story.limit);
    pair.settle();
    for (event, planned) in story.events {
        match event {
            Event::Change(change) => {
                mirror.change(change.clone());
                pair.engine.change(change);
            }
            Event::Annotate(at, options, weight) => {
                for change in annotated(&mirror, at, options, weight) {
                    mirror.change(change.clone());
                    pair.engine.change(change);
                }
            }
            Event::Host(host) => {
                pair.engine.set_host(*host);
            }
            Event::Config(config) => pair.engine.set_config(*config),
            Event::Fail(at) => {
                pair.fail = at;
                continue;
            }
            Event::Connect(at, active) => {
                connect(&mut pair.kernel, at, active);
                continue;
            }
            Event::Meddle(meddlings) => {
                let mut state = pair.kernel.state();
                meddlings
                    .iter()
                    .for_each(|meddling| found::meddle(&mut state, meddling));
                pair.kernel = MemoryKernel::holding(&state);
                audit(&mut pair, story.limit);
            }
            Event::Audit => {
                audit(&mut pair, story.limit);
                // Without another look a destination that could not be deleted is one that may have connections.
                if !pair.engine.needs_audit() {
                    assert_eq!(pair.engine.plan(), pair.engine.audit(&pair.kernel.state()));
                }
            }
        }
        assert_eq!(pair.engine.cluster(), mirror);
        if planned {
            pair.settle();
        }
    }
    pair.settle();
}

/// The changes by which a Service and a slice get other annotations.
fn annotated(
    cluster: &Cluster,
    at: Index,
    options: Option<Box<ServiceOptions>>,
    weight: Option<u16>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let services: Vec<_> = cluster.services.values().collect();
    if !services.is_empty() {
        let mut service = at.get(&services).to_owned().clone();
        service.options = options;
        changes.push(Change::Service(Box::new(service)));
    }
    let slices: Vec<_> = cluster.slices.values().collect();
    if !slices.is_empty() {
        let mut slice = at.get(&slices).to_owned().clone();
        slice.weight = weight;
        changes.push(Change::Slice(Box::new(slice)));
    }
    changes
}

/// What heals differences is what the full path would do.
fn audit(pair: &mut Pair, limit: Option<usize>) {
    let observed = pair.kernel.observe().unwrap();
    pair.engine.limit_plans(None);
    let plan = pair.engine.audit(&observed);
    let desired = pair.engine.desired();
    let full = reconcile(&desired, &observed);
    // The engine knows of some virtual servers that it made them where nothing in the kernel shows it.
    let mut of_engine = sorted(&plan);
    for (_, operation) in plan.iter() {
        if let Operation::DeleteServer(id) = operation
            && pair.made.contains(id)
            && !desired.owns(id, &observed)
        {
            of_engine.remove(&operation.to_string());
        }
    }
    assert_eq!(of_engine, sorted(&full), "engine:\n{plan}\nfull:\n{full}");
    if limit.is_none() {
        return pair.carry_out(&plan, plan == full);
    }
    // In pieces it is the same in the same order.
    pair.engine.limit_plans(limit);
    let first = pair.engine.audit(&observed);
    let mut left: Vec<_> = plan.iter().collect();
    for (_, operation) in first.iter() {
        let at = left.iter().position(|(_, of_whole)| *of_whole == operation);
        left.remove(at.expect("of the whole plan"));
    }
    assert_eq!(left.is_empty(), !pair.engine.has_more() || first.is_empty());
    pair.carry_out(&first, plan == full);
    pair.carry_out_rest(plan == full);
}

/// The lines of a plan, in no order. What exempts from masquerading is left out: the full path adds it late for
/// every virtual server that is there, the engine only for those that change, so that it may come by another way.
fn sorted(plan: &Plan) -> BTreeMap<String, usize> {
    let exempts = |set: &SetName| SetId::owner(set).is_some_and(|(_, id)| EXEMPTING.contains(&id));
    let mut lines = BTreeMap::new();
    for (_, operation) in plan.iter() {
        if !matches!(operation, Operation::AddEntry { set, .. } if exempts(set)) {
            *lines.entry(operation.to_string()).or_default() += 1;
        }
    }
    lines
}

fn connect(kernel: &mut MemoryKernel, at: Index, active: u32) {
    let state = kernel.state();
    let all = state.servers.iter().flat_map(|server| {
        server
            .destinations
            .iter()
            .map(|d| (server.id, d.destination.id))
    });
    let all: Vec<_> = all.collect();
    if all.is_empty() {
        return;
    }
    let (server, destination) = all[at.index(all.len())];
    let connections = Connections {
        active,
        ..Connections::default()
    };
    kernel.set_connections(&server, &destination, connections);
}
