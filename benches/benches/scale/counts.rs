//! Counts that do not depend on the machine: this program run again, on one thing, under a tool that counts.

use std::hint::black_box;
use std::process::{Command, Stdio};

use benches::calls::{between_marks, mark};
use benches::machine::memory;
use benches::steps::{Wheel, large_service, moved, settled, started};
use proxier::cluster::Change;
use proxier::{Config, Engine, Kernel, MemoryKernel, reconcile, translate};
use proxier_linux::LinuxKernel;

use crate::apply::carried_out;
use crate::figures::{grouped, rounded};
use crate::{ENDPOINTS, steps};

/// The first argument of a run that does one part: `part NAME TIMES SERVICES`.
pub(crate) const PART: &str = "part";

/// The changes whose system calls are counted, in the order in which [`part`] makes them.
const CALLS: [&str; 5] = [
    "one endpoint changed",
    "one endpoint on this node changed",
    "1,000 endpoints of one Service changed",
    "a Service with 10 endpoints added",
    "that Service removed",
];

/// Does one part.
pub(crate) fn part(words: &[String]) {
    let [name, times, services] = words else {
        panic!("{PART} NAME TIMES SERVICES");
    };
    let number = |word: &String| word.parse::<u32>().expect("a number");
    let (times, services) = (number(times), number(services));
    match name.as_str() {
        "translate" => {
            let (host, config) = (benches::host(), Config::default());
            let cluster = benches::cluster(services, ENDPOINTS);
            (0..times).for_each(|_| drop(black_box(translate(&cluster, &host, &config))));
        }
        "reconcile" => {
            let cluster = benches::cluster(services, ENDPOINTS);
            let desired = translate(&cluster, &benches::host(), &Config::default());
            let nothing = MemoryKernel::new().observe().expect("a state in memory");
            (0..times).for_each(|_| drop(black_box(reconcile(&desired, &nothing))));
        }
        "endpoint" => {
            let cluster = benches::cluster(services, ENDPOINTS);
            let (mut engine, mut wheel) = (settled(&cluster), Wheel::new(&cluster));
            for _ in 0..times {
                steps::step(&mut engine, wheel.endpoint_changed());
            }
        }
        "added" | "removed" => {
            let cluster = benches::cluster(services, ENDPOINTS);
            let (mut engine, mut wheel) = (settled(&cluster), Wheel::new(&cluster));
            for there in (0..times).flat_map(|_| [true, false]) {
                let change = wheel.service(there);
                if there == (name == "added") {
                    steps::step(&mut engine, change);
                } else {
                    steps::uncounted(&mut engine, change);
                }
            }
        }
        "large" => {
            let mut cluster = benches::cluster(services, ENDPOINTS);
            let (service, slices) = large_service(1_000);
            cluster.add_service(service);
            for slice in &slices {
                cluster.add_slice(slice.clone());
            }
            let mut engine = settled(&cluster);
            for away in (0..times).map(|time| time % 2 == 0) {
                let all = slices.iter().map(|slice| moved(slice.clone(), away));
                let all: Vec<_> = all.map(|slice| Change::Slice(Box::new(slice))).collect();
                steps::step(&mut engine, all);
            }
        }
        // What it takes to make the changes, without an engine that takes them in.
        "wheel" => {
            let cluster = benches::cluster(services, ENDPOINTS);
            let (engine, mut wheel) = (settled(&cluster), Wheel::new(&cluster));
            (0..times).for_each(|_| drop(black_box(wheel.endpoint_changed())));
            drop(engine);
        }
        "memory" => memory_of(services),
        "calls" => calls_of(services),
        other => panic!("no part {other:?}"),
    }
}

/// An engine from nothing, and the memory of this process then.
fn memory_of(services: u32) {
    let nothing = MemoryKernel::new().observe().expect("an empty kernel");
    let mut engine = started(benches::cluster(services, ENDPOINTS));
    let plan = engine.audit(&nothing);
    engine.applied(&plan, &benches::steps::all_done(&plan));
    drop(plan);
    let fields = ["VmHWM", "VmRSS"].map(|field| memory(field).expect("a size"));
    println!("{} {}", fields[0], fields[1]);
    drop(engine);
}

/// Changes on this machine's kernel, each between two calls of `getppid`.
fn calls_of(services: u32) {
    let mut kernel = LinuxKernel::open().expect("a kernel");
    let mut cluster = benches::cluster(services, ENDPOINTS);
    let mut wheel = Wheel::new(&cluster);
    let (service, slices) = large_service(1_000);
    cluster.add_service(service);
    for slice in &slices {
        cluster.add_slice(slice.clone());
    }
    let mut engine: Engine = started(cluster);
    engine.set_host(kernel.host(benches::NODE).expect("links"));
    let plan = engine.audit(&kernel.observe().expect("an empty kernel"));
    engine.applied(&plan, &kernel.apply(&plan));
    assert!(engine.plan().is_empty(), "all is programmed");
    let moved = |slice| Change::Slice(Box::new(moved(slice, true)));
    let changes: [Vec<Change>; CALLS.len()] = [
        wheel.endpoint_changed().into_iter().collect(),
        wheel.local_endpoint_changed().into_iter().collect(),
        slices.into_iter().map(moved).collect(),
        wheel.service(true).into(),
        wheel.service(false).into(),
    ];
    for change in changes {
        mark();
        let plan = carried_out(&mut engine, &mut kernel, change);
        mark();
        assert!(!plan.is_empty(), "a change changes something");
    }
}

