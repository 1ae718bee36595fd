//! The flags of the command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser};

use super::commands::Command;
use super::conntrack::ConntrackFlags;
use super::unused::UnusedFlags;
use crate::config::LogFormat;
use crate::layout::LayoutChoice;

/// The node daemon that makes Kubernetes Services out of IPVS, in the place of kube-proxy.
///
/// Takes kube-proxy's configuration file and flags, serves its ports and metrics, and programs what its ipvs
/// mode does, or its iptables mode. With --config, flags that a field of the file stands for are ignored, as in kube-proxy; the help
/// marks them. SIGTERM and SIGINT end it and leave in place what is programmed.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "kube-proxier",
    version,
    max_term_width = 100,
    args_override_self = true,
    after_help = "Examples:\n  \
        kube-proxier --config=/var/lib/kube-proxy/config.conf\n  \
        kube-proxier --kubeconfig=/etc/kubernetes/proxy.conf --cluster-cidr=10.244.0.0/16\n  \
        kube-proxier doctor --config=/var/lib/kube-proxy/config.conf\n  \
        kube-proxier explain 10.96.0.10:53/udp --config=/var/lib/kube-proxy/config.conf\n  \
        kube-proxier top --config=/var/lib/kube-proxy/config.conf\n  \
        kube-proxier --cleanup\n\n\
        Durations are written as in Go: 500ms, 30s, 1h15m. Yes-or-no flags may stand alone\n\
        (--masquerade-all) or with their value (--masquerade-all=false). kube-proxy's other flags\n\
        (--kube-api-qps, --logtostderr, --udp-timeout, …) are accepted without effect,\n\
        and logged.\n\n\
        Exit status: 0, done, or ended by a signal; 1, it cannot run, or something could not be done;\n\
        2, the command line or the configuration is wrong. `kube-proxier doctor` shows why it cannot run."
)]
pub struct Flags {
    /// What to do instead of running the daemon.
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub(super) process: ProcessFlags,
    #[command(flatten)]
    pub(super) api: ApiFlags,
    #[command(flatten)]
    pub(super) proxy: ProxyFlags,
    #[command(flatten)]
    pub(super) iptables: IptablesFlags,
    #[command(flatten)]
    pub(super) ipvs: IpvsFlags,
    #[command(flatten)]
    pub(super) conntrack: ConntrackFlags,
    #[command(flatten)]
    pub(super) servers: ServerFlags,
    #[command(flatten)]
    pub(super) logs: LogFlags,
    #[command(flatten)]
    pub(super) unused: UnusedFlags,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Running")]
pub(super) struct ProcessFlags {
    /// Read this KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), and follow its changes: it is read
    /// again every 3s [default: none].
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Remove all that is the proxy's from this machine's kernel, and exit; stop the daemon first [default: false].
    #[arg(long, alias = "cleanup-iptables", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) cleanup: Option<bool>,

    /// Load IPVS, write the kernel settings, make the link kube-ipvs0, and exit; after that CAP_NET_ADMIN and
    /// CAP_NET_RAW are enough to run [default: false].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) init_only: Option<bool>,

    /// Write the configuration that would be followed to this file, as YAML, defaults included, and exit
    /// [default: none].
    #[arg(long, value_name = "FILE")]
    pub(super) write_config_to: Option<PathBuf>,

    /// Which kernel state to program: current, the chains and sets of kube-proxy v1.36; classic, those of v1.20 and
    /// before; nftables, a table of nf_tables and routing by mark, without iptables and ipset; or auto: current
    /// where its tools or its state are there, else nftables. Overrules the field ipvs.layout [default: auto].
    #[arg(long, value_enum, hide_possible_values = true, value_name = "NAME")]
    pub(super) layout: Option<LayoutChoice>,

    /// Remove virtual servers that are not recognized as this proxy's, as kube-proxy does, unless ipvs.excludeCIDRs has
    /// their addresses [default: false].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) remove_foreign_servers: Option<bool>,

    /// Show the traffic of so many Service ports one by one in /metrics, ten series each. Where there are more, those with
    /// traffic are shown, and what is left is summed up [default: 200].
    #[arg(long, value_name = "NUMBER")]
    pub(super) service_metrics_limit: Option<usize>,

