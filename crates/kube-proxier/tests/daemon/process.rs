//! How it starts and ends.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kernel_test::{cmd, script, set_sysctl, sysctl, try_cmd};
use nix::sys::signal::Signal;

use crate::api_server::ApiServer;
use crate::cluster::{Churn, slice, steady};
use crate::daemon::{HEALTH, METRICS, Setup, get, metric, path_with, syncs};
use crate::{fallback, hanging};

pub(crate) fn output(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// What the kernel holds of ours, in the words of its tools.
fn state() -> String {
    let rules = ["iptables-legacy-save", "ip6tables-legacy-save"].map(|tool| {
        let lines = cmd(tool);
        let ours = lines.lines().filter(|line| line.contains("KUBE-"));
        ours.map(|line| format!("{line}\n")).collect::<String>()
    });
    let addresses = try_cmd("ip -o address show dev kube-ipvs0").unwrap_or_default();
    [
        cmd("ipvsadm -Sn"),
        cmd("ipset save"),
        rules.concat(),
        addresses,
    ]
    .concat()
}

/// What the log says of the check that comes last.
const LAST_CHECK: &str = "node ports: ";

/// The virtual server by which it is tried whether there is a scheduler.
pub(crate) const TRIAL: &str = "198.51.100.0:20000";

/// By either signal it ends in time, with everything left in place.
pub(crate) fn ends_by_signal_and_leaves_all_in_place() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (mut daemon, mut lines) = setup.start_with_lines(&["--v=4"]);
        // One of the checks makes a virtual server for a moment, to see whether a scheduler is there.
        lines.wait_for(LAST_CHECK);
        // On a busy machine tools may take so long that the first sync is one in part: without its rules no server is made.
        daemon.wait_until("a sync without failures", || {
            match (syncs(), metric("kube_proxier_pending_failures")) {
                (1.0.., Some(0.0)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        let before = state();
        assert!(
            before.contains("-a -t 10.96.0.10:80 -r 10.244.1.5:8080"),
            "{before}"
        );
        let (status, took) = daemon.stop(signal);
        assert!(status.success(), "{signal}: {status}\n{}", lines.rest());
        println!("{signal}: ended after {took:?}");
        assert_eq!(state(), before, "{}", lines.rest());
    }
}

/// Nobody reads what it logs any more: it goes on, and ends in good order.
pub(crate) fn a_broken_stderr_does_not_end_it() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms}\n");
    let mut daemon = setup.start_with_broken_stderr();
    for endpoint in ["10.244.1.6", "10.244.1.7", "10.244.1.8"] {
        server.put(slice("steady", &[endpoint.to_owned()]));
        daemon.wait_until(endpoint, || {
            let held = cmd("ipvsadm -Sn");
            let there = held.contains(&format!("-t 10.96.0.10:80 -r {endpoint}:8080"));
            there.then_some(()).ok_or(held)
        });
    }
    let (status, _) = daemon.stop(Signal::SIGTERM);
    assert!(status.success(), "{status}");
}

/// At whatever moment it is told to end, it ends in order, with its threads.
pub(crate) fn ends_in_order(times: u32) {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let churn = Churn::start(&server, 200, 7);
    churn.go_on();
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 1ms, syncPeriod: 100ms}\n");
    for time in 0..times {
        let daemon = setup.started();
        std::thread::sleep(Duration::from_millis(u64::from(time * 37 % 250)));
        let (status, _) = daemon.stop(Signal::SIGTERM);
        assert!(status.success(), "{status}\n{}", setup.log());
        let left = cmd("ipvsadm -Sn");
        assert!(!left.contains(TRIAL), "{left}");
        // What the stand-in remembers of 200 changes a second would fill the guest's memory.
        server.compact();
        server.forget_requests();
    }
    let log = setup.log();
    assert!(!log.contains("panic"), "{log}");
    assert_eq!(log.matches("SIGTERM: ending").count(), times as usize);
}

/// Those that decide come before it serves.
pub(crate) fn serves_before_the_checks_that_only_warn() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "").flag("--v=4");
    let mut daemon = setup.started();
    let log = daemon.wait_until("the last check", || {
        let log = setup.log();
        match log.contains(LAST_CHECK) {
            true => Ok(log),
            false => Err(log),
        }
    });
    let order = [
        "module ip_vs: ",
        "Using ipvs Proxier.",
        " synced ",
        "iptables: ",
        LAST_CHECK,
    ];
    let places = order.map(|text| log.find(text).ok_or(text));
    assert!(places.iter().all(Result::is_ok), "{places:?}: {log}");
    assert!(places.is_sorted(), "{places:?}: {log}");
}

