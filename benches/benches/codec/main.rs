//! Requests written and a dump read, beside peers and a floor: `cargo bench -p benches --bench codec`.
//!
//! All write a whole message, with both headers, from a value that is there already. The peers differ in what
//! they offer: nlrs writes into a buffer that is used again, netlink-packet-ipvs makes a list of attributes
//! and a new buffer each time.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macros; a benchmark that fails should panic"
)]

use std::hint::black_box;

use benches::dump::{self, DESTINATIONS};
use benches::requests;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipvs_netlink::Reply;
use netlink_batch::{Batch, messages};

mod peers;

fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for (name, request) in [
        ("NewService", requests::new_service()),
        ("NewDestination", requests::new_destination()),
    ] {
        let mut batch = Batch::new();
        group.bench_function(format!("{name}/ipvs-netlink"), |b| {
            b.iter(|| {
                batch.clear();
                requests::push(&mut batch, black_box(&request));
                black_box(&mut batch);
            });
        });
    }
    let mut buffer = Vec::new();
    group.bench_function("NewService/nlrs", |b| {
        b.iter(|| peers::nlrs_service(black_box(&mut buffer)));
    });
    group.bench_function("NewDestination/nlrs", |b| {
        b.iter(|| peers::nlrs_destination(black_box(&mut buffer)));
    });
    let (service, destination) = peers::packet_ipvs_values();
    group.bench_function("NewService/netlink-packet-ipvs", |b| {
        b.iter(|| peers::packet_ipvs_service(black_box(&service)));
    });
    group.bench_function("NewDestination/netlink-packet-ipvs", |b| {
        b.iter(|| peers::packet_ipvs_destination(black_box(&service), black_box(&destination)));
    });
    group.finish();
}

fn decoding(criterion: &mut Criterion) {
    let dump = dump::destinations();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(dump.len() as u64));
    group.bench_function("10000 destinations/walk", |b| {
        b.iter(|| dump::walk(black_box(&dump)));
    });
    group.bench_function("10000 destinations/ipvs-netlink", |b| {
        b.iter(|| {
            let mut count = 0;
            for message in messages(black_box(&dump)) {
                let message = message.expect("a message");
                let (header, attributes) = message.payload.split_at(4);
                let command = header.first().copied().unwrap_or_default();
                black_box(Reply::decode(command, attributes).expect("a reply"));
                count += 1;
            }
            assert_eq!(count, DESTINATIONS);
        });
    });
    group.finish();
}

criterion_group!(groups, encoding, decoding);
criterion_main!(groups);
