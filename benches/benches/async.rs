//! The async client beside the blocking one and beside `rtnetlink` on `netlink-proto`, in one run:
//! `cargo bench -p benches --bench async`.
//!
//! Each way adds 1,000 addresses to a dummy link, lists them, and removes them. Runs where the kernel tests
//! run, mostly in a User Mode Linux guest. Times are the best of several rounds, ways in turn; system calls
//! are counted by `strace`, where it is installed, without those of starting.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that fails should panic, and one prints"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use dummy_link::{AsyncClient, Client, LinkName, host_address};
use futures_util::{StreamExt, TryStreamExt, stream};
use ipnetwork::IpNetwork;
use kernel_test::{Needs, cmd};
use tokio::runtime::{Builder, Runtime};

const ADDRESSES: u32 = 1_000;
const ROUNDS: u32 = 7;

/// In the environment of a process that goes one way, to be counted.
const WAY: &str = "BENCH_ASYNC_WAY";

type Way = (&'static str, fn() -> Duration);

const WAYS: [Way; 4] = [
    ("`dummy-link`, `Client`", blocking),
    ("`dummy-link`, `AsyncClient`", on_tokio),
    ("`rtnetlink`, one after another", one_by_one),
    ("`rtnetlink`, 64 at a time", side_by_side),
];

fn main() -> ExitCode {
    if let Ok(way) = std::env::var(WAY) {
        let way = WAYS.iter().find(|(name, _)| *name == way);
        way.map(|(_, go)| go());
        return ExitCode::SUCCESS;
    }
    kernel_test::exec(Needs::Ipvs, program)
}

fn program() {
    cmd("ip link add bench type dummy");
    let mut best = [Duration::MAX; WAYS.len()];
    for _ in 0..ROUNDS {
        for ((_, go), best) in WAYS.iter().zip(&mut best) {
            *best = go().min(*best);
        }
    }
    println!("| way | ms | system calls |");
    println!("|---|---|---|");
    let start = calls("");
    for ((name, _), best) in WAYS.iter().zip(best) {
        let milliseconds = best.as_secs_f64() * 1e3;
        let calls = calls(name).zip(start).map(|(all, start)| all - start);
        let calls = calls.map_or_else(|| "?".to_owned(), |calls| calls.to_string());
        println!("| {name} | {milliseconds:.2} | {calls} |");
    }
}

/// System calls of a process that goes this way; one that has no way only starts.
fn calls(way: &str) -> Option<i64> {
    let counted = Command::new("strace")
        .args(["-f", "-c", "-S", "calls", "-U", "calls,name"])
        .arg(std::env::current_exe().ok()?)
        .env(WAY, way)
        .output()
        .ok()?;
    let summary = String::from_utf8(counted.stderr).ok()?;
    let total = summary.lines().find(|line| line.ends_with(" total"))?;
    total.split_whitespace().next()?.parse().ok()
}

fn addresses() -> Vec<IpNetwork> {
    let number = |n| u32::from(Ipv4Addr::new(10, 96, 0, 0)) + n;
    let ips = (1..=ADDRESSES).map(|n| IpAddr::V4(number(n).into()));
    ips.map(host_address).collect()
}

fn link() -> LinkName {
    "bench".parse().expect("a name")
}

fn blocking() -> Duration {
    let (link, addresses) = (link(), addresses());
    let mut client = Client::open().expect("a socket");
    let start = Instant::now();
    let added = client.add_addresses(link, &addresses).expect("a link");
    assert!(added.iter().all(Result::is_ok));
    assert!(client.addresses(link).expect("a link").len() >= addresses.len());
    let removed = client.remove_addresses(link, &addresses).expect("a link");
    assert!(removed.iter().all(Result::is_ok));
    start.elapsed()
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

fn on_tokio() -> Duration {
    let (link, addresses) = (link(), addresses());
    runtime().block_on(async {
        let mut client = AsyncClient::open().expect("a socket");
        let start = Instant::now();
        let added = client
            .add_addresses(link, &addresses)
            .await
            .expect("a link");
        assert!(added.iter().all(Result::is_ok));
        assert!(client.addresses(link).await.expect("a link").len() >= addresses.len());
        let removed = client.remove_addresses(link, &addresses).await;
        assert!(removed.expect("a link").iter().all(Result::is_ok));
        start.elapsed()
    })
}

fn one_by_one() -> Duration {
    rtnetlink(1)
}

fn side_by_side() -> Duration {
    rtnetlink(64)
}

/// So many requests are under way at a time.
fn rtnetlink(at_a_time: usize) -> Duration {
    let addresses = addresses();
    runtime().block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().expect("a socket");
        tokio::spawn(connection);
        let start = Instant::now();
        let mut found = handle.link().get().match_name("bench".to_owned()).execute();
        let link = found.try_next().await.expect("links").expect("a link");
        let index = link.header.index;
        let add = |address: &IpNetwork| {
            let request = handle.address().add(index, address.ip(), address.prefix());
            async move { request.execute().await }
        };
        let added: Vec<_> = stream::iter(&addresses)
            .map(add)
            .buffer_unordered(at_a_time)
            .collect()
            .await;
        assert!(added.iter().all(Result::is_ok));
        let listed: Vec<_> = handle
            .address()
            .get()
            .set_link_index_filter(index)
            .execute()
            .try_collect()
            .await
            .expect("addresses");
        assert!(listed.len() >= addresses.len());
        let removed: Vec<_> = stream::iter(listed)
            .map(|address| {
                let request = handle.address().del(address);
                async move { request.execute().await }
            })
            .buffer_unordered(at_a_time)
            .collect()
            .await;
        assert!(removed.iter().all(Result::is_ok));
        start.elapsed()
    })
}
