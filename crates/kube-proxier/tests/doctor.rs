//! The doctor on a real kernel.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking; the child prints"
)]

use std::process::{Command, ExitCode};
use std::time::Instant;

use kernel_test::{Needs, cmd, tests};
use kube_proxier::doctor::{self, Check, Verdict};
use kube_proxier::options::{Flags, Options, ThisProcess};

/// Makes this program print what the doctor finds, for a test to start it with fewer rights.
const CHILD: &str = "DOCTOR_TEST_CHILD";

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        let checks = examined("");
        println!("{}", serde_json::to_string(&checks).unwrap());
        return ExitCode::from(u8::from(!doctor::can_run(&checks)));
    }
    let guest = tests![
        a_good_kernel_can_run_ipvs_mode,
        without_the_capability_it_says_so,
        a_scheduler_that_there_is_not_is_missed,
        what_others_left_is_found,
        looking_changes_nothing,
        how_long_it_takes,
    ];
    // It unloads a module.
    let alone = tests![a_set_type_that_there_is_not_is_missed];
    let alone = alone.map(|test| test.needs(Needs::OwnKernel));
    // On this machine's kernel, which has nftables; the guest's refuses tables of family ip.
    let here =
        tests![the_nftables_modes_table_is_found].map(|test| test.needs(Needs::NetNamespace));
    kernel_test::main(guest.into_iter().chain(alone).chain(here))
}

fn examined(line: &str) -> Vec<Check> {
    let words = ["kube-proxier"].into_iter().chain(line.split_whitespace());
    let options = Options::read(Flags::read(words).unwrap(), &ThisProcess).unwrap();
    doctor::run(&options)
}

fn found<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    let check = checks.iter().find(|check| check.name == name);
    check.unwrap_or_else(|| panic!("no {name}: {checks:#?}"))
}

fn a_good_kernel_can_run_ipvs_mode() {
    let checks = examined("");
    assert!(doctor::can_run(&checks), "{checks:#?}");
    for name in [
        "module ip_vs",
        "module ip_vs_rr",
        "module ip_vs_wrr",
        "module ip_vs_sh",
        "module nf_conntrack",
        "module xt_connmark",
    ] {
        assert_eq!(found(&checks, name).verdict, Verdict::Works, "{checks:#?}");
    }
    for name in [
        "ipset",
        "iptables",
        "ip6tables",
        "dummy link",
        "CAP_NET_ADMIN",
        "leftovers",
    ] {
        assert_eq!(found(&checks, name).verdict, Verdict::Works, "{checks:#?}");
    }
}

fn without_the_capability_it_says_so() {
    let output = Command::new("setpriv")
        .args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let checks: serde_json::Value = serde_json::from_str(&said).unwrap();
    let failing: Vec<_> = checks
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["verdict"] == "fails")
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    for name in ["CAP_NET_ADMIN", "dummy link"] {
        assert!(failing.contains(&name), "{said}");
    }
}

fn a_scheduler_that_there_is_not_is_missed() {
    let checks = examined("--ipvs-scheduler=nosuch");
    let check = found(&checks, "module ip_vs_nosuch");
    assert_eq!(check.verdict, Verdict::Fails);
    assert!(
        check
            .found
            .starts_with("absent: it is not among the modules"),
        "{check:?}"
    );
    assert!(
        check
            .remedy
            .as_ref()
            .is_some_and(|r| r.ends_with("modprobe ip_vs_nosuch")),
        "{check:?}"
    );
    assert!(!doctor::can_run(&checks));
}

/// The kernel asks for a module by running a program, which can be told not to.
struct NoModules(String);

impl NoModules {
    fn load() -> Self {
        let loader = kernel_test::sysctl("kernel.modprobe");
        kernel_test::set_sysctl("kernel.modprobe", "/bin/false");
        Self(loader)
    }
}

impl Drop for NoModules {
    fn drop(&mut self) {
        kernel_test::set_sysctl("kernel.modprobe", &self.0);
    }
}

fn a_set_type_that_there_is_not_is_missed() {
    // A look loads all that is needed: the one module is to be missed, whatever was loaded before.
    assert_eq!(found(&examined(""), "ipset").verdict, Verdict::Works);
    let _none = NoModules::load();
    cmd("rmmod ip_set_bitmap_port");
    let checks = examined("");
    let check = found(&checks, "ipset");
    assert_eq!(check.verdict, Verdict::Fails, "{check:?}");
    assert!(
        check.found.starts_with("set type bitmap:port: "),
        "{check:?}"
    );
    assert!(!doctor::can_run(&checks));
    cmd(check.remedy.as_deref().unwrap());
    assert_eq!(found(&examined(""), "ipset").verdict, Verdict::Works);
}

/// Printed, not judged. The first time modules are loaded.
fn how_long_it_takes() {
    for time in ["first", "second", "third"] {
        let began = Instant::now();
        let count = examined("").len();
        println!("{time}: {count} checks in {:?}", began.elapsed());
    }
}

fn what_others_left_is_found() {
    cmd("iptables-legacy -t nat -N KUBE-SVC-ABC");
    cmd("ipvsadm -A -t 10.99.0.1:80 -s rr");
    cmd("ipvsadm -A -t 10.98.0.1:80 -s rr");
    cmd("ip link add kube-ipvs0 type dummy");
    cmd("ip addr add 10.97.0.1/32 dev kube-ipvs0");
    cmd("ipvsadm -A -t 10.97.0.1:80 -s rr");
    let checks = examined("--remove-foreign-servers --ipvs-exclude-cidrs=10.98.0.0/16");
    assert!(doctor::can_run(&checks), "{checks:#?}");
    let left = found(&checks, "leftovers");
    assert_eq!(left.verdict, Verdict::Warning);
    assert!(
        left.found.contains("1 chains of the iptables mode"),
        "{left:?}"
    );
    let servers = found(&checks, "virtual servers");
    assert_eq!(servers.verdict, Verdict::Warning);
    assert!(
        servers.found.starts_with("those at 10.99.0.1 are"),
        "{servers:?}"
    );
    let remedy = servers.remedy.as_deref().unwrap_or_default();
    assert!(
        remedy.contains("--ipvs-exclude-cidrs=10.98.0.0/16,10.99.0.1/32 "),
        "{remedy}"
    );
    assert!(found(&checks, "dummy link").found.contains("is there"));
}

fn looking_changes_nothing() {
    let state = || (cmd("ipvsadm -Sn"), cmd("ip -o link"), cmd("ipset list -n"));
    // What is loaded for the first time may bring links and tables of its own.
    examined("");
    let before = state();
    examined("--ipvs-scheduler=lc");
    assert_eq!(state(), before);
}

fn the_nftables_modes_table_is_found() {
    cmd("nft add table ip kube-proxy");
    let checks = examined("");
    let left = found(&checks, "leftovers");
    assert_eq!(left.found, "table ip kube-proxy, of the nftables mode");
    assert_eq!(
        left.remedy.as_deref(),
        Some("nft delete table ip kube-proxy")
    );
    cmd(left.remedy.as_deref().unwrap());
    assert_eq!(found(&examined(""), "leftovers").verdict, Verdict::Works);
}
