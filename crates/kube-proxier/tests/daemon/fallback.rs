//! Iptables mode stands in for ipvs mode: for each thing that a node can lack, that it does, how it shows, and that ipvs
//! mode is taken once the thing is there, with nothing left of the mode that went.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kernel_test::{cmd, iptables_flavour, modprobe, sysctl, try_cmd};
use nix::sched::{CloneFlags, setns};

use crate::api_server::ApiServer;
use crate::cluster::{STEADY, slice, steady};
use crate::daemon::{Daemon, METRICS, PATIENCE, Setup, get, syncs};
use crate::iptables_mode::{nat, wait, wait_for_mode};

/// What was missing is looked for at every full sync.
const PERIODS: &str = "iptables: {minSyncPeriod: 100ms, syncPeriod: 1s}
ipvs: {minSyncPeriod: 100ms, syncPeriod: 1s}
";
const TO_THE_POD: &str = "--to-destination 10.244.1.5:8080";
/// What the seed documents have users look for.
const FELL_BACK: [&str; 2] = [
    "Can't use ipvs proxier, trying iptables proxier",
    "Using iptables Proxier.",
];

/// The modules of tables that the tools load, as on a node on which a kubelet has run them.
fn load_tables() {
    for tool in ["iptables", "ip6tables"] {
        for table in ["nat", "filter"] {
            cmd(&format!("{tool}-{} -t {table} -S", iptables_flavour()));
        }
    }
}

/// What keeps `modprobe`, also as the kernel runs it, from loading modules.
const FORBIDDEN: &str = "/etc/modprobe.d/hidden-by-test.conf";
/// Where the copy of the list of modules is that lacks some.
const COPY: &str = "/run/modules";

