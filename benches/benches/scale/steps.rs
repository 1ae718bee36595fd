//! The full path and the engine, on this machine, with no kernel.

use benches::steps::{Wheel, all_done, large_service, moved, settled, started};
use proxier::cluster::{Change, Cluster};
use proxier::{Config, Engine, Kernel, MemoryKernel, Plan, reconcile, translate};

use crate::figures::{Figures, median};
use crate::{ENDPOINTS, Effort};

pub(crate) const TRANSLATE: &str = "`translate`";
pub(crate) const FROM_NOTHING: &str = "full path from nothing: `translate`, `reconcile`";
pub(crate) const UNCHANGED: &str = "full path, nothing changed";
pub(crate) const ENGINE: &str = "engine from nothing: `change` of all, `audit`, `applied`";
pub(crate) const AUDIT: &str = "engine: `audit`, nothing changed";

pub(crate) const ONE: &str = "engine: one endpoint changed";
pub(crate) const MANY: &str = "engine: 1,000 endpoints of one Service changed";
pub(crate) const ADDED: &str = "engine: a Service added";
pub(crate) const REMOVED: &str = "engine: a Service removed";

/// Measures all of it at one size.
pub(crate) fn measure(figures: &mut Figures, services: u32, effort: Effort) {
    let cluster = benches::cluster(services, ENDPOINTS);
    whole(figures, &cluster, services, effort.rounds(services));
    changes(figures, cluster, services, effort.steps());
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

/// One step of the engine.
pub(crate) fn step(engine: &mut Engine, changes: impl IntoIterator<Item = Change>) -> Plan {
    changes.into_iter().for_each(|change| engine.change(change));
    let plan = engine.plan();
    assert!(!plan.is_empty(), "a change changes something");
    engine.applied(&plan, &all_done(&plan));
    plan
}

fn changes(figures: &mut Figures, mut cluster: Cluster, services: u32, rounds: usize) {
    let (service, slices) = large_service(1_000);
    let mut wheel = Wheel::new(&cluster);
    cluster.add_service(service);
    for slice in &slices {
        cluster.add_slice(slice.clone());
    }
    let mut engine = settled(&cluster);
    drop(cluster);
    let time = median(
        rounds,
        || wheel.endpoint_changed(),
        |change| step(&mut engine, change),
    );
    figures.note(ONE, services, time);

    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for there in (0..rounds / 4).flat_map(|_| [true, false]) {
        let changes = || wheel.service(there);
        let time = median(1, changes, |changes| step(&mut engine, changes));
        let times = if there { &mut added } else { &mut removed };
        times.push(time);
    }
    for (name, mut times) in [(ADDED, added), (REMOVED, removed)] {
        times.sort();
        let middle = times.get(times.len() / 2).copied();
        figures.note(name, services, middle.unwrap_or_default());
    }

    let mut away = false;
    let all_moved = || {
        away = !away;
        let slices = slices.iter().map(|slice| moved(slice.clone(), away));
        slices
            .map(|slice| Change::Slice(Box::new(slice)))
            .collect::<Vec<_>>()
    };
    let time = median(rounds / 100 + 2, all_moved, |all| {
        let plan = step(&mut engine, all);
        assert!(plan.len() >= 1_000, "all of them change");
        plan
    });
    figures.note(MANY, services, time);
}
