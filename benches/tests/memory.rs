//! How much memory the desired state takes. One test to a program: it counts what this process allocates.

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Bytes of the desired state for each endpoint, at the most (issue 2).
const MOST: usize = 400;

#[test]
fn the_desired_state_is_small() {
    let (services, endpoints) = (10_000, 10);
    let (host, config) = (benches::host(), proxier::Config::default());
    let cluster = benches::cluster(services, endpoints);
    let _profiler = dhat::Profiler::builder().testing().build();
    let before = dhat::HeapStats::get().curr_bytes;
    let desired = proxier::translate(&cluster, &host, &config);
    let bytes = dhat::HeapStats::get().curr_bytes - before;
    let per_endpoint = bytes / (services as usize * endpoints as usize);
    println!(
        "{bytes} bytes for {services} Services x {endpoints} endpoints: {per_endpoint} per endpoint"
    );
    assert!(per_endpoint < MOST, "{per_endpoint} bytes");
    drop(desired);
}
