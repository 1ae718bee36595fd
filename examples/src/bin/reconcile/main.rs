//! Shows what a Kubernetes cluster becomes on one of its nodes: the plan that leads there, and the IPVS,
//! ipset, iptables and address state at its end. Works on a kernel in memory: no root, no kernel module.
//! (`apply`, in `examples/kernel`, does the same to this machine.)

mod explain;
mod memory;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use examples::reconcile::{
    Options, Outcome, Result, built_in, exit, go_through, read, read_steps, shown,
};
use proxier::explain::Question;
use proxier::{MemoryKernel, Observed};
use proxier_manifest::{Snapshot, printable};

use self::memory::{HostInput, Memory};

/// Show what a Kubernetes cluster becomes on one of its nodes.
///
/// Reads Services, EndpointSlices and Nodes as `kubectl get services,endpointslices,nodes -A -o yaml` or
/// `kubectl get --raw` prints them, and goes through the files in order, each the whole cluster at one moment,
/// on one kernel in memory. Without arguments a built-in cluster is shown.
///
/// A file without Services, EndpointSlices and Nodes changes nothing.
///
/// Exit status: 0, all objects were used; 1, some were refused, whole or in part, and the rest was done; 2,
/// nothing could be used, or the command line is wrong.
#[derive(Parser)]
#[command(name = "reconcile", version, max_term_width = 100)]
struct Args {
    /// The cluster, step by step: YAML or JSON files.
    #[arg(value_name = "STEP.yaml")]
    steps: Vec<PathBuf>,

    /// The node's links and their addresses, as `interfaces: {eth0: [192.168.10.10/24]}`
    /// [default: the addresses its Node has].
    #[arg(long, value_name = "FILE")]
    node: Option<PathBuf>,

    /// The state the kernel holds at first, as `--output json` prints it [default: none].
    #[arg(long, value_name = "FILE")]
    found: Option<PathBuf>,

    /// The name of the node's Node object [default: hostnameOverride of the configuration; else the only Node
    /// there is].
    #[arg(long, value_name = "NAME")]
    hostname_override: Option<String>,

    #[command(flatten)]
    options: Options,

    /// Explain why an address and port (10.0.0.10:53/udp) or a Service (namespace/name or namespace/name:port) is served at
    /// the end, or not, and nothing else. With --found: in the state found there. Status 1 means that something is wrong.
    #[arg(long, value_name = "QUESTION")]
    explain: Option<Question>,

    /// Explain the traffic of this client alone [default: that of pods, of the node and from outside].
    #[arg(long, value_name = "IP", requires = "explain")]
    from: Option<IpAddr>,
}

fn main() -> ExitCode {
    exit(run(Args::parse()))
}

fn run(args: Args) -> Result<Outcome> {
    let config = args.options.config(args.hostname_override.as_deref())?;
    let host = HostInput::read(args.node.as_deref())?;
    let found = args.found.as_deref().map(read_found).transpose()?;
    let steps = match args.steps.as_slice() {
        [] => vec![built_in()],
        paths => read_steps(paths)?,
    };
    let output = args.options.output;
    if let Some(mut question) = args.explain {
        question.client = args.from;
        return explain::answer(&question, &steps, &config, (found, &host), output);
    }
    let kernel = found
        .as_ref()
        .map_or_else(MemoryKernel::new, MemoryKernel::holding);
    go_through(&mut Memory { kernel, host }, &steps, &config, output)
}

fn read_found(path: &Path) -> std::result::Result<Observed, String> {
    let at = |error: String| format!("{}: {}", shown(path), printable(&error));
    let snapshot: Snapshot =
        serde_json::from_slice(&read(path)?).map_err(|error| at(error.to_string()))?;
    snapshot.state().map_err(|error| at(error.to_string()))
}