fn command(line: &[&str], name: &str, times: u32, services: u32) -> Command {
    let program = std::env::current_exe().expect("this program has a path");
    let mut words = line.iter();
    let mut command = match words.next() {
        Some(tool) => Command::new(tool),
        None => Command::new(&program),
    };
    command.args(words);
    if !line.is_empty() {
        command.arg(&program);
    }
    command.args([PART, name, &times.to_string(), &services.to_string()]);
    command.stdin(Stdio::null());
    command
}

/// Rows of a table: the system calls of changes, in this network namespace.
pub(crate) fn calls(services: u32) -> Vec<String> {
    let log = std::env::temp_dir().join("scale-calls");
    let Some(path) = log.to_str() else {
        return Vec::new();
    };
    let output = match command(&["strace", "-o", path], "calls", 1, services).output() {
        Ok(output) => output,
        Err(why) => return vec![format!("| system calls | strace: {why} |")],
    };
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&log).expect("strace's log");
    let between = between_marks(&text);
    let row = |(what, calls): (_, Vec<_>)| {
        let (count, names) = (calls.len(), calls.join(", "));
        format!("| system calls: {what} ({names}) | {count} |")
    };
    CALLS.into_iter().zip(between).map(row).collect()
}

/// What a tool of valgrind counted: the number that stands before or after some words in what it says.
fn valgrind(options: &[&str], name: &str, times: u32, services: u32) -> Result<u64, String> {
    let line = [&["valgrind"], options].concat();
    let output = command(&line, name, times, services)
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let number = |word: &str| word.replace(',', "").parse().ok();
    let found = text.lines().find_map(|line| {
        let mut words = line.split_whitespace().rev();
        if line.contains("Collected : ") {
            number(words.next()?)
        } else if line.contains(" Total: ") {
            // "Total: 1,234 bytes in 56 blocks"
            number(words.nth(1)?)
        } else {
            None
        }
    });
    found.ok_or_else(|| format!("valgrind says: {}", text.trim()))
}

/// So much each time, or why it was not counted.
type Count = Result<f64, String>;

/// What each time more costs: the difference of two runs.
fn each(options: &[&str], name: &str, times: u32, services: u32) -> Count {
    let one = valgrind(options, name, 1, services)?;
    let more = valgrind(options, name, 1 + times, services)?;
    Ok(more.saturating_sub(one) as f64 / f64::from(times))
}

const INSTRUCTIONS: [&str; 2] = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
const ALLOCATIONS: [&str; 2] = ["--tool=dhat", "--dhat-out-file=/dev/null"];

/// Rows of a table: instructions and allocations, of clusters of these sizes.
pub(crate) fn instructions(sizes: &[u32]) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row = |unit: &str, what: String, count: Count| {
        rows.push(match count {
            Ok(count) => format!("| {unit}: {what} | {} |", rounded(count)),
            Err(why) => format!("| {unit}: {what} | not counted: {why} |"),
        });
    };
    let all = || "`translate`, 1,000 Services".to_owned();
    let of =
        |what: &str, services: &u32| format!("engine, {what}, of {} Services", grouped(services));
    row(
        "instructions",
        all(),
        each(&INSTRUCTIONS, "translate", 2, 1_000),
    );
    for services in sizes {
        for (what, name, times) in STEPS {
            let count = instructions_of_a_step(name, times, *services);
            row("instructions", of(what, services), count);
        }
    }
    row(
        "allocations",
        all(),
        each(&ALLOCATIONS, "translate", 2, 1_000),
    );
    for services in sizes {
        let count = allocations_of_a_step(*services);
        row("allocations", of(STEPS[0].0, services), count);
    }
    rows
}

/// The steps whose instructions are counted, each with the part that makes it and how often.
const STEPS: [(&str, &str, u32); 4] = [
    ("one endpoint changed", "endpoint", 200),
    ("1,000 endpoints of one Service changed", "large", 20),
    ("a Service added", "added", 100),
    ("a Service removed", "removed", 100),
];

/// Without all around the step: hash tables are laid out differently each time, so that making the cluster takes a little
/// more or less.
fn instructions_of_a_step(name: &str, times: u32, services: u32) -> Count {
    let options = [&INSTRUCTIONS[..], &["--toggle-collect=*steps::step*"]].concat();
    let all = valgrind(&options, name, times, services)?;
    Ok(all as f64 / f64::from(times))
}

/// Without what it takes to make the change.
fn allocations_of_a_step(services: u32) -> Count {
    let (_, name, times) = STEPS[0];
    let change = each(&ALLOCATIONS, name, times, services)?;
    Ok(change - each(&ALLOCATIONS, "wheel", times, services)?)
}

/// Rows of a table: the memory of an engine in a process of its own.
pub(crate) fn memory_rows(services: u32) -> Vec<String> {
    let output = command(&[], "memory", 1, services)
        .stderr(Stdio::inherit())
        .output()
        .expect("this program starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    let megabytes = text
        .split_whitespace()
        .filter_map(|word| word.parse::<f64>().ok())
        .map(|bytes| bytes / 1e6);
    let what = [
        "the most (`VmHWM`), the cluster and the plan from nothing included",
        "once the plan is done with (`VmRSS`)",
    ];
    let services = grouped(&services);
    let row = |(what, size)| {
        format!("| memory: engine of {services} Services from nothing, {what} | {size:.0} MB |")
    };
    what.into_iter().zip(megabytes).map(row).collect()
}
