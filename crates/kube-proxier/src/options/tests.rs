use std::time::Duration;

use proxier::{DetectLocal, Layout, NodePortAddresses};

use super::*;
use crate::config::LogFormat;

pub(super) struct Around(&'static [(&'static str, &'static str)]);

impl Surroundings for Around {
    fn variable(&self, name: &str) -> Option<String> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    }

    fn host_name(&self) -> io::Result<String> {
        Ok("Host-1\n".to_owned())
    }
}

pub(super) const NOTHING: Around = Around(&[]);

pub(super) fn flags(line: &str) -> Flags {
    Flags::read(["kube-proxier"].into_iter().chain(line.split_whitespace())).unwrap()
}

pub(super) fn read(line: &str) -> Result<Options, Error> {
    Options::read(flags(line), &NOTHING)
}

/// What is wrong with a command line, in a line each.
fn wrong(line: &str) -> String {
    read(line).unwrap_err().to_string()
}

/// A configuration file that holds this, in a folder of its own.
pub(super) fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.conf");
    write(&path, text);
    (folder, path)
}

/// Writes the fields of a configuration file, after what each begins with.
pub(super) fn write(path: &Path, text: &str) {
    let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    fs::write(path, format!("{head}{text}")).unwrap();
}

#[test]
fn the_command_is_put_together_well() {
    Flags::command()
        .mut_args(|arg| arg.global(true))
        .debug_assert();
}

#[test]
fn help_tells_of_every_flag_with_its_default() {
    let help = Flags::read(["kube-proxier", "--help"])
        .unwrap_err()
        .to_string();
    for flag in [
        "config",
        "proxy-mode",
        "ipvs-scheduler",
        "ipvs-sync-period",
        "ipvs-min-sync-period",
        "ipvs-exclude-cidrs",
        "ipvs-strict-arp",
        "ipvs-tcp-timeout",
        "ipvs-tcpfin-timeout",
        "ipvs-udp-timeout",
        "conntrack-max-per-core",
        "conntrack-min",
        "conntrack-tcp-timeout-established",
        "conntrack-tcp-timeout-close-wait",
        "conntrack-tcp-be-liberal",
        "conntrack-udp-timeout",
        "conntrack-udp-timeout-stream",
        "masquerade-all",
        "cluster-cidr",
        "iptables-masquerade-bit",
        "iptables-localhost-nodeports",
        "iptables-sync-period",
        "iptables-min-sync-period",
        "nodeport-addresses",
        "hostname-override",
        "kubeconfig",
        "master",
        "healthz-bind-address",
        "metrics-bind-address",
        "bind-address",
        "detect-local-mode",
        "feature-gates",
        "init-only",
        "cleanup",
        "write-config-to",
        "layout",
        "remove-foreign-servers",
        "v",
        "logging-format",
    ] {
        let line = help
            .find(&format!("      --{flag}"))
            .or_else(|| help.find(&format!("  -v, --{flag}")))
            .expect(flag);
        let entry: String = help[line..].split("\n\n").take(1).collect();
        assert!(entry.contains("[default:"), "--{flag}: {entry}");
    }
}

#[test]
fn no_flags_are_kube_proxys_defaults() {
    let options = read("").unwrap();
    assert_eq!(options.action, Action::Run);
    assert_eq!(options.config, Config::default());
    assert_eq!(options.process, Process::default());
    assert_eq!(&*options.node_name, "host-1");
    assert_eq!(options.warnings, [""; 0]);
    assert!(
        options
            .notes
            .iter()
            .any(|note| note.contains("this is ipvs"))
    );
}

