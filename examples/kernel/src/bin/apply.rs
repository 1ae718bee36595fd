//! Makes this machine what a Kubernetes cluster asks of one of its nodes, once: what `reconcile` shows on a kernel in memory,
//! on the real one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use examples::reconcile::{
    Options, Outcome, Result, Target, clean_up, exit, go_through, host_name, read_steps,
};
use proxier::cluster::{Cluster, Host};
use proxier::{Config, Kernel, KernelError};
use proxier_linux::LinuxKernel;

/// Program this machine's kernel as one of the nodes of a Kubernetes cluster. Needs root.
///
/// Reads Services, EndpointSlices and Nodes as `kubectl get services,endpointslices,nodes -A -o yaml` or
/// `kubectl get --raw` prints them, and goes through the files in order, each the whole cluster at one moment.
/// The node's addresses are those of this machine.
///
/// A file without Services, EndpointSlices and Nodes changes nothing.
///
/// Exit status: 0, all objects were used; 1, some were refused, whole or in part, and the rest was done; 2,
/// nothing could be used, or the command line is wrong.
#[derive(Parser)]
#[command(name = "apply", version, max_term_width = 100)]
struct Args {
    /// The cluster, step by step: YAML or JSON files.
    #[arg(value_name = "STEP.yaml", required_unless_present = "cleanup")]
    steps: Vec<PathBuf>,

    /// Remove all that is the proxy's, and nothing else.
    #[arg(long, conflicts_with_all = ["steps", "config", "mode", "hostname_override"])]
    cleanup: bool,

    /// The name of this machine's Node object [default: hostnameOverride of the configuration; else the host name].
    #[arg(long, value_name = "NAME")]
    hostname_override: Option<String>,

    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<Outcome> {
    let config = args.options.config(args.hostname_override.as_deref())?;
    let steps = read_steps(&args.steps)?;
    let kernel = LinuxKernel::open()?.for_a_command();
    let mut machine = Machine { kernel };
    match args.cleanup {
        true => clean_up(&mut machine, args.options.output),
        false => go_through(&mut machine, &steps, &config, args.options.output),
    }
}

/// This very machine, described by its kernel.
struct Machine {
    kernel: LinuxKernel,
}

impl Target for Machine {
    const REAL: bool = true;

    fn kernel(&mut self) -> &mut dyn Kernel {
        &mut self.kernel
    }

    fn node_name(&self, _: &Cluster, config: &Config) -> Box<str> {
        config.hostname_override.clone().unwrap_or_else(host_name)
    }

    fn host(
        &mut self,
        cluster: &Cluster,
        config: &Config,
    ) -> std::result::Result<Host, KernelError> {
        self.kernel.host(self.node_name(cluster, config))
    }
}
