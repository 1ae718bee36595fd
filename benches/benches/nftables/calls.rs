//! System calls of changes, counted by strace in a process of their own.

use std::process::{Command, Stdio};

use benches::calls::{between_marks, mark};
use benches::steps::{Wheel, started_as};
use proxier::cluster::Change;
use proxier::{Config, Kernel as _, Layout};
use proxier_linux::LinuxKernel;

use crate::ENDPOINTS;

/// The first argument of a run that makes the changes.
pub(crate) const PART: &str = "part";

/// In the order in which [`part`] makes them.
const CHANGES: [&str; 3] = [
    "one endpoint changed",
    "a Service with 10 endpoints added",
    "that Service removed",
];

/// Changes on this network namespace's kernel, each between two marks.
pub(crate) fn part() {
    let layout = Layout::Nftables;
    let mut kernel = LinuxKernel::open_for(layout).expect("a kernel");
    let cluster = benches::cluster(100, ENDPOINTS);
    let mut wheel = Wheel::new(&cluster);
    let mut engine = started_as(Config::with_layout(layout), cluster);
    engine.set_host(kernel.host(benches::NODE).expect("links"));
    let plan = engine.audit(&kernel.observe().expect("an empty kernel"));
    engine.applied(&plan, &kernel.apply(&plan));
    assert!(engine.plan().is_empty(), "all is programmed");
    let changes: [Vec<Change>; CHANGES.len()] = [
        wheel.endpoint_changed().into_iter().collect(),
        wheel.service(true).into(),
        wheel.service(false).into(),
    ];
    for change in changes {
        mark();
        change.into_iter().for_each(|change| engine.change(change));
        let plan = engine.plan();
        let applied = kernel.apply(&plan);
        mark();
        assert!(applied.is_ok(), "{:?}", applied.failures.first());
        assert!(!plan.is_empty(), "a change changes something");
        engine.applied(&plan, &applied);
    }
}

/// Rows of a table, one for each change.
pub(crate) fn rows() -> Vec<String> {
    let log = std::env::temp_dir().join("nftables-calls");
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new("strace")
        .arg("-o")
        .arg(&log)
        .arg(program)
        .arg(PART)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(why) => return vec![format!("| system calls | strace: {why} |")],
    };
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&log).expect("strace's log");
    let row = |(what, calls): (&str, Vec<&str>)| {
        let (count, names) = (calls.len(), calls.join(", "));
        format!("| system calls: {what} ({names}) | {count} |")
    };
    CHANGES
        .into_iter()
        .zip(between_marks(&text))
        .map(row)
        .collect()
}
