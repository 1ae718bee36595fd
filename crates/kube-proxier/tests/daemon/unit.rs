//! The unit of `deploy/`, started by systemd, which has to be installed:
//! `cargo test -p kube-proxier --test daemon -- --ignored unit::`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kernel_test::{cmd, try_cmd};

use crate::api_server::ApiServer;
use crate::cluster::{STEADY, slice, steady};
use crate::daemon::{BINARY, Setup};

const UNIT: &str = include_str!("../../../../deploy/systemd/kube-proxier.service");
/// Its log goes to a file, since no journal runs, and nothing that it is ordered behind is started.
const OF_TEST: &str =
    "[Unit]\nDefaultDependencies=no\n[Service]\nStandardError=append:/run/kube-proxier.log\n";
/// Nothing else of the machine is started.
const NOTHING: &str = "[Unit]\nDefaultDependencies=no\n";

/// systemd, in namespaces of its own for processes and mounts. What it starts has the network of this machine.
struct Systemd {
    unshare: Child,
}

impl Systemd {
    fn start() -> Self {
        // As it asks for in a container: https://systemd.io/CONTAINER_INTERFACE
        let unshare = Command::new("unshare")
            .args(["--fork", "--pid", "--mount", "--mount-proc", "--kill-child"])
            .args(["/lib/systemd/systemd", "--log-target=console"])
            .arg("--unit=nothing.target")
            .env("container", "kernel-test")
            .stdin(Stdio::null())
            .spawn();
        Self {
            unshare: unshare.unwrap(),
        }
    }

    /// A command among its processes, which may fail; what it printed.
    fn run(&self, command: &str) -> String {
        let unshare = self.unshare.id();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
        let systemd = children.unwrap_or_default();
        let inside = format!("nsenter -t {} -p -m -- {command}", systemd.trim());
        try_cmd(&inside).unwrap_or_else(|error| error.to_string())
    }

    #[track_caller]
    fn wait_for(&self, command: &str, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(150);
        loop {
            let said = try_cmd(command).unwrap_or_else(|error| error.to_string());
            if holds(&said) {
                return said;
            }
            let log = || {
                let status = self.run("systemctl status --no-pager kube-proxier");
                status + &self.run("cat /run/kube-proxier.log")
            };
            assert!(Instant::now() < deadline, "{said}\n{}", log());
            thread::sleep(Duration::from_millis(500));
        }
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// It serves with the rights that the unit leaves it, is started again when it is killed, and leaves all in place when it is
/// stopped.
pub(crate) fn under_systemd() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms}\n");
    // It has a /tmp of its own, so its files are where a package has them.
    let units = Path::new("/run/systemd/system");
    let own = Path::new("/etc/kube-proxier");
    fs::create_dir_all(units.join("kube-proxier.service.d")).unwrap();
    fs::create_dir_all(own).unwrap();
    fs::write(units.join("kube-proxier.service"), UNIT).unwrap();
    fs::write(units.join("nothing.target"), NOTHING).unwrap();
    fs::write(units.join("kube-proxier.service.d/test.conf"), OF_TEST).unwrap();
    let of_setup = |name: &str| fs::read_to_string(setup.folder().join(name)).unwrap();
    let config = of_setup("config.yaml");
    let folder = setup.folder().to_str().unwrap();
    let config = config.replace(folder, own.to_str().unwrap());
    fs::write(own.join("config.conf"), config).unwrap();
    fs::write(own.join("kubeconfig"), of_setup("kubeconfig")).unwrap();
    cmd(&format!(
        "touch /usr/bin/kube-proxier && mount --bind {BINARY} /usr/bin/kube-proxier && mount --bind /run /run"
    ));
    if !Path::new("/sys/fs/cgroup/cgroup.procs").exists() {
        cmd("mount -t cgroup2 cgroup2 /sys/fs/cgroup");
    }
    let systemd = Systemd::start();
    let start = "systemctl start --no-block --job-mode=ignore-dependencies kube-proxier";
    systemd.wait_for("true", |_| {
        systemd.run("systemctl is-active nothing.target").trim() == "active"
    });
    systemd.run(start);
    let destination = |address: &str| format!("-a -t {STEADY}:80 -r {address}:8080 ");
    systemd.wait_for("ipvsadm -Sn", |said| {
        said.contains(&destination("10.244.1.5"))
    });
    systemd.wait_for("iptables-save -t nat", |said| {
        said.contains("KUBE-SERVICES")
    });
    let rights = systemd.run("systemctl show kube-proxier -p CapabilityBoundingSet --value");
    assert_eq!(rights.trim(), "cap_net_admin cap_net_raw");

    systemd.run("systemctl kill --kill-who=main --signal=KILL kube-proxier");
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    systemd.wait_for("ipvsadm -Sn", |said| {
        said.contains(&destination("10.244.1.6"))
    });
    let restarts = systemd.run("systemctl show kube-proxier -p NRestarts --value");
    assert_eq!(restarts.trim(), "1");
    assert_eq!(
        systemd.run("systemctl is-active kube-proxier").trim(),
        "active"
    );

    systemd.run("systemctl stop kube-proxier");
    let stopped = systemd.run("systemctl show kube-proxier -p ActiveState --value");
    let log = systemd.run("cat /run/kube-proxier.log");
    assert_eq!(stopped.trim(), "inactive", "{log}");
    assert!(cmd("ipvsadm -Sn").contains(&destination("10.244.1.6")));
    // This one is the machine's first network namespace's to write, in which no test runs.
    let mut lines = log
        .lines()
        .filter(|line| !line.contains("nf_conntrack_max"));
    let complaints = ["denied", "not permitted", "Read-only"];
    assert!(
        !lines.any(|line| complaints.iter().any(|words| line.contains(words))),
        "{log}"
    );
}
