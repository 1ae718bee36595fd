//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use proxier::manifest::LogFormat;

/// The node daemon that makes Kubernetes Services out of IPVS, in the place of kube-proxy.
///
/// Takes kube-proxy's configuration file and flags, serves its ports and metrics, and programs what its ipvs
/// mode does. With --config the file says everything, and most flags are ignored, as kube-proxy does it; each
/// flag says so.
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
        kube-proxier --cleanup\n\n\
        Durations are written as in Go: 500ms, 30s, 1h15m. Yes-or-no flags may stand alone\n\
        (--masquerade-all) or with their value (--masquerade-all=false)."
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
    pub(super) ipvs: IpvsFlags,
    #[command(flatten)]
    pub(super) servers: ServerFlags,
    #[command(flatten)]
    pub(super) logs: LogFlags,
}

/// What can be done besides running the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Check whether ipvs mode can run on this machine, and say what to do where it cannot.
    ///
    /// Exit status: 0, it can; 1, it cannot; 2, the configuration is wrong.
    Doctor {
        /// What is printed.
        #[arg(long, value_enum, default_value_t = DoctorOutput::Text, value_name = "FORM")]
        output: DoctorOutput,
    },
}

/// How the doctor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DoctorOutput {
    /// A line for each check, for people.
    Text,
    /// An array of objects.
    Json,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Running")]
pub(super) struct ProcessFlags {
    /// Read this KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), and again when it changes [default: none].
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Remove all that is the proxy's from this machine's kernel, and exit [default: false].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) cleanup: Option<bool>,

    /// Do what needs full root privileges, and exit; after that CAP_NET_ADMIN is enough to run [default: false].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) init_only: Option<bool>,

    /// Write the configuration that would be followed to this file, as YAML, and exit [default: no].
    #[arg(long, value_name = "FILE")]
    pub(super) write_config_to: Option<PathBuf>,

    /// Whose chains and sets are written: `current`, those of kube-proxy v1.36, or `classic`, those of the first
    /// kube-proxies with an ipvs mode.
    #[arg(long, value_enum, default_value_t = LayoutName::Current, hide_possible_values = true)]
    pub(super) layout: LayoutName,

    /// The name of this machine's Node [default: the host name].
    #[arg(long, value_name = "NAME")]
    pub(super) hostname_override: Option<String>,

    /// How readily the kernel is to kill this process when memory runs out, from -1000 to 1000 [default: -999].
    /// Ignored with --config.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub(super) oom_score_adj: Option<i64>,

    /// Features to switch on and off, as `A=true,B=false`; repeatable [default: none]. Any name is taken;
    /// SupportIPVSProxyMode is always on. Ignored with --config.
    #[arg(long, value_name = "NAME=BOOL,…", value_delimiter = ',', value_parser = gate, action = ArgAction::Append)]
    pub(super) feature_gates: Vec<(String, bool)>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Kubernetes API")]
pub(super) struct ApiFlags {
    /// How to reach the API, and as whom [default: as the pod this process runs in]. Ignored with --config.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<String>,

    /// The URL of the API server, over what the kubeconfig says [default: the kubeconfig's].
    #[arg(long, value_name = "URL")]
    pub(super) master: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Services")]
pub(super) struct ProxyFlags {
    /// The proxy mode, which can only be ipvs here [default: ipvs; or the environment's KUBE_PROXY_MODE, else
    /// KUBEPROXY_MODE]. Ignored with --config.
    #[arg(long, value_name = "MODE")]
    pub(super) proxy_mode: Option<String>,

    /// The networks of the cluster's pods, one of each family: what comes from there to a cluster IP is not
    /// masqueraded [default: none]. Ignored with --config.
    #[arg(long, value_name = "CIDR[,CIDR]")]
    pub(super) cluster_cidr: Option<String>,

    /// How traffic of this node's own pods is told: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix
    /// [default: ClusterCIDR]. Ignored with --config.
    #[arg(long, value_name = "WAY")]
    pub(super) detect_local_mode: Option<String>,

    /// The bridge of this node's pods, for BridgeInterface [default: none]. Ignored with --config.
    #[arg(long, value_name = "LINK")]
    pub(super) pod_bridge_interface: Option<String>,

