//! The async examples on a real kernel, beside the reference tools.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../../kernel/tests/support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Output, Stdio};

use kernel_test::{Needs, cmd, tests, try_cmd};

use self::support::{sorted, virtual_servers};

fn main() -> ExitCode {
    let guest = tests![
        ipvs_tokio_prints_what_ipvsadm_saves,
        tokio_together_programs_and_watches,
    ];
    // On this machine's kernel.
    let here = tests![
        ipvs_tokio_reports_a_kernel_without_ipvs,
        tokio_together_makes_a_map,
    ]
    .map(|test| test.needs(Needs::NetNamespace));
    kernel_test::main(guest.into_iter().chain(here))
}

/// Exit status, stdout, stderr.
fn run(program: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program).args(args).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    (status.code(), stdout, stderr)
}

/// What it printed, having succeeded.
#[track_caller]
fn printed(program: &str, args: &[&str]) -> String {
    let (status, stdout, stderr) = run(program, args);
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{stdout}");
    stdout
}

const IPVS_TOKIO: &str = env!("CARGO_BIN_EXE_ipvs-tokio");
const TOKIO_TOGETHER: &str = env!("CARGO_BIN_EXE_tokio-together");

fn ipvs_tokio_prints_what_ipvsadm_saves() {
    assert_eq!(printed(IPVS_TOKIO, &[]), "");
    virtual_servers();
    let printed = printed(IPVS_TOKIO, &[]);
    assert_eq!(sorted(&printed), sorted(&cmd("ipvsadm -Sn")));
    assert_eq!(printed.lines().count(), 6);
}

fn tokio_together_programs_and_watches() {
    let mut program = Command::new(TOKIO_TOGETHER)
        .args(["192.0.2.10:80", "10.1.0.1:8080", "10.1.0.2:8080"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let made: Vec<_> = lines.by_ref().take(4).map(Result::unwrap).collect();
    assert_eq!(
        made,
        [
            "TCP 192.0.2.10:80: 2 destinations",
            "lb0: 1 addresses",
            "set lb: 1 entries",
            "no nf_tables for IPv4 in this kernel",
        ]
    );
    let rules = cmd("ipvsadm -Sn");
    assert_eq!(rules.lines().count(), 3, "{rules}");
    assert_eq!(
        cmd("ip -o addr show dev lb0 | awk '{print $4}'"),
        "192.0.2.10/32\n"
    );
    assert!(cmd("ipset save lb").ends_with("add lb 192.0.2.10,tcp:80\n"));

    // What is added does not end it, what it watches for does.
    cmd("ip addr add 192.0.2.11/32 dev lb0 && ip addr del 192.0.2.11/32 dev lb0");
    cmd("ip addr del 192.0.2.10/32 dev lb0");
    let last: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!(last, ["lb0 lost 192.0.2.10"]);
    assert!(program.wait().unwrap().success());
}

/// On this machine's kernel, where that has nf_tables.
fn tokio_together_makes_a_map() {
    if try_cmd("nft list ruleset && ip link add probe type dummy").is_err() {
        return;
    }
    let ran = printed(
        TOKIO_TOGETHER,
        &["192.0.2.10:80", "10.1.0.1:8080", "--once"],
    );
    assert!(ran.ends_with("table lb: 3 changes\n"), "{ran}");
    let map = cmd("nft list map ip lb servers");
    assert!(
        map.contains("elements = { 192.0.2.10 . 80 : 0x00002000 }"),
        "{map}"
    );
}

fn ipvs_tokio_reports_a_kernel_without_ipvs() {
    if try_cmd("modprobe -n ip_vs && test -e /lib/modules/$(uname -r)").is_ok() {
        return; // This one has it.
    }
    let (status, stdout, stderr) = run(IPVS_TOKIO, &[]);
    assert_eq!((status, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains("looking up IPVS"), "{stderr}");
}