    /// The name of this machine's Node [default: the host name].
    #[arg(long, value_name = "NAME")]
    pub(super) hostname_override: Option<String>,

    /// How readily the kernel is to kill this process when memory runs out, from -1000 to 1000 [default: -999].
    /// Ignored with --config.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub(super) oom_score_adj: Option<i64>,

    /// Features to switch on and off, as A=true,B=false; repeatable [default: none]. Any name is taken, none
    /// changes anything: SupportIPVSProxyMode is always on. Ignored with --config.
    #[arg(long, value_name = "NAME=BOOL,…", value_delimiter = ',', value_parser = gate, action = ArgAction::Append)]
    pub(super) feature_gates: Vec<(String, bool)>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Kubernetes API")]
pub(super) struct ApiFlags {
    /// How to reach the API, and as whom [default: the service account of the pod that this runs in, unless there is
    /// a --master]. Ignored with --config.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<String>,

    /// The URL of the API server, which overrides the kubeconfig's [default: the kubeconfig's]. Without a kubeconfig
    /// requests carry no credentials, not even those of a service account.
    #[arg(long, value_name = "URL")]
    pub(super) master: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Services (ignored with --config)")]
pub(super) struct ProxyFlags {
    /// The proxy mode: ipvs, or iptables, which also stands in where ipvs cannot run [default: the environment's
    /// KUBE_PROXY_MODE, else its KUBEPROXY_MODE, else ipvs].
    #[arg(long, value_name = "MODE")]
    pub(super) proxy_mode: Option<String>,

    /// The networks of the cluster's pods, one of each family: what comes from elsewhere to a cluster IP is
    /// masqueraded [default: none].
    #[arg(long, value_name = "CIDR[,CIDR]")]
    pub(super) cluster_cidr: Option<String>,

    /// How traffic from this node's own pods is recognized: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix
    /// [default: ClusterCIDR].
    #[arg(long, value_name = "WAY")]
    pub(super) detect_local_mode: Option<String>,

    /// The bridge of this node's pods, for BridgeInterface [default: none].
    #[arg(long, value_name = "LINK")]
    pub(super) pod_bridge_interface: Option<String>,

    /// How the names of the links of this node's pods begin, for InterfaceNamePrefix [default: none].
    #[arg(long, value_name = "PREFIX")]
    pub(super) pod_interface_name_prefix: Option<String>,

    /// Masquerade all that goes to cluster IPs [default: false].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) masquerade_all: Option<bool>,

    /// Which bit of the packet mark asks for masquerading, from 0 to 31 [default: 14].
    #[arg(long, value_name = "BIT", allow_negative_numbers = true)]
    pub(super) iptables_masquerade_bit: Option<i64>,

    /// Serve node ports on the node's addresses inside these networks, or on the Node's own with primary; repeatable
    /// [default: on all].
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',', action = ArgAction::Append)]
    pub(super) nodeport_addresses: Vec<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Iptables mode (ignored with --config)")]
pub(super) struct IptablesFlags {
    /// Serve node ports at IPv4 loopback addresses of the node too: in iptables mode unless this is false, in layout nftables of ipvs
    /// mode if this is true. It sets route_localnet=1, and a rule keeps packets from elsewhere away from these addresses
    /// [default: true in iptables mode, else false].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) iptables_localhost_nodeports: Option<bool>,

    /// How often everything is compared with the kernel in iptables mode, to repair what others changed: a duration over 0
    /// [default: 30s].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) iptables_sync_period: Option<String>,

    /// The shortest time between two syncs in iptables mode, during which changes are gathered, but for the first one after
    /// twice this time without any: a duration up to the sync period [default: 1s].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) iptables_min_sync_period: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "IPVS (ignored with --config)")]
pub(super) struct IpvsFlags {
    /// The scheduler of every virtual server: rr, wrr, lc, wlc, sh, mh, … [default: rr].
    #[arg(long, value_name = "NAME")]
    pub(super) ipvs_scheduler: Option<String>,

    /// How often everything is compared with the kernel, to repair what others changed: a duration over 0
    /// [default: 30s].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) ipvs_sync_period: Option<String>,