    /// How the names of the links of this node's pods begin, for InterfaceNamePrefix [default: none]. Ignored with
    /// --config.
    #[arg(long, value_name = "PREFIX")]
    pub(super) pod_interface_name_prefix: Option<String>,

    /// Masquerade all that goes to cluster IPs [default: false]. Ignored with --config.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) masquerade_all: Option<bool>,

    /// Which bit of the packet mark asks for masquerading, from 0 to 31 [default: 14]. Ignored with --config.
    #[arg(long, value_name = "BIT", allow_negative_numbers = true)]
    pub(super) iptables_masquerade_bit: Option<i64>,

    /// Serve node ports on the node's addresses inside these networks, or on the Node's own with `primary`
    /// [default: on all]. Ignored with --config.
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',', action = ArgAction::Append)]
    pub(super) nodeport_addresses: Vec<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "IPVS")]
pub(super) struct IpvsFlags {
    /// The scheduler of every virtual server: rr, wrr, lc, wlc, sh, mh, … [default: rr]. Ignored with --config.
    #[arg(long, value_name = "NAME")]
    pub(super) ipvs_scheduler: Option<String>,

    /// How often everything is compared with the kernel, changes or not: a duration over 0 [default: 30s]. Ignored with
    /// --config.
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) ipvs_sync_period: Option<String>,

    /// How long changes are gathered at the least: a duration up to the sync period [default: 1s]. Ignored with
    /// --config.
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) ipvs_min_sync_period: Option<String>,

    /// Leave virtual servers in these networks alone unless a Service wants them [default: none]. Ignored with
    /// --config.
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',', action = ArgAction::Append)]
    pub(super) ipvs_exclude_cidrs: Vec<String>,

    /// Answer ARP only for addresses of the link asked on (arp_ignore=1, arp_announce=2) [default: false]. Ignored
    /// with --config.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) ipvs_strict_arp: Option<bool>,

    /// When an idle TCP connection is forgotten: a duration, in whole seconds [default: 0s, the kernel's own]. Ignored
    /// with --config.
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) ipvs_tcp_timeout: Option<String>,

    /// The same after a FIN [default: 0s, the kernel's own]. Ignored with --config.
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) ipvs_tcpfin_timeout: Option<String>,

    /// The same for UDP [default: 0s, the kernel's own]. Ignored with --config.
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) ipvs_udp_timeout: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Health and metrics")]
pub(super) struct ServerFlags {
    /// Serve /healthz and /livez on this address; empty for not at all [default: 0.0.0.0:10256]. Ignored with --config.
    #[arg(long, value_name = "IP[:PORT]")]
    pub(super) healthz_bind_address: Option<String>,

    /// Serve /metrics and /proxyMode on this address; empty for not at all [default: 127.0.0.1:10249]. Ignored with
    /// --config.
    #[arg(long, value_name = "IP[:PORT]")]
    pub(super) metrics_bind_address: Option<String>,

    /// End when one of them cannot be served on [default: false]. Ignored with --config.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    pub(super) bind_address_hard_fail: Option<bool>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Logs")]
pub(super) struct LogFlags {
    /// How much is logged: 0 to 3 what happens, 4 and 5 in detail, from 6 on
    /// everything, of libraries too. RUST_LOG, if set, wins [default: 0].
    #[arg(short, long = "v", value_name = "LEVEL")]
    pub(super) v: Option<u32>,

    /// The form of log lines, on stderr: text or json [default: text].
    #[arg(long, visible_alias = "log-format", value_name = "FORM", value_parser = log_format)]
    pub(super) logging_format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LayoutName {
    #[default]
    Current,
    Classic,
}

impl From<LayoutName> for proxier::Layout {
    fn from(layout: LayoutName) -> Self {
        match layout {
            LayoutName::Current => Self::Current,
            LayoutName::Classic => Self::Classic,
        }
    }
}

/// What Go's `strconv.ParseBool` takes.
fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false is wanted".to_owned()),
    }
}

fn gate(text: &str) -> Result<(String, bool), String> {
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
