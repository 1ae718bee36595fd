//! The full path and the engine, on this machine, with no kernel.

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::steps::{Wheel, all_done, large_service, moved, settled, started};
use proxier::cluster::{Change, Cluster, EndpointSlice};
use proxier::{Config, Engine, Kernel, MemoryKernel, Plan, reconcile, translate};

use crate::figures::{Figures, median, middle};
use crate::{ENDPOINTS, Effort};

pub(crate) const TRANSLATE: &str = "`translate`";
pub(crate) const FROM_NOTHING: &str = "full path from nothing: `translate`, `reconcile`";
pub(crate) const UNCHANGED: &str = "full path, nothing changed";
pub(crate) const ENGINE: &str = "engine from nothing: `change` of all, `audit`, `applied`";
pub(crate) const AUDIT: &str = "engine: `audit`, nothing changed";

pub(crate) const ONE: &str = "engine: one endpoint changed";
pub(crate) const RUSH: &str = "engine: one endpoint changed, again and again";
pub(crate) const MANY: &str = "engine: 1,000 endpoints of one Service changed";
pub(crate) const ADDED: &str = "engine: a Service added";
pub(crate) const REMOVED: &str = "engine: a Service removed";

/// Measures what the full path and the engine take for all of a cluster.
pub(crate) fn measure(figures: &mut Figures, services: u32, effort: Effort) {
    let cluster = benches::cluster(services, ENDPOINTS);
    whole(figures, &cluster, services, effort.rounds(services));
}

/// Measures steps of the engine at all sizes, in turns: a shared machine is not always equally fast, and sizes are to
/// be compared.
pub(crate) fn measure_changes(figures: &mut Figures, effort: Effort) {
    let mut all = Vec::new();
    for services in effort.sizes() {
        let mut changing = Changing::new(*services);
        (0..40 * effort.turns()).for_each(|_| changing.endpoint(RUSH));
        all.push(changing);
    }
    for _ in 0..effort.turns() {
        all.iter_mut().for_each(Changing::turn);
    }
    for changing in all {
        changing.note(figures);
    }
}

fn whole(figures: &mut Figures, cluster: &Cluster, services: u32, rounds: usize) {
    let (host, config) = (benches::host(), Config::default());
    let mut kernel = MemoryKernel::new();
    let nothing = kernel.observe().expect("an empty kernel");
    let translated = || translate(cluster, &host, &config);
    figures.note(
        TRANSLATE,
        services,
        median(rounds, || (), |()| translated()),
    );
    let full = |()| reconcile(&translated(), &nothing);
    figures.note(FROM_NOTHING, services, median(rounds, || (), full));
    assert!(
        kernel.apply(&full(())).is_ok(),
        "the kernel takes the whole plan"
    );
    let there = kernel.observe().expect("a full kernel");
    drop(kernel);
    let unchanged = |()| {
        let plan = reconcile(&translated(), &there);
        assert!(plan.is_empty(), "nothing is left to do");
    };
    figures.note(UNCHANGED, services, median(rounds, || (), unchanged));
    let from_nothing = |cluster: Cluster| {
        let mut engine = started(cluster);
        let plan = engine.audit(&nothing);
        engine.applied(&plan, &all_done(&plan));
        (engine, plan)
    };
    let time = median(rounds, || cluster.clone(), from_nothing);
    figures.note(ENGINE, services, time);
    let mut engine = started(cluster.clone());
    let mut audit = |()| {
        assert!(engine.audit(&there).is_empty(), "nothing is left to do");
    };
    audit(());
    figures.note(AUDIT, services, median(rounds, || (), audit));
}

/// One step of the engine. A function of its own, for callgrind to find.
#[inline(never)]
pub(crate) fn step(engine: &mut Engine, changes: impl IntoIterator<Item = Change>) -> Plan {
    uncounted(engine, changes)
}

/// The same, where callgrind is not to count it.
#[inline(always)]
pub(crate) fn uncounted(engine: &mut Engine, changes: impl IntoIterator<Item = Change>) -> Plan {
    changes.into_iter().for_each(|change| engine.change(change));
    let plan = engine.plan();
    assert!(!plan.is_empty(), "a change changes something");
    engine.applied(&plan, &all_done(&plan));
    plan
}

/// A cluster that changes, and how long each change took.
struct Changing {
    services: u32,
    engine: Engine,
    wheel: Wheel,
    /// Of the Service with 1,000 endpoints.
    slices: Vec<EndpointSlice>,
    away: bool,
    times: [(&'static str, Vec<Duration>); 5],
}

impl Changing {
    fn new(services: u32) -> Self {
        let (service, slices) = large_service(1_000);
        let mut cluster = benches::cluster(services, ENDPOINTS);
        let wheel = Wheel::new(&cluster);
        cluster.add_service(service);
        for slice in &slices {
            cluster.add_slice(slice.clone());
        }
        Self {
            services,
            engine: settled(&cluster),
            wheel,
            slices,
            away: false,
            times: [ONE, RUSH, ADDED, REMOVED, MANY].map(|name| (name, Vec::new())),
        }
    }

    /// Some changes of each kind.
    fn turn(&mut self) {
        for _ in 0..40 {
            self.endpoint(ONE);
        }
        for _ in 0..10 {
            let (added, removed) = (self.wheel.service(true), self.wheel.service(false));
            self.time(ADDED, added);
            self.time(REMOVED, removed);
        }
        self.away = !self.away;
        let slices = self.slices.iter().map(|s| moved(s.clone(), self.away));
        let all: Vec<_> = slices.map(|s| Change::Slice(Box::new(s))).collect();
        let plan = self.time(MANY, all);
        assert!(plan.len() >= 1_000, "all of them change");
    }

    fn endpoint(&mut self, name: &str) {
        let change = self.wheel.endpoint_changed();
        self.time(name, change);
    }

    fn time(&mut self, name: &str, changes: impl IntoIterator<Item = Change>) -> Plan {
        let start = Instant::now();
        let plan = black_box(step(&mut self.engine, changes));
        let time = start.elapsed();
        let times = self.times.iter_mut().find(|(of, _)| *of == name);
        times.expect("a kind of change").1.push(time);
        plan
    }

    fn note(self, figures: &mut Figures) {
        for (name, times) in self.times {
            figures.note(name, self.services, middle(times));
        }
    }
}
