//! What programming a kernel costs, beside a floor and the reference tools:
//! `cargo bench -p benches --bench kernel`.
//!
//! Runs where the kernel tests run: here as root on a kernel with IPVS, else in a User Mode Linux guest.
//! Prints its tables and writes them to `results/kernel.md`; with an argument, `ipvs` or `ipset`, prints only
//! that one. Only ratios within one run mean anything: a
//! guest's system calls are dearer than a machine's, and machines are shared.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark that fails should panic, and one prints"
)]

mod floor;
mod ipset;
mod ipvs;
mod measure;
mod tap;
mod tool;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use kernel_test::Needs;

use floor::Floor;
use measure::Target;

fn main() -> ExitCode {
    let code = kernel_test::exec(Needs::Ipvs, program);
    if code == ExitCode::SUCCESS {
        keep_results();
    }
    code
}

type Measure = fn(Option<&Floor>) -> Results;

fn program() {
    let only: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let _ = fs::remove_file(draft());
    let floor = Floor::compile();
    let mut text = String::new();
    if let Err(why) = &floor {
        let _ = writeln!(text, "Without the floor: {why}.\n");
    }
    let mut targets = Vec::new();
    let parts: [(_, _, Measure); 2] = [
        ("ipvs", ipvs::TITLE, ipvs::results),
        ("ipset", ipset::TITLE, ipset::results),
    ];
    for (name, title, results) in parts {
        if only.is_empty() || only.iter().any(|word| word == name) {
            let (table, met) = results(floor.as_ref().ok());
            let _ = writeln!(text, "## {title}\n\n{table}");
            targets.extend(met);
        }
    }
    text.push_str("## Targets\n\n| | of min | of median | target | |\n|---|--:|--:|--:|---|\n");
    for target in &targets {
        let _ = writeln!(text, "{target}");
    }
    println!("{text}");
    if only.is_empty() {
        fs::write(draft(), text).expect("the tables are written");
    }
}

/// What a guest writes is lost, but below cargo's target folder.
fn draft() -> PathBuf {
    env::current_exe()
        .expect("this program has a path")
        .with_extension("md")
}

/// Puts the tables into the repository, under the name of the machine. The process in the guest does so
/// too, to no effect.
fn keep_results() {
    let Ok(tables) = fs::read_to_string(draft()) else {
        return;
    };
    let text = format!(
        "# Programming a kernel\n\n`cargo bench -p benches --bench kernel` on {}; where the kernel has \
         no IPVS, in a User Mode Linux guest of one processor. Only ratios within one run mean anything.\n\n{tables}",
        benches::machine::name(),
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/results/kernel.md");
    fs::write(path, text).expect("the results are written");
}

/// The table of one thing to do, and the targets for it.
type Results = (String, Vec<Target>);
