//! Tools that hang.

use std::fs;
use std::path::Path;
use std::time::Instant;

use kernel_test::{cmd, script, try_cmd};
use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::api_server::ApiServer;
use crate::cluster::{service, slice, steady};
use crate::daemon::{Daemon, Setup};

/// Tools that do what the real ones do, but hang for good while a file `hang` is beside them, or `hang-` and the last part
/// of their name, with the number of their process in a file `hanging`. Asked for their version they hang only while there is
/// a file `hang-version`. While there is a file `slow-` and the last part of their name, they take 3 s longer than usual.
pub(crate) fn tools() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    for family in ["iptables", "ip6tables"] {
        for (name, real) in [
            (family.to_owned(), format!("{family}-legacy")),
            (format!("{family}-save"), format!("{family}-legacy-save")),
            (
                format!("{family}-restore"),
                format!("{family}-legacy-restore"),
            ),
        ] {
            let real = cmd(&format!("command -v {real}"));
            let path = folder.path().join(&name);
            let part = name.rsplit('-').next().unwrap_or_default();
            let text = format!(
                "case $1 in -V|--version) v=hang-version;; *) v=hang;; esac\nif [ $v = hang -o -e {at}/$v ] && [ -e {at}/hang -o -e {at}/hang-{part} ]; then echo $$ > {at}/new-$$; mv {at}/new-$$ {at}/hanging; exec sleep 3600; \
                 fi\n[ -e {at}/slow-{part} ] && sleep 3\nexec {} \"$@\"\n",
                real.trim()
            );
            script(&path, &text);
        }
    }
    folder
}

/// The process of a tool that hangs right now.
fn hanging(folder: &Path) -> Option<String> {
    let id = fs::read_to_string(folder.join("hanging")).ok()?;
    let id = id.trim().to_owned();
    Path::new("/proc").join(&id).exists().then_some(id)
}

fn contains(command: &str, part: &str) -> Result<(), String> {
    let held = cmd(command);
    held.contains(part).then_some(()).ok_or(held)
}

/// Makes a change, and waits until the kernel has it, while one and the same run of a tool hangs. Where that run is killed
/// meanwhile, which takes 10 s, it is tried once more with the next one.
#[track_caller]
fn while_one_hangs(
    daemon: &mut Daemon,
    folder: &Path,
    what: &str,
    mut change: impl FnMut(u8),
    held: impl Fn(u8) -> Result<(), String>,
) {
    for round in 0..10 {
        let tool = daemon.wait_until("a tool that hangs", || {
            hanging(folder).ok_or_else(|| "none hangs".to_owned())
        });
        change(round);
        daemon.wait_until(what, || held(round));
        if hanging(folder) == Some(tool) {
            return;
        }
    }
    panic!("{what}: never before the tool was killed");
}

