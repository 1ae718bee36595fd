//! What everything costs, against the number of Services: `cargo bench -p benches --bench scale`.
//!
//! Translating, reconciling, steps of the engine, IPVS messages, a kernel programmed (in a User Mode Linux guest where
//! this one has no IPVS), and counts that do not depend on the machine. Writes its tables to `results/scale.md`, with
//! plots beside it. `-- --quick` only tries whether all of it runs, on small clusters, and prints. `-- --applied` prints
//! no more than how long it takes to program a kernel, `-- --engine` no more than what the full path and the engine take.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark that fails should panic, and one prints"
)]

mod apply;
mod codec;
mod counts;
#[allow(dead_code, reason = "shared")]
mod figures;
#[path = "../kernel/floor.rs"]
mod floor;
#[path = "../codec/peers.rs"]
mod peers;
mod plot;
mod report;
mod steps;
#[path = "../kernel/tap.rs"]
mod tap;

use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use figures::Figures;
use floor::Floor;
use kernel_test::Needs;

const ENDPOINTS: u32 = 10;

/// How much to measure.
#[derive(Clone, Copy)]
struct Effort {
    quick: bool,
    /// Whether no more is measured than what a kernel takes.
    applied: bool,
}

/// What the guest gets in MiB: 50,000 Services, the engine that plans them and the messages of the floor.
const GUEST_MEMORY: u64 = 6 * 1024;

impl Effort {
    fn sizes(self) -> &'static [u32] {
        if self.quick {
            &[100, 300]
        } else {
            &[100, 1_000, 10_000, 50_000]
        }
    }

    /// How often to do what takes the longer the more Services there are.
    fn rounds(self, services: u32) -> usize {
        match services {
            _ if self.quick => 1,
            0..=1_000 => 25,
            1_001..=10_000 => 9,
            _ => 3,
        }
    }

    /// How often to come by with changes, some each time.
    fn turns(self) -> usize {
        if self.quick { 2 } else { 50 }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [first, rest @ ..] = words.as_slice()
        && first == counts::PART
    {
        counts::part(rest);
        return ExitCode::SUCCESS;
    }
    let effort = Effort {
        quick: words.iter().any(|word| word == "--quick"),
        applied: words.iter().any(|word| word == "--applied"),
    };
    if words.iter().any(|word| word == "--engine") {
        let mut figures = Figures::default();
        for services in effort.sizes() {
            steps::measure(&mut figures, *services, effort);
        }
        steps::measure_changes(&mut figures, effort);
        println!("{}", report::engine(&figures, effort.sizes()));
        return ExitCode::SUCCESS;
    }
    // In the guest, or in a process of its own, this program comes by here as well, before it measures.
    let _ = fs::remove_file(draft());
    let inside = Cell::new(false);
    let code = kernel_test::exec_with_memory(Needs::Ipvs, GUEST_MEMORY, || {
        inside.set(true);
        on_a_kernel(effort);
    });
    if inside.get() {
        return code;
    }
    let (mut figures, mut rows) = (Figures::default(), Vec::new());
    let applied = fs::read_to_string(draft()).unwrap_or_default();
    figures.read(&applied);
    if effort.applied {
        println!("{}", report::applied(&figures));
        return code;
    }
    let counted = applied.lines().filter(|line| line.starts_with('|'));
    rows.extend(counted.map(str::to_owned));
    for services in effort.sizes() {
        steps::measure(&mut figures, *services, effort);
        codec::measure(&mut figures, *services, effort);
    }
    steps::measure_changes(&mut figures, effort);
    let sizes: &[u32] = if effort.quick {
        &[100]
    } else {
        &[1_000, 10_000]
    };
    rows.extend(counts::instructions(sizes));
    if let Some(services) = effort.sizes().last() {
        rows.extend(counts::memory_rows(*services));
    }
    let text = report::text(&figures, effort.sizes(), &rows);
    println!("{text}");
    if !effort.quick {
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

fn on_a_kernel(effort: Effort) {
    let floor = Floor::compile();
    if let Err(why) = &floor {
        eprintln!("without the floor: {why}");
    }
    let mut text = String::new();
    if !effort.applied {
        text = counts::calls(100).join("\n") + "\n";
    }
    let mut figures = Figures::default();
    for services in effort.sizes() {
        apply::measure(&mut figures, floor.as_ref().ok(), *services, effort);
        // Should memory not suffice for the next, there is what there is.
        fs::write(draft(), text.clone() + &figures.lines()).expect("figures are written");
    }
    text += &figures.lines();
    fs::write(draft(), text).expect("figures are written");
}
