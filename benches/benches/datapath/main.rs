//! What a packet costs, against the number of Services: `cargo bench -p benches --bench datapath`.
//!
//! Connections opened and closed, and requests over one that stays, from a pod to the address of a Service, through each
//! layout, through the rules of kube-proxy's nftables mode, and beside them the same to the endpoint itself. For the first
//! Service of the cluster and the last, because rules that are walked one by one cost more for the last.
//!
//! Runs under Debian's kernel in QEMU, whose clock counts instructions there: what is measured does not depend on what else
//! the machine does, and contains no cost of caches that miss. Prints its tables and writes them to `results/datapath.md`,
//! with plots beside it; `-- --quick` takes small clusters and only prints, `-- --services 10000` does so with one size.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark that fails should panic, and one prints"
)]

#[path = "../scale/figures.rs"]
#[allow(dead_code, reason = "shared")]
mod figures;
mod network;
#[path = "../scale/plot.rs"]
mod plot;
mod report;
mod traffic;
mod ways;

use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use figures::Figures;
use network::Network;
use ways::Way;

/// Few, because the iptables tools take long; how many there are changes nothing for the others.
const ENDPOINTS: u32 = 2;

/// What the guest gets, in MiB.
const GUEST_MEMORY: u64 = 4 * 1024;

fn main() -> ExitCode {
    let quick = env::args().any(|word| word == "--quick");
    let one = env::args().skip_while(|word| word != "--services").nth(1);
    let one = one.map(|number| [number.parse().expect("a number of Services")]);
    let sizes: &[u32] = match &one {
        Some(one) => one,
        None if quick => &[1, 30],
        None => &[1, 10, 1_000, 10_000],
    };
    // In the guest this program comes by here as well, before it measures.
    let _ = fs::remove_file(draft());
    let inside = Cell::new(false);
    let code = kernel_test::exec_counting_instructions(GUEST_MEMORY, || {
        inside.set(true);
        on_a_kernel(sizes);
    });
    if inside.get() {
        return code;
    }
    let mut figures = Figures::default();
    figures.read(&fs::read_to_string(draft()).unwrap_or_default());
    let text = report::text(&figures, sizes);
    println!("{text}");
    if !quick && one.is_none() && code == ExitCode::SUCCESS {
        report::keep(&figures, &text).expect("the results are written");
    }
    code
}

/// What a guest writes is lost, but below cargo's target folder.
fn draft() -> PathBuf {
    env::current_exe()
        .expect("this program has a path")
        .with_extension("lines")
}

fn on_a_kernel(sizes: &[u32]) {
    let mut figures = Figures::default();
    for services in sizes {
        for way in Way::ALL {
            let network = Network::new();
            let addresses = way.program(&network, *services);
            for (place, address) in ways::PLACES.into_iter().zip(addresses) {
                let costs = traffic::measure(&network, address);
                figures.note(&report::opened(way, place), *services, costs.connection);
                figures.note(&report::asked(way, place), *services, costs.request);
            }
            // Should memory or time not suffice for the next, there is what there is.
            fs::write(draft(), figures.lines()).expect("figures are written");
        }
    }
}
