//! One step of the engine — a change taken in, the plan made, the outcome believed — beside the full path,
//! which translates and reconciles everything.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a benchmark that fails should panic"
)]

use std::hint::black_box;

use benches::steps::{Wheel, all_done, settled, started};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use proxier::cluster::Change;
use proxier::{Config, Kernel, MemoryKernel, reconcile, translate};

const ENDPOINTS: u32 = 10;

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    for services in [1_000, 10_000, 50_000] {
        let id = |name| BenchmarkId::new(name, services);
        let cluster = benches::cluster(services, ENDPOINTS);
        let mut engine = settled(&cluster);

        // Each time another Service, in an order that no cache foresees.
        let mut wheel = Wheel::new(&cluster);
        group.bench_function(id("one endpoint changed"), |b| {
            b.iter_batched(
                || wheel.endpoint_changed().unwrap(),
                |change| {
                    engine.change(change);
                    let plan = engine.plan();
                    assert!(!plan.is_empty());
                    engine.applied(&plan, &all_done(&plan));
                    plan
                },
                BatchSize::SmallInput,
            );
        });
        let mut there = false;
        group.bench_function(id("a Service added or removed"), |b| {
            b.iter_batched(
                || {
                    there = !there;
                    wheel.service(there)
                },
                |changes| {
                    changes.into_iter().for_each(|change| engine.change(change));
                    let plan = engine.plan();
                    assert!(!plan.is_empty());
                    engine.applied(&plan, &all_done(&plan));
                    plan
                },
                BatchSize::SmallInput,
            );
        });
    }

    let mut large = benches::cluster(10_000, ENDPOINTS);
    let (service, slices) = benches::steps::large_service(1_000);
    large.add_service(service);
    slices
        .iter()
        .for_each(|slice| drop(large.add_slice(slice.clone())));
    let mut engine = settled(&large);
    let mut turned = false;
    group.bench_function(
        BenchmarkId::new("1,000 endpoints of one Service changed", 10_000),
        |b| {
            b.iter_batched(
                || {
                    turned = !turned;
                    let slices = benches::steps::large_service(1_000).1.into_iter();
                    slices
                        .map(|slice| benches::steps::moved(slice, turned))
                        .collect::<Vec<_>>()
                },
                |slices| {
                    for slice in slices {
                        engine.change(Change::Slice(Box::new(slice)));
                    }
                    let plan = engine.plan();
                    assert!(plan.len() >= 1_000);
                    engine.applied(&plan, &all_done(&plan));
                    plan
                },
                BatchSize::LargeInput,
            );
        },
    );
    group.finish();
}

/// From nothing, and what the full path takes for what the engine does in a step.
fn whole(criterion: &mut Criterion) {
    let (host, config) = (benches::host(), Config::default());
    let nothing = MemoryKernel::new().observe().unwrap();
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(10);
    for services in [1_000, 10_000, 50_000] {
        let id = |name| BenchmarkId::new(name, services);
        let cluster = benches::cluster(services, ENDPOINTS);
        group.bench_function(id("from nothing"), |b| {
            b.iter_batched(
                || cluster.clone(),
                |cluster| {
                    let mut engine = started(cluster);
                    let plan = engine.audit(&nothing);
                    engine.applied(&plan, &all_done(&plan));
                    (engine, plan)
                },
                BatchSize::PerIteration,
            );
        });
        let desired = translate(&cluster, &host, &config);
        let mut kernel = MemoryKernel::new();
        assert!(kernel.apply(&reconcile(&desired, &nothing)).is_ok());
        let unchanged = kernel.observe().unwrap();
        group.bench_function(id("peer: translate and reconcile"), |b| {
            b.iter(|| reconcile(&translate(black_box(&cluster), &host, &config), &unchanged));
        });
        let mut engine = started(cluster.clone());
        assert!(engine.audit(&unchanged).is_empty());
        group.bench_function(id("audit, nothing changed"), |b| {
            b.iter(|| engine.audit(black_box(&unchanged)));
        });
    }
    group.finish();
}

criterion_group!(groups, steps, whole);
criterion_main!(groups);