/// The program that the kernel runs to load a module, which it runs again once this is dropped: the kernel has one for all tests.
struct Modprobe(String);

impl Modprobe {
    fn replaced_by(program: &Path) -> Self {
        let usual = sysctl("kernel.modprobe");
        set_sysctl("kernel.modprobe", &program.display().to_string());
        Self(usual)
    }
}

impl Drop for Modprobe {
    fn drop(&mut self) {
        let _ = fs::write("/proc/sys/kernel/modprobe", &self.0);
    }
}

/// How the names of modules of sets, rules and schedulers begin.
const OF_SETS_AND_RULES: [&str; 5] = ["ip_set_", "xt_", "ipt_", "ip6t_", "ip_vs_"];

/// Which back end the rules are in is seen without running the tools of both: before the first sync is over, the version is asked
/// once, and each family's rules are read and written once. Nor does the kernel have to run `modprobe` for each module of sets,
/// rules and schedulers, none of which is loaded yet.
pub(crate) fn a_start_runs_few_programs() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    for (flavour, multi) in [
        ("legacy", "xtables-legacy-multi"),
        ("nft", "xtables-nft-multi"),
    ] {
        let real = fs::canonicalize(format!("/usr/sbin/{multi}")).unwrap();
        // Only bash runs a program under another name.
        let text = format!(
            "exec bash -c 'echo \"${{0##*/}} $1\" >> {}; exec -a \"$0\" {} \"$@\"' \"$0\" \"$@\"\n",
            runs.display(),
            real.display()
        );
        let multi = folder.path().join(multi);
        script(&multi, &text);
        for tool in ["iptables", "ip6tables"] {
            for end in ["", "-save", "-restore"] {
                symlink(&multi, folder.path().join(format!("{tool}-{flavour}{end}"))).unwrap();
                if flavour == "nft" {
                    symlink(&multi, folder.path().join(format!("{tool}{end}"))).unwrap();
                }
            }
        }
    }
    let asked = folder.path().join("asked");
    let modprobe = folder.path().join("modprobe");
    let text = format!(
        "echo \"$*\" >> {}\nexec /sbin/modprobe \"$@\"\n",
        asked.display()
    );
    script(&modprobe, &text);
    fs::write(&asked, "").unwrap();
    fallback::unload(&OF_SETS_AND_RULES);
    let usual = Modprobe::replaced_by(&modprobe);
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "").tools_in(folder.path());
    let (mut daemon, mut lines) = setup.start_with_lines(&[]);
    lines.wait_for(" synced ");
    drop(usual);
    let said = fs::read_to_string(&asked).unwrap();
    println!("modprobe was run with:\n{said}");
    let by_the_kernel = said.lines().filter_map(|line| line.strip_prefix("-q -- "));
    let of_sets_and_rules = by_the_kernel.filter(|alias| {
        OF_SETS_AND_RULES
            .iter()
            .any(|start| alias.starts_with(start))
    });
    assert_eq!(of_sets_and_rules.collect::<Vec<_>>(), [""; 0]);
    // Then the other checks come, which look into both back ends.
    daemon.wait_until("programs", || {
        let said = fs::read_to_string(&runs).unwrap();
        (said.lines().count() >= 5).then_some(()).ok_or(said)
    });
    let said = fs::read_to_string(&runs).unwrap();
    let mut first: Vec<_> = said.lines().take(5).map(str::trim).collect();
    let version = first.remove(0);
    assert!(version.ends_with("tables-legacy -V"), "{said}");
    first.sort_unstable();
    assert_eq!(
        first,
        [
            "ip6tables-legacy-restore --noflush",
            "ip6tables-legacy-save",
            "iptables-legacy-restore --noflush",
            "iptables-legacy-save",
        ],
        "{said}"
    );
}

/// The seed documents' line.
pub(crate) fn says_that_it_runs() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "");
    let _daemon = setup.started();
    assert!(
        setup.log().contains("Using ipvs Proxier."),
        "{}",
        setup.log()
    );
    let log = setup.log();
    for part in [
        "starting version=",
        "node=\"node-a\"",
        "iptables=\"IPv4: 1.",
        "(legacy), IPv6: 1.",
        &server.url(),
        "everything is listed",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert_eq!(get(METRICS, "/proxyMode"), Some((200, "ipvs".to_owned())));
    let (_, config) = get(METRICS, "/configz").unwrap();
    assert!(
        config.contains("\"hostnameOverride\":\"node-a\""),
        "{config}"
    );
    let (_, text) = get(METRICS, "/metrics").unwrap();
    assert!(
        text.contains("\nrest_client_requests_total{code=\"200\""),
        "{text}"
    );
    for path in ["/healthz", "/livez"] {
        let (status, body) = get(HEALTH, path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
    }
}

/// The second one says so, and does nothing.
pub(crate) fn a_second_one_stays_out() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "");
    let first = setup.started();
    let before = state();
    let (status, said) = output(setup.command());
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("another kube-proxier"), "{said}");
    assert_eq!(state(), before);
    // When the first is gone, however it went, there is room.
    first.kill();
    setup.started();
}

