//! The commands in the documents for operators, run as they are written, beside the daemon and on a cluster that has
//! the objects of `examples/data/cluster.yaml`.
//!
//! A block of the kind `console` holds commands after `$ `, each with what it prints. In that, a line `...` stands for any
//! lines, and `[..]` for any text in a line.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kernel_test::cmd;
use serde_json::Value;
use snapbox::{Assert, IntoData as _};

use crate::api_server::ApiServer;
use crate::daemon::{BINARY, Setup};

const CLUSTER: &str = include_str!("../../../../examples/data/cluster.yaml");

/// A command waits so long for what it is to print: the daemon takes a moment for what happens on a page.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn debugging() {
    play(
        "docs/debugging.md",
        include_str!("../../../../docs/debugging.md"),
    );
}

pub(crate) fn troubleshooting() {
    play(
        "docs/troubleshooting.md",
        include_str!("../../../../docs/troubleshooting.md"),
    );
}

pub(crate) fn explain() {
    play(
        "docs/explain.md",
        include_str!("../../../../docs/explain.md"),
    );
}

pub(crate) fn traffic() {
    play(
        "docs/traffic.md",
        include_str!("../../../../docs/traffic.md"),
    );
}

/// Runs all commands of a page, and shows all differences.
fn play(name: &str, page: &str) {
    cmd("ip link add eth0 type dummy && ip link set eth0 up");
    cmd("ip address add 192.168.10.10/24 dev eth0");
    cmd("ip route add default via 192.168.10.1");
    let server = ApiServer::start();
    let list: Value = serde_saphyr::from_str(CLUSTER).unwrap();
    server.apply_step(list["items"].as_array().unwrap().iter().cloned());
    let setup = Setup::new(
        &server,
        "ipvs: {minSyncPeriod: 100ms}\nclusterCIDR: 10.244.0.0/16,fd00:10:244::/56\n",
    );
    let _daemon = setup.started();
    let programs = tempfile::tempdir().unwrap();
    symlink(BINARY, programs.path().join("kube-proxier")).unwrap();
    let path = format!(
        "{}:{}",
        programs.path().display(),
        std::env::var("PATH").unwrap()
    );

    let commands = commands(page);
    assert!(!commands.is_empty(), "{name} has no command");
    let mut wrong = 0;
    for command in &commands {
        if let Err(difference) = run(command, setup.folder(), &path) {
            wrong += 1;
            println!(
                "{name}:{}: $ {}\n{difference}",
                command.line, command.script
            );
        }
    }
    assert_eq!(
        wrong,
        0,
        "of {} commands; the daemon's log:\n{}",
        commands.len(),
        setup.log()
    );
}

/// Runs a command until it prints what the page has; returns what differs at last.
fn run(example: &Example, folder: &Path, path: &str) -> Result<(), snapbox::assert::Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1\n{}", example.script)]);
    shell
        .env("PATH", path)
        .current_dir(folder)
        .stdin(Stdio::null());
    loop {
        let output = shell.output().unwrap();
        let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if !printed.is_empty() && !printed.ends_with('\n') {
            printed.push('\n');
        }
        let expected = example.prints.clone();
        match Assert::new().try_eq(None, printed.into_data(), expected.into_data()) {
            Ok(()) => return Ok(()),
            Err(difference) if Instant::now() >= deadline => return Err(difference),
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// A command of a page.
struct Example {
    /// Where it is, from 1.
    line: usize,
    script: String,
    prints: String,
}

fn commands(page: &str) -> Vec<Example> {
    let mut commands: Vec<Example> = Vec::new();
    let mut inside = false;
    let mut goes_on = false;
    for (at, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(script) = line.strip_prefix("$ ") {
            goes_on = script.ends_with('\\');
            commands.push(Example {
                line: at + 1,
                script: script.to_owned(),
                prints: String::new(),
            });
        } else if inside {
            let last = commands.last_mut().unwrap();
            if goes_on {
                goes_on = line.ends_with('\\');
                last.script += &format!("\n{line}");
            } else {
                last.prints += &format!("{line}\n");
            }
        }
    }
    commands
}