fn is_any(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Unloads the modules whose names begin so. They may be in use by what a test before this one has left: the kernel takes its
/// namespace apart when it has the time.
pub(crate) fn unload(prefixes: &[&str]) {
    let deadline = Instant::now() + PATIENCE * 4;
    loop {
        let modules = fs::read_to_string("/proc/modules").unwrap();
        let names = modules.lines().filter_map(|line| line.split(' ').next());
        let loaded: Vec<_> = names.filter(|name| is_any(name, prefixes)).collect();
        if loaded.is_empty() {
            break;
        }
        // Those that others depend on go in a later round.
        for module in &loaded {
            let _ = try_cmd(&format!("rmmod {module}"));
        }
        assert!(Instant::now() < deadline, "{loaded:?} stay: {modules}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Modules that are not loaded, and that this machine does not have, until this is dropped.
struct Hidden;

impl Hidden {
    /// Those whose names begin so.
    fn unload(prefixes: &[&str]) -> Self {
        load_tables();
        unload(prefixes);
        let is_one = |name: &&str| is_any(name, prefixes);
        let release = sysctl("kernel/osrelease");
        let folder = fs::canonicalize(format!("/lib/modules/{release}")).unwrap();
        let copy = format!("{COPY}/{release}");
        fs::create_dir_all(&copy).unwrap();
        let list = fs::read_to_string(folder.join("modules.dep")).unwrap();
        let (mut kept, mut forbidden) = (String::new(), String::new());
        for line in list.lines() {
            let path = line.split(':').next().unwrap();
            let file = path.rsplit('/').next().unwrap();
            let name = file.split('.').next().unwrap();
            match is_one(&name) {
                true => forbidden += &format!("install {name} /bin/false\n"),
                false => kept += &format!("{line}\n"),
            }
        }
        assert!(!forbidden.is_empty(), "{prefixes:?}");
        fs::write(format!("{copy}/modules.dep"), kept).unwrap();
        fs::write(FORBIDDEN, forbidden).unwrap();
        for file in ["kernel", "modules.builtin", "modules.alias"] {
            let _ = symlink(folder.join(file), format!("{copy}/{file}"));
        }
        cmd(&format!("mount --bind {COPY} /lib/modules"));
        Self
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = try_cmd("umount /lib/modules");
        let _ = fs::remove_file(FORBIDDEN);
    }
}

/// Iptables mode serves, shows why, and nothing of ipvs mode is there. Gives the log.
#[track_caller]
fn stands_in(daemon: &mut Daemon, setup: &Setup, missing: &str) -> String {
    daemon.wait_until("iptables mode", || match nat().contains(TO_THE_POD) {
        true => Ok(()),
        false => Err(setup.log()),
    });
    wait(daemon, &["KUBE-SEP-"], &["KUBE-CLUSTER-IP"]);
    wait_for_mode(daemon, "iptables");
    daemon.wait_until("the reason", || {
        let (_, text) = get(METRICS, "/metrics").unwrap();
        let fallback = text
            .lines()
            .find(|line| line.starts_with("kube_proxier_fallback{"));
        match fallback {
            Some(line) if line.contains(missing) && line.ends_with(" 1") => Ok(()),
            _ => Err(format!("{missing}: {fallback:?}")),
        }
    });
    let log = setup.log();
    for line in FELL_BACK {
        assert!(log.contains(line), "{line}: {log}");
    }
    let warning = log
        .lines()
        .find(|line| line.contains(FELL_BACK[0]))
        .unwrap();
    assert!(
        warning.contains("WARN") && warning.contains(missing),
        "{missing}: {warning}"
    );
    assert!(!log.contains("Using ipvs Proxier."), "{log}");
    assert!(try_cmd("ip link show kube-ipvs0").is_err());
    let sets = try_cmd("ipset list -n").unwrap_or_default();
    assert!(!sets.contains("KUBE-"), "{sets}");
    let servers = fs::read_to_string("/proc/thread-self/net/ip_vs").unwrap_or_default();
    assert!(!servers.contains("TCP"), "{servers}");
    log
}

/// Ipvs mode is taken by the same process, and nothing is left of iptables mode.
#[track_caller]
fn takes_ipvs_mode(daemon: &mut Daemon, setup: &Setup) {
    wait(
        daemon,
        &["KUBE-CLUSTER-IP"],
        &["KUBE-SEP-", "KUBE-SVC-", "KUBE-EXT-"],
    );
    wait_for_mode(daemon, "ipvs");
    serves_by_ipvs(daemon);
    daemon.wait_until("no reason", || {
        let (_, text) = get(METRICS, "/metrics").unwrap();
        match text.contains("kube_proxier_fallback{") {
            false => Ok(()),
            true => Err(text),
        }
    });
    let log = setup.log();
    assert!(log.contains("Using ipvs Proxier."), "{log}");
}

#[track_caller]
fn serves_by_ipvs(daemon: &mut Daemon) {
    let serves = format!("-a -t {STEADY}:80 -r 10.244.1.5:8080 -m -w 1");
    daemon.wait_until("the virtual server", || {
        let servers = cmd("ipvsadm -Sn");
        match servers.contains(&serves) {
            true => Ok(()),
            false => Err(servers),
        }
    });
    // What only iptables mode has in the filter table.
    daemon.wait_until("nothing of iptables mode", || {
        let filter = cmd(&format!("iptables-{}-save -t filter", iptables_flavour()));
        let left = ["KUBE-EXTERNAL-SERVICES", "KUBE-SERVICES"];
        match left.iter().any(|chain| filter.contains(chain)) {
            false => Ok(()),
            true => Err(filter),
        }
    });
    assert_eq!(sysctl("net/ipv4/conf/all/route_localnet"), "0");
}

/// No module `ip_vs`, until an administrator installs it.
pub(crate) fn modules_that_are_missing() {
    let hidden = Hidden::unload(&["xt_ipvs", "ip_vs"]);
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, PERIODS);
    let mut daemon = setup.started();
    let log = stands_in(&mut daemon, &setup, "module ip_vs: absent: ");
    let remedy = log
        .lines()
        .find(|line| line.contains("can't use ipvs proxier, module ip_vs: "));
    assert!(
        remedy.is_some_and(|line| line.contains("modprobe ip_vs")),
        "{log}"
    );
    // What changes meanwhile is followed.
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    wait(
        &mut daemon,
        &["--to-destination 10.244.1.6:8080"],
        &[TO_THE_POD],
    );
    server.put(slice("steady", &["10.244.1.5".to_owned()]));
    wait(&mut daemon, &[TO_THE_POD], &[]);

    drop(hidden);
    // The daemon loads it: the files are enough.
    takes_ipvs_mode(&mut daemon, &setup);
}

/// No module of the scheduler, which the kernel loads by itself once it is installed.
pub(crate) fn a_scheduler_that_is_missing() {
    modprobe("ip_vs");
    let hidden = Hidden::unload(&["ip_vs_"]);
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(
        &server,
        "ipvs: {scheduler: mh, minSyncPeriod: 100ms, syncPeriod: 1s}\n",
    );
    let mut daemon = setup.started();
    stands_in(&mut daemon, &setup, "module ip_vs_mh: absent: ");
    drop(hidden);
    takes_ipvs_mode(&mut daemon, &setup);
    assert!(cmd("ipvsadm -Sn").contains(&format!("-A -t {STEADY}:80 -s mh")));
}

/// No ipset in the kernel. The layout is named: layout nftables needs none, and would be taken where it can be.
pub(crate) fn ipset_that_is_missing() {
    let hidden = Hidden::unload(&["xt_set", "ip_set"]);
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, PERIODS).flag("--layout=current");
    let mut daemon = setup.started();
    let log = stands_in(&mut daemon, &setup, "ipset: ");
    assert!(log.contains("modprobe -a ip_set xt_set"), "{log}");
    drop(hidden);
    takes_ipvs_mode(&mut daemon, &setup);
    let sets = cmd("ipset list -n");
    assert!(sets.contains("KUBE-CLUSTER-IP"), "{sets}");
}

/// A set type that the kernel lacks is as bad as no ipset.
pub(crate) fn a_set_type_that_is_missing() {
    modprobe("ip_set");
    let hidden = Hidden::unload(&["ip_set_hash_ipportnet"]);
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, PERIODS).flag("--layout=current");
    let mut daemon = setup.started();
    stands_in(&mut daemon, &setup, "ipset: set type hash:ip,port,net: ");
    drop(hidden);
    takes_ipvs_mode(&mut daemon, &setup);
}

/// A container that may not load modules, on a node where IPVS is not loaded yet. The daemon does not fall back: the kernel
/// loads IPVS by itself when it is first asked for it.
pub(crate) fn a_capability_to_load_modules_is_not_needed() {
    drop(Hidden::unload(&["xt_ipvs", "ip_vs"]));
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, PERIODS);
    let mut daemon = setup.start_by("setpriv", &["--bounding-set=-sys_module"]);
    daemon.wait_until("its first sync", || {
        (syncs() >= 1.0).then_some(()).ok_or_else(|| setup.log())
    });
    takes_ipvs_mode(&mut daemon, &setup);
    assert!(!setup.log().contains(FELL_BACK[0]), "{}", setup.log());
}

