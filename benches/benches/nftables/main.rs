//! What it takes to program a kernel from nothing in the layout `nftables`, beside a C loop that sends the same messages of
//! IPVS and nothing else, and beside the layout `current`: `cargo bench -p benches --bench nftables`.
//!
//! Runs under Debian's kernel in QEMU, whose clock counts instructions there: what is measured does not depend on what else
//! the machine does, and contains no cost of caches that miss. Prints its tables and writes them to `results/nftables.md`;
//! `-- --quick` takes small clusters and only prints.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark that fails should panic, and one prints"
)]

mod apply;
mod calls;
#[path = "../scale/figures.rs"]
#[allow(dead_code, reason = "shared")]
mod figures;
#[path = "../kernel/floor.rs"]
mod floor;
#[path = "../kernel/tap.rs"]
mod tap;

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use figures::{Figures, Unit, grouped, rounded};
use floor::Floor;

const ENDPOINTS: u32 = 10;

/// What the guest gets in MiB: 50,000 Services, the engine that plans them and the messages of the floor.
const GUEST_MEMORY: u64 = 6 * 1024;

/// At most this many times the C loop of the messages of IPVS, at 50,000 Services.
const MOST: f64 = 1.5;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == calls::PART) {
        calls::part();
        return ExitCode::SUCCESS;
    }
    let quick = words.iter().any(|word| word == "--quick");
    let sizes: &[u32] = if quick {
        &[100, 300]
    } else {
        &[1_000, 10_000, 50_000]
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
    let text = fs::read_to_string(draft()).unwrap_or_default();
    let mut figures = Figures::default();
    figures.read(&text);
    let counted = text.lines().filter(|line| line.starts_with('|'));
    let page = page(&figures, sizes, &counted.collect::<Vec<_>>());
    println!("{page}");
    if !quick && code == ExitCode::SUCCESS {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/results/nftables.md");
        fs::write(path, page).expect("the results are written");
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
    let floor = Floor::compile().expect("the C loop is compiled");
    let counted = calls::rows().join("\n") + "\n";
    let mut figures = Figures::default();
    apply::warm_up();
    for services in sizes {
        // Should memory or time not suffice for the next, there is what there is.
        apply::measure(&mut figures, &floor, *services, |figures| {
            let text = counted.clone() + &figures.lines();
            fs::write(draft(), text).expect("figures are written");
        });
    }
}

const ROWS: &[&str] = &[
    apply::OURS,
    apply::SERVERS,
    apply::TABLES,
    apply::FLOOR,
    apply::CURRENT,
];

fn page(figures: &Figures, sizes: &[u32], counted: &[&str]) -> String {
    let mut text = format!(
        "# Programming a kernel in the layout `nftables`\n\n\
         `cargo bench -p benches --bench nftables` under Debian's kernel, emulated by QEMU with one processor on {}. The guest's clock \
         counts instructions, one a nanosecond (`-icount shift=0,sleep=off`): a time is a number of instructions, user space \
         included, and does not depend on what else the machine did. It contains no cost of caches that miss, of which a kernel \
         that walks a list of 50,000 addresses has many: of the layout `current`, a machine shows more (`scale.md`).\n\n\
         ## From nothing\n\n\
         Services have {ENDPOINTS} endpoints each, every tenth on the node itself.\n\n{}\n",
        benches::machine::name(),
        figures.table(ROWS, sizes, Unit::Milliseconds),
    );
    for services in sizes {
        let times = [apply::OURS, apply::FLOOR, apply::CURRENT]
            .map(|name| figures.seconds(name, *services));
        if let [Some(ours), Some(floor), current] = times {
            let ratio = ours / floor;
            let met = match services {
                50_000 if ratio <= MOST => format!(", at most {MOST}: met"),
                50_000 => format!(", at most {MOST}: **not met**"),
                _ => String::new(),
            };
            let current = current.map_or(String::new(), |current| {
                format!("; the layout `current` {} times", rounded(current / floor))
            });
            let (services, ratio) = (grouped(services), rounded(ratio));
            let _ = writeln!(
                text,
                "- {services} Services: {ratio} times the C loop{met}{current}"
            );
        }
    }
    text += "\nOurs is the whole plan of an engine: settings, routing by mark, virtual servers with their destinations, and the \
             tables with all elements, each with its result. The C loop sends the same messages of IPVS, ready-made, and looks \
             at no more of the answers than whether one is a refusal; it knows nothing of tables. The layout `current` takes \
             sets, addresses and two runs of `iptables-restore` besides.\n\n\
             ## System calls\n\n| | |\n|---|--:|\n";
    for row in counted {
        text += row;
        text.push('\n');
    }
    text + "\nThose of planning and applying a change, counted by strace, but for those that have memory from the kernel. The test \
            `calls::of_a_change` of `proxier-linux` has more kinds of Services, and fails where one takes more.\n"
}