#[test]
fn flags_are_written_as_gos() {
    for (line, strict, all) in [
        ("--ipvs-strict-arp", true, false),
        ("--ipvs-strict-arp=true --masquerade-all", true, true),
        ("--ipvs_strict_arp=1 --masquerade-all=false", true, false),
        ("--masquerade-all --masquerade-all=F", false, false),
    ] {
        let config = read(line).unwrap().config;
        assert_eq!(
            (config.strict_arp, config.masquerade_all),
            (strict, all),
            "{line}"
        );
    }
    for line in ["-v 2", "-v=2", "-v2", "--v=2", "--v 2"] {
        assert_eq!(read(line).unwrap().process.logging.verbosity, 2, "{line}");
    }
    let gates =
        read("--feature-gates=A=true,B=false --feature-gates SupportIPVSProxyMode=true").unwrap();
    assert_eq!(gates.process.feature_gates.len(), 3);
    assert_eq!(gates.process.feature_gates.get("B"), Some(&false));
    assert_eq!(gates.warnings, [""; 0]);
}

#[test]
fn every_flag_is_heeded() {
    let options = read(
        "--proxy-mode=ipvs --ipvs-scheduler=wrr --ipvs-sync-period=1h15m --ipvs-min-sync-period 500ms \
         --ipvs-exclude-cidrs=10.9.0.0/16,10.8.0.0/16 --ipvs-exclude-cidrs=10.7.0.0/16 --ipvs-tcp-timeout=15m \
         --ipvs-tcpfin-timeout=60s --ipvs-udp-timeout=5s --cluster-cidr=10.244.0.0/16,fd00::/56 \
         --iptables-masquerade-bit=3 --nodeport-addresses=primary --hostname-override=Node-7 --kubeconfig=/k \
         --master=http://127.0.0.1:8080 --healthz-bind-address=127.0.0.1 --metrics-bind-address= \
         --oom-score-adj=-5 --layout=classic --log-format=json --bind-address-hard-fail",
    )
    .unwrap();
    let (config, process) = (options.config, options.process);
    assert_eq!(config.scheduler.to_string(), "wrr");
    assert_eq!(config.sync_period, Duration::from_secs(4500));
    assert_eq!(config.min_sync_period, Duration::from_millis(500));
    assert_eq!(config.exclude_cidrs.len(), 3);
    assert_eq!(
        (
            config.timeouts.tcp,
            config.timeouts.tcp_fin,
            config.timeouts.udp
        ),
        (900, 60, 5)
    );
    assert!(
        matches!(&config.detect_local, DetectLocal::ClusterCidr(networks) if networks.len() == 2)
    );
    assert_eq!(config.masquerade_mark(), 8);
    assert_eq!(config.node_port_addresses, NodePortAddresses::Primary);
    assert_eq!(config.layout, Layout::Classic);
    assert_eq!(&*options.node_name, "node-7");
    assert_eq!(options.master.as_deref(), Some("http://127.0.0.1:8080"));
    assert_eq!(process.kubeconfig.as_deref(), Some("/k"));
    assert_eq!(
        process.healthz_bind_address,
        Some("127.0.0.1:10256".parse().unwrap())
    );
    assert_eq!(process.metrics_bind_address, None);
    assert_eq!(
        (process.oom_score_adj, process.bind_address_hard_fail),
        (-5, true)
    );
    assert_eq!(process.logging.format, LogFormat::Json);
    let bridge = read("--detect-local-mode=BridgeInterface --pod-bridge-interface=cbr0").unwrap();
    assert_eq!(
        bridge.config.detect_local,
        DetectLocal::BridgeInterface("cbr0".into())
    );
    let prefix =
        read("--detect-local-mode=InterfaceNamePrefix --pod-interface-name-prefix=veth").unwrap();
    assert_eq!(
        prefix.config.detect_local,
        DetectLocal::InterfaceNamePrefix("veth".into())
    );
}

#[test]
fn all_that_is_wrong_is_said_by_the_flags_names() {
    assert_eq!(
        wrong(
            "--proxy-mode=userspace --ipvs-sync-period=1s --ipvs-min-sync-period=2s --ipvs-tcp-timeout=-1s \
             --iptables-masquerade-bit=32 --nodeport-addresses=10.0.0.0/8,x --healthz-bind-address=here"
        )
        .lines()
        .map(|line| line.split(": ").nth(1).unwrap())
        .collect::<Vec<_>>(),
        [
            "--healthz-bind-address",
            "--iptables-masquerade-bit",
            "--ipvs-min-sync-period",
            "--ipvs-tcp-timeout",
            "--proxy-mode",
            "--nodeport-addresses",
        ]
    );
    assert!(wrong("--layout=classic --iptables-masquerade-bit=15").contains("15 is the bit"));
    assert!(Flags::read(["kube-proxier", "--ipvs-schedular=rr"]).is_err());
}

