//! What an engine allocates: for a cluster, and for a step. One test to a program: it counts what this process
//! allocates.

use benches::steps::{Wheel, all_done, settled};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Bytes for each endpoint, cluster and believed kernel included, at the most: 400 MB at 500,000 (issue 5).
const MOST: usize = 800;

#[test]
fn the_engine_is_small_and_its_steps_do_not_grow_with_the_cluster() {
    let endpoints = 10;
    let _profiler = dhat::Profiler::builder().testing().build();
    let mut blocks_of_steps = Vec::new();
    for services in [100, 10_000] {
        let cluster = benches::cluster(services, endpoints);
        let mut wheel = Wheel::new(&cluster);
        let before = dhat::HeapStats::get().curr_bytes;
        let mut engine = settled(&cluster);
        let bytes = dhat::HeapStats::get().curr_bytes - before;
        let per_endpoint = bytes / (services as usize * endpoints as usize);
        println!("{services} Services x {endpoints}: {bytes} bytes, {per_endpoint} per endpoint");
        assert!(per_endpoint < MOST, "{per_endpoint} bytes");

        let steps = 1_000;
        let changes: Vec<_> = (0..steps)
            .filter_map(|_| wheel.endpoint_changed())
            .collect();
        let before = dhat::HeapStats::get().total_blocks;
        for change in changes {
            engine.change(change);
            let plan = engine.plan();
            engine.applied(&plan, &all_done(&plan));
        }
        let blocks = (dhat::HeapStats::get().total_blocks - before) / steps;
        println!("{services} Services: {blocks} allocations for one endpoint changed");
        blocks_of_steps.push(blocks);
    }
    let [small, large] = *blocks_of_steps else {
        unreachable!("two clusters");
    };
    assert!(
        small > 0 && large <= small + small / 4,
        "{small}, then {large}"
    );
}
