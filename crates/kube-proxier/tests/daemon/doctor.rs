//! `kube-proxier doctor`, as a program: before there is a daemon, beside one, and after it.

use std::process::Command;

use kernel_test::{cmd, cmd_input};
use serde_json::Value;

use crate::api_server::ApiServer;
use crate::cluster::{service, slice, steady};
use crate::daemon::Setup;
use crate::process::TRIAL;

/// Exit status, and the check of a name.
fn doctor(args: &[&str], name: &str) -> (Option<i32>, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-proxier"));
    command.args(["doctor", "--output=json"]).args(args);
    let output = command.output().unwrap();
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let check = checks.iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no {name}: {checks:#?}"));
    (output.status.code(), check.clone())
}

/// A process that was killed in the middle of a trial has left it: the next one tries all the same, and takes it away. One that
/// somebody uses stays.
pub(crate) fn a_trial_that_was_cut_off_is_cleared_away() {
    cmd(&format!("ipvsadm -A -t {TRIAL} -s lc"));
    let (_, rr) = doctor(&[], "module ip_vs_rr");
    assert!(
        !rr["found"].as_str().unwrap().contains("as the daemon does"),
        "{rr}"
    );
    assert_eq!(cmd("ipvsadm -Sn"), "");
    let used = format!("-A -t {TRIAL} -s lc\n-a -t {TRIAL} -r 10.244.1.5:80 -m -w 1\n");
    cmd_input("ipvsadm -R", &used);
    doctor(&[], "module ip_vs_rr");
    assert_eq!(cmd("ipvsadm -Sn"), used);
}

/// What a daemon programmed is nobody else's, wherever its node ports are; what is somebody else's is said, with
/// how it stays.
pub(crate) fn its_own_virtual_servers_are_no_warning() {
    cmd("ip link add eth9 type dummy && ip link set eth9 up");
    cmd("ip address add 192.168.99.1/24 dev eth9");
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let mut web = service("web", "10.96.0.20");
    web["spec"]["type"] = "NodePort".into();
    web["spec"]["ports"][0]["nodePort"] = 8080.into();
    web["spec"]["ports"][1]["nodePort"] = 40_080.into();
    server.put(web);
    server.put(slice("web", &["10.244.1.5".to_owned()]));
    let setup = Setup::new(&server, "");
    let daemon = setup.started();
    let held = cmd("ipvsadm -Sn");
    for server in ["-t 192.168.99.1:8080 ", "-u 192.168.99.1:40080 "] {
        assert!(held.contains(server), "{held}");
    }
    daemon.kill();
    let (status, servers) = doctor(&[], "virtual servers");
    assert_eq!(status, Some(0), "{servers}");
    assert_eq!(servers["verdict"], "works", "{servers}");
    // A restarted one does not warn either.
    let daemon = setup.started();
    assert!(!setup.log().contains("are of others"), "{}", setup.log());
    daemon.kill();

    cmd("ipvsadm -A -t 192.168.99.1:30555 -s rr");
    cmd("ipvsadm -A -t 10.98.0.1:80 -s rr");
    let (status, servers) = doctor(
        &[
            "--remove-foreign-servers",
            "--ipvs-exclude-cidrs=10.98.0.0/16",
        ],
        "virtual servers",
    );
    assert_eq!(status, Some(0), "ipvs mode can run: {servers}");
    assert_eq!(servers["verdict"], "warning", "{servers}");
    let found = servers["found"].as_str().unwrap();
    assert!(found.starts_with("those at 192.168.99.1 are"), "{found}");
    let remedy = servers["remedy"].as_str().unwrap();
    let flag = "--ipvs-exclude-cidrs=10.98.0.0/16,192.168.99.1/32";
    let field = "ipvs: {excludeCIDRs: [10.98.0.0/16, 192.168.99.1/32]}";
    for way in [flag, field] {
        assert!(remedy.contains(way), "{remedy}");
    }
    // Whoever follows it keeps what is there.
    let setup = Setup::new(&server, &format!("{field}\n"));
    let _daemon = setup.started();
    assert!(!setup.log().contains("are of others"), "{}", setup.log());
    let held = cmd("ipvsadm -Sn");
    for foreign in ["-t 192.168.99.1:30555 ", "-t 10.98.0.1:80 "] {
        assert!(held.contains(foreign), "{held}");
    }
}

/// 0 only where ipvs mode can run.
pub(crate) fn its_exit_status_says_whether_ipvs_mode_can_run() {
    let (status, module) = doctor(&[], "module ip_vs");
    assert_eq!((status, &module["verdict"]), (Some(0), &"works".into()));
    let (status, module) = doctor(&["--ipvs-scheduler=nosuch"], "module ip_vs_nosuch");
    assert_eq!((status, &module["verdict"]), (Some(1), &"fails".into()));
    // A daemon that cannot do what it is asked to says the same, and falls back.
    let server = ApiServer::start();
    let setup = Setup::new(&server, "ipvs: {scheduler: nosuch}\n");
    let _daemon = setup.started();
    let said = setup.log();
    for line in [
        "Can't use ipvs proxier, trying iptables proxier",
        "Using iptables Proxier.",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(
        said.contains("can't use ipvs proxier, module ip_vs_nosuch: absent"),
        "{said}"
    );
    assert!(!said.contains("Using ipvs Proxier."), "{said}");
}