#[test]
fn iptables_mode_is_asked_for_by_its_name() {
    let options = read("--proxy-mode=iptables").unwrap();
    assert_eq!(options.config.layout, Layout::Iptables);
    assert_eq!(options.effective()["mode"], "iptables");
    // A layout is one of ipvs mode.
    let options = read("--proxy-mode=iptables --layout=classic").unwrap();
    assert_eq!(options.config.layout, Layout::Iptables);
    assert_eq!(read("").unwrap().effective()["mode"], "ipvs");
}

/// As kube-proxy has them: each mode has its own periods, and the rest is for both.
#[test]
fn flags_of_iptables_mode_are_heeded_in_that_mode() {
    let flags = "--iptables-localhost-nodeports=false --iptables-sync-period=1m --iptables-min-sync-period=3s \
                 --ipvs-sync-period=50s --ipvs-min-sync-period=2s --iptables-masquerade-bit=3 --masquerade-all";
    let of = |mode: &str| read(&format!("--proxy-mode={mode} {flags}")).unwrap();
    for (mode, periods) in [("iptables", [60, 3]), ("ipvs", [50, 2])] {
        let config = of(mode).config;
        assert_eq!(config.layout.proxy_mode(), mode);
        let found = [config.sync_period, config.min_sync_period];
        assert_eq!(found, periods.map(Duration::from_secs), "{mode}");
        // Also where iptables mode stands in.
        assert_eq!(config.localhost_node_ports, Some(false), "{mode}");
        assert!(config.masquerade_all && config.masquerade_mark() == 8);
    }
    let effective = of("iptables").effective();
    assert_eq!(effective["iptables"]["syncPeriod"], "1m");
    assert_eq!(effective["iptables"]["minSyncPeriod"], "3s");
    assert_eq!(effective["iptables"]["localhostNodePorts"], false);
    assert_eq!(of("iptables").notes, [""; 0]);
    assert_eq!(
        of("ipvs").notes,
        [
            "the command line: without effect in ipvs mode: --iptables-sync-period, --iptables-min-sync-period"
        ]
    );
    // In ipvs mode it matters whether it was asked for.
    for (flags, asked) in [("", None), ("--iptables-localhost-nodeports", Some(true))] {
        let read = read(flags).unwrap();
        assert_eq!(read.config.localhost_node_ports, asked);
        let effective = &read.effective()["iptables"]["localhostNodePorts"];
        assert_eq!(*effective, serde_json::json!(asked));
    }
    // Said where it has none.
    for (flags, said) in [
        ("--layout=current", 1),
        ("--layout=classic", 1),
        ("--layout=auto", 0),
        ("--layout=nftables", 0),
        ("--proxy-mode=iptables", 0),
    ] {
        let notes = |asked| {
            let read = read(&format!("{flags} --iptables-localhost-nodeports={asked}")).unwrap();
            let about = read
                .notes
                .iter()
                .filter(|note| note.contains("localhostNodePorts"));
            about.count()
        };
        assert_eq!((notes(true), notes(false)), (said, 0), "{flags}");
    }
    let refused =
        wrong("--proxy-mode=iptables --iptables-sync-period=1s --iptables-min-sync-period=2s");
    assert!(refused.contains("--iptables-min-sync-period"), "{refused}");
}