/// All that is ours goes, and nothing else.
pub(crate) fn cleans_up() {
    cmd("ipvsadm -A -f 7 -s rr");
    cmd("ipset create SOMEBODY hash:ip");
    cmd("iptables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT");
    let untouched = [cmd("ipvsadm -Sn"), cmd("ipset save"), rules()].concat();
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "");
    let daemon = setup.started();
    let (status, said) = output(cleanup());
    assert_eq!(status, Some(1), "while one runs it would be undone: {said}");
    daemon.stop(Signal::SIGTERM);
    // The machine is busy, or has many rules.
    let tools = hanging::tools();
    fs::write(tools.path().join("slow-save"), "").unwrap();
    let mut slow = cleanup();
    slow.env("PATH", path_with(tools.path()));
    let (status, said) = output(slow);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(state().matches("KUBE").count(), 0, "{}", state());
    assert!(try_cmd("ip link show kube-ipvs0").is_err());
    assert_eq!(
        [cmd("ipvsadm -Sn"), cmd("ipset save"), rules()].concat(),
        untouched
    );
}

/// Where nothing is ours nothing is touched, and nothing is wrong with that.
pub(crate) fn cleans_up_where_nothing_is() {
    let everything = || {
        let commands = [
            "ipvsadm -Sn",
            "ipset save",
            "iptables-legacy-save | grep -v '^#'",
            "ip6tables-legacy-save | grep -v '^#'",
            "ip -o link | cut -d ' ' -f 2-",
            "ip -o address",
        ];
        let settings = ["net.ipv4.ip_forward", "net.ipv4.conf.all.arp_ignore"];
        let settings = settings.map(sysctl).concat();
        commands.map(cmd).concat() + &settings
    };
    let cleaned = || {
        // Tables come to be when they are first looked at.
        let (status, said) = output(cleanup());
        assert_eq!(status, Some(0), "{said}");
    };
    cleaned();
    cmd("ipvsadm -A -t 10.1.2.3:80 -s rr && ipvsadm -a -t 10.1.2.3:80 -r 10.1.2.4 -m");
    cmd("ipvsadm -A -f 7 -s rr");
    cmd("ipset create SOMEBODY hash:ip && ipset add SOMEBODY 10.1.2.3");
    cmd("iptables-legacy -t nat -N KUBE-OF-NOBODY");
    cmd("iptables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT");
    cmd("ip link add dummy7 type dummy && ip address add 10.1.2.3/32 dev dummy7");
    let before = everything();
    cleaned();
    cleaned();
    assert_eq!(everything(), before);
}

fn cleanup() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-proxier"));
    command.arg("--cleanup");
    command
}

fn rules() -> String {
    cmd("iptables-legacy -S")
}

/// What needs all privileges is done, and no Service touched.
pub(crate) fn initializes_only() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let fields = "ipvs: {strictARP: true}\nconntrack: {maxPerCore: 0, tcpEstablishedTimeout: 2h}\n";
    let setup = Setup::new(&server, fields).flag("--init-only");
    let established = "net.netfilter.nf_conntrack_tcp_timeout_established";
    // A second time there is nothing left to do.
    for done in [true, false] {
        let (status, said) = output(setup.command());
        assert_eq!(status, Some(0), "{said}");
        assert_eq!(!said.contains("done=0 "), done, "{said}");
        assert_eq!(sysctl("net.ipv4.ip_forward"), "1");
        assert_eq!(sysctl("net.ipv4.conf.all.arp_ignore"), "1");
        assert_eq!(sysctl(established), "7200");
        assert_eq!(said.contains("was 432000, is 7200"), done, "{said}");
        assert_eq!(cmd("ipvsadm -Sn"), "");
    }
}

/// Before Services, slices and the Node have each been listed nothing is done at all.
pub(crate) fn waits_until_all_is_listed() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    server.hold_lists("/apis/discovery.k8s.io/v1/endpointslices");
    let setup = Setup::new(&server, "");
    let mut daemon = setup.start();
    server.wait_for_watches(2);
    server.wait_until_held();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(state(), "");
    server.release();
    daemon.wait_until("virtual servers", || {
        let servers = cmd("ipvsadm -Sn");
        servers.contains("10.244.1.5").then_some(()).ok_or(servers)
    });
}