pub(crate) fn tools_that_hang_keep_only_their_rules_waiting() {
    let folder = tools();
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1s}\n");
    let setup = setup.tools_in(folder.path());
    let mut daemon = setup.started();
    fs::write(folder.path().join("hang"), "").unwrap();

    // An endpoint, in virtual servers and a set.
    while_one_hangs(
        &mut daemon,
        folder.path(),
        "the endpoint",
        |round| server.put(slice("steady", &[format!("10.244.1.{}", 10 + round)])),
        |round| {
            let at = format!("10.244.1.{}", 10 + round);
            contains("ipvsadm -Sn", &format!("-r {at}:8080"))?;
            contains("ipset save KUBE-LOOP-BACK", &format!("{at},tcp:8080"))
        },
    );
    // A Service, with virtual servers, set members and an address.
    let name = |round: u8| format!("web-{round}");
    while_one_hangs(
        &mut daemon,
        folder.path(),
        "the Service",
        |round| {
            server.put(service(&name(round), &format!("10.96.1.{}", 10 + round)));
            server.put(slice(&name(round), &["10.244.1.5".to_owned()]));
        },
        |round| {
            let at = format!("10.96.1.{}", 10 + round);
            contains("ipvsadm -Sn", &format!("-a -t {at}:80 -r 10.244.1.5:8080"))?;
            contains("ipset save KUBE-CLUSTER-IP", &format!("{at},tcp:80"))?;
            contains("ip -o -4 address show dev kube-ipvs0", &at)
        },
    );
    // What others remove is mended, but for rules.
    while_one_hangs(
        &mut daemon,
        folder.path(),
        "the virtual server",
        |_| {
            // It may be gone already, in the second round.
            let _ = try_cmd("ipvsadm -d -t 10.96.0.10:80 -r 10.244.1.10:8080");
            let _ = try_cmd("ipvsadm -D -t 10.96.0.10:80");
        },
        |_| contains("ipvsadm -Sn", "-A -t 10.96.0.10:80"),
    );
    // A Service that takes rules of its own comes with them, once they can be had.
    let mut closed = service("closed", "10.96.2.1");
    closed["spec"]["type"] = "LoadBalancer".into();
    closed["spec"]["loadBalancerSourceRanges"] = json!(["192.0.2.0/24"]);
    closed["status"] = json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}});
    server.put(closed);
    server.put(slice("closed", &["10.244.1.5".to_owned()]));
    server.put(slice("steady", &["10.244.1.77".to_owned()]));
    daemon.wait_until("the endpoint beside it", || {
        contains("ipvsadm -Sn", "-a -t 10.96.0.10:80 -r 10.244.1.77:8080")
    });
    assert!(
        !cmd("ipvsadm -Sn").contains("203.0.113.9"),
        "open to everybody"
    );
    let log = setup.log();
    assert!(
        log.contains("rules cannot be read; all else is synced"),
        "{log}"
    );
    fs::remove_file(folder.path().join("hang")).unwrap();
    daemon.wait_until("the Service with source ranges", || {
        contains("ipvsadm -Sn", "-t 203.0.113.9:80")?;
        contains("iptables-legacy -S", "KUBE-LOAD-BALANCER-SOURCE-CIDR")
    });
    // Nothing came twice.
    let rules = cmd("iptables-legacy-save | grep KUBE- | grep '^-A' | sort");
    let unique = cmd("iptables-legacy-save | grep KUBE- | grep '^-A' | sort -u");
    assert_eq!(rules, unique);
}

/// A Service whose rules are there already does not wait for one that needs more of them.
pub(crate) fn a_change_that_hangs_keeps_only_its_own_servers_waiting() {
    cmd(
        "ip link add dummy7 type dummy && ip address add 192.168.10.10/24 dev dummy7 && ip link set dummy7 up",
    );
    let folder = tools();
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1s}\n");
    let setup = setup.tools_in(folder.path());
    let mut daemon = setup.started();
    fs::write(folder.path().join("hang-restore"), "").unwrap();
    let mut open = service("open", "10.96.3.1");
    open["spec"]["type"] = "NodePort".into();
    open["spec"]["ports"][0]["nodePort"] = 30080.into();
    server.put(open);
    server.put(slice("open", &["10.244.1.5".to_owned()]));
    daemon.wait_until("its node port in the set, its cluster IP served", || {
        contains(
            "ipset save KUBE-NODE-PORT-TCP",
            "add KUBE-NODE-PORT-TCP 30080",
        )?;
        contains("ipvsadm -Sn", "-a -t 10.96.3.1:80 -r 10.244.1.5:8080")?;
        contains("ip -o -4 address show dev kube-ipvs0", "10.96.3.1/32")
    });
    // While the tool hangs, one Service after the other.
    for at in ["10.96.3.2", "10.96.3.3"] {
        let name = at.replace('.', "-");
        server.put(service(&name, at));
        server.put(slice(&name, &["10.244.1.5".to_owned()]));
        daemon.wait_until("a Service that comes while it hangs", || {
            contains("ipvsadm -Sn", &format!("-a -t {at}:80 -r 10.244.1.5:8080"))?;
            contains("ip -o -4 address show dev kube-ipvs0", at)
        });
    }
    let servers = cmd("ipvsadm -Sn");
    assert!(
        !servers.contains(":30080"),
        "without masquerading: {servers}"
    );
    fs::remove_file(folder.path().join("hang-restore")).unwrap();
    daemon.wait_until("the node port", || {
        contains(
            "ipvsadm -Sn",
            "-a -t 192.168.10.10:30080 -r 10.244.1.5:8080",
        )?;
        contains(
            "iptables-legacy -t nat -S KUBE-NODE-PORT",
            "KUBE-NODE-PORT-TCP",
        )
    });
}

