//! Services per second: reading manifests (the floor to compare with), translating them, reconciling from
//! nothing and reconciling a state that is as it should be.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a benchmark that fails should panic"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use proxier::{Config, Kernel, MemoryKernel, reconcile, translate};
use std::hint::black_box;

const ENDPOINTS: u32 = 10;

fn translation(criterion: &mut Criterion) {
    let (host, config) = (benches::host(), Config::default());
    for services in [1_000, 10_000] {
        let mut group = criterion.benchmark_group("proxier");
        group.throughput(Throughput::Elements(services.into()));
        group.sample_size(10);
        let cluster = benches::cluster(services, ENDPOINTS);
        let text = benches::manifest(&cluster);
        let desired = translate(&cluster, &host, &config);
        let mut kernel = MemoryKernel::new();
        let nothing = kernel.observe().unwrap();
        assert!(kernel.apply(&reconcile(&desired, &nothing)).is_ok());
        let unchanged = kernel.observe().unwrap();

        let id = |name| BenchmarkId::new(name, services);
        group.bench_function(id("read YAML"), |b| {
            b.iter(|| proxier_manifest::read_cluster("bench", black_box(text.as_bytes())));
        });
        group.bench_function(id("translate"), |b| {
            b.iter(|| translate(black_box(&cluster), &host, &config));
        });
        group.bench_function(id("reconcile from nothing"), |b| {
            b.iter(|| reconcile(black_box(&desired), &nothing));
        });
        group.bench_function(id("translate and reconcile from nothing"), |b| {
            b.iter(|| reconcile(&translate(black_box(&cluster), &host, &config), &nothing));
        });
        group.bench_function(id("reconcile unchanged"), |b| {
            b.iter(|| reconcile(black_box(&desired), &unchanged));
        });
        group.finish();
    }
}

criterion_group!(groups, translation);
criterion_main!(groups);
