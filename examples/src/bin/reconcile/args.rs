//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use proxier::explain::Question;

/// Show what a Kubernetes cluster becomes on one of its nodes.
///
/// Reads Services, EndpointSlices and Nodes as `kubectl get services,endpointslices,nodes -A -o yaml` or
/// `kubectl get --raw` prints them, and goes through the files in order, each the whole cluster at one moment,
/// on one kernel in memory, or with --apply on this machine's. Without arguments a built-in cluster is shown.
///
/// A file without Services, EndpointSlices and Nodes changes nothing.
///
/// Exit status: 0, all objects were used; 1, some were refused, whole or in part, and the rest was done; 2,
/// nothing could be used, or the command line is wrong.
#[derive(Parser)]
#[command(name = "reconcile", version, max_term_width = 100)]
pub(crate) struct Args {
    /// The cluster, step by step: YAML or JSON files.
    #[arg(value_name = "STEP.yaml")]
    pub(crate) steps: Vec<PathBuf>,

    /// A KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) [default: an empty one].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The node's links and their addresses, as `interfaces: {eth0: [192.168.10.10/24]}`
    /// [default: the addresses its Node has].
    #[arg(long, value_name = "FILE")]
    pub(crate) node: Option<PathBuf>,

    /// The state the kernel holds at first, as `--output json` prints it [default: none].
    #[arg(long, value_name = "FILE", conflicts_with_all = ["apply", "cleanup"])]
    pub(crate) found: Option<PathBuf>,

    /// The name of the node's Node object [default: hostnameOverride of the configuration; else the only Node
    /// there is, or with --apply this machine's host name].
    #[arg(long, value_name = "NAME", conflicts_with = "cleanup")]
    pub(crate) hostname_override: Option<String>,

    /// Do it to this machine's kernel (needs root), and take the node's addresses from it.
    #[arg(long, requires = "steps", conflicts_with = "node")]
    pub(crate) apply: bool,

    /// Remove all that is the proxy's from this machine's kernel (needs root), and nothing else.
    #[arg(long, conflicts_with_all = ["apply", "steps", "node", "config"])]
    pub(crate) cleanup: bool,

    /// What is shown.
    #[arg(long, value_enum, default_value_t = Output::Text, value_name = "FORM")]
    pub(crate) output: Output,

    /// The proxy mode [default: that of the configuration; else ipvs].
    #[arg(long, value_enum, conflicts_with = "cleanup")]
    pub(crate) mode: Option<Mode>,

    /// Whose chains and sets are written in ipvs mode.
    #[arg(long, value_enum, default_value_t = Layout::Current)]
    pub(crate) layout: Layout,

    /// Remove virtual servers that are not recognized as the proxy's, as kube-proxy does, unless ipvs.excludeCIDRs has
    /// their addresses.
    #[arg(long)]
    pub(crate) remove_foreign_servers: bool,

    /// Explain why an address and port (10.0.0.10:53/udp) or a Service (namespace/name or namespace/name:port) is served at
    /// the end, or not, and nothing else. With --found: in the state found there. Status 1 means that something is wrong.
    #[arg(long, value_name = "QUESTION", conflicts_with_all = ["apply", "cleanup"])]
    pub(crate) explain: Option<Question>,

    /// Explain the traffic of this client alone [default: that of pods, of the node and from outside].
    #[arg(long, value_name = "IP", requires = "explain")]
    pub(crate) from: Option<IpAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The plans and the state they lead to, for people.
    Text,
    /// The state they lead to, as ipvsadm, ipset and iptables-save print it, as JSON.
    Json,
    /// The plans alone, each line with the Service that it is for.
    Plan,
    /// The Services and what became of each, on one screen, with warnings at its end.
    Summary,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Virtual servers of IPVS, with sets and a few rules.
    Ipvs,
    /// Rules for each Service and endpoint.
    Iptables,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// Those of kube-proxy v1.36: packets are refused in the filter table.
    Current,
    /// Those of the first kube-proxies with an ipvs mode, up to v1.20.
    Classic,
    /// A table of nf_tables and routing by mark: no address is bound, and neither iptables nor ipset is used.
    Nftables,
}

impl From<Layout> for proxier::Layout {
    fn from(layout: Layout) -> Self {
        match layout {
            Layout::Current => Self::Current,
            Layout::Classic => Self::Classic,
            Layout::Nftables => Self::Nftables,
        }
    }
}

impl Args {
    /// The layout that is asked for, where the configuration asks for this one.
    pub(crate) fn layout(&self, configured: proxier::Layout) -> proxier::Layout {
        let iptables = match self.mode {
            Some(mode) => mode == Mode::Iptables,
            None => configured == proxier::Layout::Iptables,
        };
        if iptables {
            proxier::Layout::Iptables
        } else {
            self.layout.into()
        }
    }
}
