//! Writing requests allocates nothing once there is a buffer. One test to a program: it counts what this
//! process allocates.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::hint::black_box;

use benches::requests;
use ipset_netlink::message::{EntryBatch, Mode, Payload, Request};
use ipset_netlink::{Entry, Protocol, SetName};
use netlink_batch::{Batch, Header};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[test]
fn requests_are_written_without_allocating() {
    let changes = [requests::new_service(), requests::new_destination()];
    let entries: Vec<Entry> = (0..2_000)
        .map(|port| Entry::ip_port([10, 0, 0, 1].into(), Protocol::TCP, port))
        .collect();
    let set = SetName::new("web").unwrap();
    let mut batch = Batch::new();
    let write = |batch: &mut Batch| {
        batch.clear();
        for _ in 0..1_000 {
            for request in &changes {
                requests::push(batch, black_box(request));
            }
        }
        let mut rest = entries.as_slice();
        while let Some((entries, after)) = EntryBatch::split(rest) {
            let mode = Mode::Strict;
            let request = Request::Add { set, entries, mode };
            let header = Header::new(request.message_type()).with(request.flags());
            let payload = Payload {
                protocol: 7,
                request: &request,
            };
            batch.push(header, &payload);
            rest = after;
        }
        batch.len()
    };
    write(&mut batch);

    let _profiler = dhat::Profiler::builder().testing().build();
    // The thread that started this one may allocate something meanwhile, but not each time.
    let times = (0..5).map(|_| {
        let before = dhat::HeapStats::get().total_blocks;
        let written = write(&mut batch);
        assert!(written > 2_000);
        dhat::HeapStats::get().total_blocks - before
    });
    let blocks = times.min().unwrap();
    assert_eq!(blocks, 0, "allocations for thousands of requests");
    // The count counts.
    let before = dhat::HeapStats::get().total_blocks;
    drop(black_box(batch.clone()));
    assert!(dhat::HeapStats::get().total_blocks > before);
}