    /// The shortest time between two syncs, during which changes are gathered, but for the first one after twice this time
    /// without any: a duration up to the sync period [default: 1s].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) ipvs_min_sync_period: Option<String>,

    /// Never remove virtual servers at addresses in these networks. Others are removed if they are this proxy's and no
    /// Service wants them, or with --remove-foreign-servers. Repeatable [default: none].
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',', action = ArgAction::Append)]
    pub(super) ipvs_exclude_cidrs: Vec<String>,

    /// Answer ARP only for addresses of the link asked on (arp_ignore=1, arp_announce=2) [default: false].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) ipvs_strict_arp: Option<bool>,

    /// How long IPVS keeps an idle TCP connection: a duration, in whole seconds [default: 0s: the kernel's setting].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) ipvs_tcp_timeout: Option<String>,

    /// The same after a FIN: a duration, in whole seconds [default: 0s: the kernel's setting].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) ipvs_tcpfin_timeout: Option<String>,

    /// The same for UDP: a duration, in whole seconds [default: 0s: the kernel's setting].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) ipvs_udp_timeout: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Health and metrics (ignored with --config)")]
pub(super) struct ServerFlags {
    /// Serve /healthz and /livez on this address. An empty one turns them off; the default port is 10256
    /// [default: 0.0.0.0:10256].
    #[arg(long, value_name = "IP[:PORT]")]
    pub(super) healthz_bind_address: Option<String>,

    /// Serve /metrics and /proxyMode on this address. An empty one turns them off; the default port is 10249
    /// [default: 127.0.0.1:10249].
    #[arg(long, value_name = "IP[:PORT]")]
    pub(super) metrics_bind_address: Option<String>,

    /// The family of the two addresses above if they are not set: with an IPv6 address here they are [::] and [::1]
    /// [default: 0.0.0.0]. The node's own addresses are those of its Node object.
    #[arg(long, value_name = "IP")]
    pub(super) bind_address: Option<String>,

    /// The port of --healthz-bind-address where that has none; 0 for no server [default: none].
    #[arg(long, hide = true, value_name = "PORT")]
    pub(super) healthz_port: Option<u16>,

    /// The port of --metrics-bind-address where that has none; 0 for no server [default: none].
    #[arg(long, hide = true, value_name = "PORT")]
    pub(super) metrics_port: Option<u16>,

    /// Exit if one of these addresses cannot be served on, instead of trying again every 5s [default: false].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) bind_address_hard_fail: Option<bool>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Logs")]
pub(super) struct LogFlags {
    /// How much is logged: 0 to 3, events; 4 and 5, every step of every sync; 6 and more, the libraries' steps
    /// too. RUST_LOG, if set, wins [default: 0].
    #[arg(short, long = "v", value_name = "LEVEL")]
    pub(super) v: Option<u32>,

    /// The form of log lines, on stderr: text or json [default: text].
    #[arg(long, visible_alias = "log-format", value_name = "FORM", value_parser = log_format)]
    pub(super) logging_format: Option<LogFormat>,
}

/// Parses what Go's `strconv.ParseBool` accepts.
pub(super) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false is wanted".to_owned()),
    }
}

fn gate(text: &str) -> Result<(String, bool), String> {
    if text.trim().is_empty() {
        // As Go has it: no features.
        return Ok((String::new(), false));
    }
    let (name, on) = text
        .split_once('=')
        .ok_or("NAME=true or NAME=false is wanted")?;
    Ok((name.trim().to_owned(), go_bool(on.trim())?))
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json is wanted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::super::tests::read;

    /// kube-proxy took these once, and DaemonSets have them still.
    #[test]
    fn flags_of_old_kube_proxies_are_taken() {
        let options =
            read("--resource-container=/kube-proxy --feature-gates= --cleanup-iptables=false")
                .unwrap();
        assert_eq!(options.action, Action::Run);
        assert_eq!(options.warnings, [""; 0]);
        assert!(options.process.feature_gates.is_empty());
        assert_eq!(read("--cleanup-iptables").unwrap().action, Action::Cleanup);
    }
}