#[test]
fn the_environment_sets_the_mode_when_nothing_else_does() {
    let with = |line: &str, around| Options::read(flags(line), &Around(around));
    for name in ["KUBE_PROXY_MODE", "KUBEPROXY_MODE"] {
        let ipvs: &'static [_] = Box::leak(Box::new([(name, "ipvs")]));
        assert_eq!(with("", ipvs).unwrap().notes, [""; 0], "{name}");
        let iptables: &'static [_] = Box::leak(Box::new([(name, "iptables")]));
        let options = with("", iptables).unwrap();
        assert_eq!(options.config.layout, Layout::Iptables, "{name}");
        let other: &'static [_] = Box::leak(Box::new([(name, "userspace")]));
        let error = with("", other).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("userspace"),
            "{error}"
        );
        assert!(with("--proxy-mode=ipvs", other).is_ok(), "{name}");
    }
}

#[test]
fn a_file_overrules_flags_but_those_that_kube_proxy_still_heeds() {
    let (_folder, path) =
        file("ipvs: {scheduler: lc}\nhostnameOverride: from-file\nlogging: {verbosity: 1}\n");
    let line = format!(
        "--config={} --ipvs-scheduler=sh --hostname-override=From-Flag -v=5 --layout=classic --masquerade-all",
        path.display()
    );
    let options = read(&line).unwrap();
    assert_eq!(options.config.scheduler.to_string(), "lc");
    assert!(!options.config.masquerade_all);
    assert_eq!(options.config.layout, Layout::Classic);
    assert_eq!(&*options.node_name, "from-flag");
    assert_eq!(options.process.logging.verbosity, 5);
    assert_eq!(
        options.warnings,
        ["ignored, because --config is given: --masquerade-all, --ipvs-scheduler"]
    );
    let missing = wrong("--config=/does/not/exist");
    assert!(missing.contains("/does/not/exist"), "{missing}");
}

#[test]
fn the_effective_configuration_reads_back_as_itself() {
    for line in [
        "",
        "--ipvs-scheduler=mh --ipvs-sync-period=1h0m5s --ipvs-min-sync-period=1500ms --cluster-cidr=10.0.0.0/8,fd00::/8 \
         --nodeport-addresses=10.0.0.0/8,fd00::/8 --feature-gates=A=true --ipvs-exclude-cidrs=1.0.0.0/8 \
         --hostname-override=n1 --kubeconfig=/k --ipvs-udp-timeout=90s --metrics-bind-address=[::1]:1 -v=3",
        "--detect-local-mode=InterfaceNamePrefix --pod-interface-name-prefix=veth --nodeport-addresses=primary",
    ] {
        let options = read(line).unwrap();
        let (_folder, path) = file("");
        fs::write(&path, options.effective_yaml().unwrap()).unwrap();
        let again = read(&format!("--config={}", path.display())).unwrap();
        assert_eq!(
            (again.config, again.process),
            (options.config, options.process),
            "{line}"
        );
    }
}

#[test]
fn what_to_do_is_told_from_flags() {
    assert_eq!(read("--cleanup").unwrap().action, Action::Cleanup);
    assert_eq!(read("--cleanup=false").unwrap().action, Action::Run);
    assert_eq!(read("--init-only").unwrap().action, Action::InitOnly);
    assert_eq!(
        read("--write-config-to /f").unwrap().action,
        Action::WriteConfig("/f".into())
    );
    let doctor = read("doctor --output=json --ipvs-scheduler=wrr").unwrap();
    assert_eq!(doctor.action, Action::Doctor(DoctorOutput::Json));
    assert_eq!(doctor.config.scheduler.to_string(), "wrr");
    let before = read("--ipvs-scheduler=wrr doctor").unwrap();
    assert_eq!(before.action, Action::Doctor(DoctorOutput::Text));
    assert_eq!(before.config, doctor.config);
    let explain = read("explain 10.0.0.10:53/udp --from 10.244.1.5 --ipvs-scheduler=wrr").unwrap();
    assert_eq!(explain.config, doctor.config);
    let Action::Explain(args) = explain.action else {
        panic!("{:?}", explain.action)
    };
    assert_eq!(args.question.to_string(), "10.0.0.10:53/udp");
    assert_eq!(args.from, Some([10, 244, 1, 5].into()));
    assert_eq!(args.output, DoctorOutput::Text);
}