/// The daemon ends and starts again, while the tools hang: what it left is taken over, and followed.
pub(crate) fn tools_that_hang_at_a_restart_keep_only_their_rules_waiting() {
    cmd(
        "ip link add dummy7 type dummy && ip address add 192.168.10.10/24 dev dummy7 && ip link set dummy7 up",
    );
    let folder = tools();
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1h}\n");
    let setup = setup.tools_in(folder.path());
    let (status, _) = setup.started().stop(Signal::SIGTERM);
    assert!(status.success());
    let rules = cmd("iptables-legacy-save | grep '^[-:]' | sed 's/ \\[.*//' | sort");

    fs::write(folder.path().join("hang"), "").unwrap();
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    server.put(service("web", "10.96.0.20"));
    server.put(slice("web", &["10.244.1.5".to_owned()]));
    let mut open = service("open", "10.96.0.30");
    open["spec"]["type"] = "NodePort".into();
    open["spec"]["ports"][0]["nodePort"] = 30080.into();
    server.put(open);
    server.put(slice("open", &["10.244.1.5".to_owned()]));
    let mut daemon = setup.started();
    daemon.wait_until("an endpoint, and Services that have their rules", || {
        for at in [
            "-a -t 10.96.0.10:80 -r 10.244.1.6:8080",
            "-a -t 10.96.0.20:80 -r 10.244.1.5:8080",
            "-a -t 10.96.0.30:80 -r 10.244.1.5:8080",
        ] {
            contains("ipvsadm -Sn", at)?;
        }
        contains("ipset save KUBE-CLUSTER-IP", "10.96.0.20,tcp:80")?;
        contains("ip -o -4 address show dev kube-ipvs0", "10.96.0.20/32")
    });
    assert!(hanging(folder.path()).is_some());
    // The virtual server of a node port waits for its rules.
    let servers = cmd("ipvsadm -Sn");
    assert!(!servers.contains(":30080"), "{servers}");
    assert_eq!(
        cmd("iptables-legacy-save | grep '^[-:]' | sed 's/ \\[.*//' | sort"),
        rules
    );
    fs::remove_file(folder.path().join("hang")).unwrap();
    let answers = Instant::now();
    daemon.wait_until("the node port with its rules", || {
        contains("iptables-legacy -t nat -S", "KUBE-NODE-PORT-TCP")?;
        contains(
            "ipvsadm -Sn",
            "-a -t 192.168.10.10:30080 -r 10.244.1.5:8080",
        )
    });
    println!(
        "rules came {:?} after the tools were repaired",
        answers.elapsed()
    );
    let double = cmd("iptables-legacy-save | grep KUBE- | grep '^-A' | sort | uniq -d");
    assert_eq!(double, "");
}

/// On a machine where nothing is yet, and whose tools do not even tell their version.
pub(crate) fn tools_that_hang_at_the_first_start_do_not_end_the_daemon() {
    let folder = tools();
    for name in ["hang", "hang-version"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1h}\n");
    let setup = setup.tools_in(folder.path());
    let mut daemon = setup.started();
    daemon.wait_until("sets, the link and settings", || {
        contains("ipset save KUBE-CLUSTER-IP", "10.96.0.10,tcp:80")?;
        contains("ip -o link show dev kube-ipvs0", "kube-ipvs0")?;
        contains("cat /proc/sys/net/ipv4/vs/conntrack", "1")
    });
    assert!(hanging(folder.path()).is_some());
    // No rule protects the node's own ports yet, so no address is bound.
    assert_eq!(cmd("ipvsadm -Sn"), "");
    let log = setup.log();
    assert!(
        log.contains("rules cannot be read; all else is synced"),
        "{log}"
    );
    for name in ["hang", "hang-version"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let answers = Instant::now();
    daemon.wait_until("everything", || {
        contains("ipvsadm -Sn", "-a -t 10.96.0.10:80 -r 10.244.1.5:8080")?;
        contains("iptables-legacy -t nat -S", "KUBE-CLUSTER-IP")
    });
    println!(
        "all came {:?} after the tools were repaired",
        answers.elapsed()
    );
}