/// A process in a user namespace of its own, whose root may change this network namespace's rules and sets, and not IPVS.
struct Rootless(Child);

impl Rootless {
    /// Moves this process into the network namespace.
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "sh", "-c"]);
        command.args(["ip link set lo up && echo up && exec sleep 3600"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        let net = File::open(format!("/proc/{}/ns/net", child.id())).unwrap();
        setns(net, CloneFlags::CLONE_NEWNET).unwrap();
        Self(child)
    }
}

impl Drop for Rootless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Root of a rootless container. IPVS wants root of the node: such a daemon takes it only after it was started anew, and
/// takes over what the other one left.
pub(crate) fn a_capability_that_is_missing() {
    load_tables();
    modprobe("ip_vs_rr");
    let rootless = Rootless::new();
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    // The limit of connections is the node's.
    let fields = format!("{PERIODS}conntrack: {{maxPerCore: 0}}\n");
    let setup = Setup::new(&server, &fields);
    let target = format!("--user=/proc/{}/ns/user", rootless.0.id());
    let arguments = [&*target, "--preserve-credentials", "--"];
    let mut daemon = setup.start_by("nsenter", &arguments);
    stands_in(&mut daemon, &setup, "IPVS: ");
    assert!(
        setup
            .log()
            .contains("CAP_NET_ADMIN in the initial user namespace"),
        "{}",
        setup.log()
    );
    daemon.kill();
    let mut daemon = setup.started();
    takes_ipvs_mode(&mut daemon, &setup);
}

/// Nothing of all this: it says so and ends.
pub(crate) fn without_net_admin_neither_mode_runs() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, PERIODS);
    let mut daemon = setup.start_by("setpriv", &["--bounding-set=-net_admin"]);
    assert_eq!(daemon.ended().code(), Some(1), "{}", setup.log());
    let log = setup.log();
    for line in [
        "iptables mode cannot stand in for ipvs mode: ",
        "CAP_NET_ADMIN: this process does not have it",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!nat().contains("KUBE-"));
}

/// The configuration file asks for ipvs mode while the daemon runs, on a node that lacks it.
pub(crate) fn while_it_runs() {
    let hidden = Hidden::unload(&["xt_ipvs", "ip_vs"]);
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, &format!("mode: iptables\n{PERIODS}"));
    let mut daemon = setup.started();
    wait(&mut daemon, &[TO_THE_POD], &["KUBE-CLUSTER-IP"]);
    assert!(!setup.log().contains(FELL_BACK[0]), "{}", setup.log());
    let of_metrics = get(METRICS, "/metrics").unwrap().1;
    assert!(
        !of_metrics.contains("kube_proxier_fallback{"),
        "{of_metrics}"
    );

    let missing = PERIODS.replace("ipvs: {", "ipvs: {scheduler: nosuch, ");
    setup.reconfigure(&missing);
    stands_in(&mut daemon, &setup, "module ip_vs: absent: ");
    // Half of what is missing comes: what is still missing shows.
    drop(hidden);
    daemon.wait_until("the other reason", || {
        let log = setup.log();
        let still = log
            .lines()
            .find(|line| line.contains("still stands in for ipvs mode"));
        match still.is_some_and(|line| line.contains("module ip_vs_nosuch: absent: ")) {
            true => Ok(()),
            false => Err(log),
        }
    });
    wait_for_mode(&mut daemon, "iptables");
    // And the rest.
    setup.reconfigure(PERIODS);
    takes_ipvs_mode(&mut daemon, &setup);
}
