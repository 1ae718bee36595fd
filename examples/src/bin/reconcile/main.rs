//! Shows what a Kubernetes cluster becomes on one of its nodes: the plan that leads there, and the IPVS,
//! ipset, iptables and address state at its end. Works on a kernel in memory: no root, no kernel module.
//! With `--apply` it programs this machine.

mod args;
mod input;
mod text;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use proxier::cluster::{Cluster, Host};
use proxier::{Config, Desired, Kernel, KernelError, MemoryKernel, reconcile, translate};
use proxier_linux::LinuxKernel;
use proxier_manifest::Snapshot;

use self::args::{Args, Output};
use self::input::{HostInput, Inputs, Step};

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(outcome) => outcome.exit_code(),
        // Whoever read our output has seen enough.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// What the exit status tells.
#[derive(Default)]
struct Outcome {
    used: bool,
    refused: bool,
}

impl Outcome {
    fn exit_code(&self) -> ExitCode {
        match (self.used, self.refused) {
            (true, false) => ExitCode::SUCCESS,
            (true, true) => ExitCode::from(1),
            (false, _) => ExitCode::from(2),
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn run(args: &Args) -> Result<Outcome> {
    let Inputs {
        config,
        found,
        steps,
        host,
    } = Inputs::read(args)?;
    if args.apply || args.cleanup {
        let mut machine = Machine {
            kernel: LinuxKernel::open()?,
        };
        if args.cleanup {
            return clean_up(&mut machine, args.output);
        }
        go_through(&mut machine, &steps, &config, args.output)
    } else {
        let kernel = found
            .as_ref()
            .map_or_else(MemoryKernel::new, MemoryKernel::holding);
        go_through(&mut Memory { kernel, host }, &steps, &config, args.output)
    }
}

/// A kernel, and the machine it is of.
trait Place {
    fn kernel(&mut self) -> &mut dyn Kernel;
    fn host(
        &mut self,
        cluster: &Cluster,
        config: &Config,
    ) -> std::result::Result<Host, KernelError>;
}

struct Memory {
    kernel: MemoryKernel,
    host: HostInput,
}

impl Place for Memory {
    fn kernel(&mut self) -> &mut dyn Kernel {
        &mut self.kernel
    }

    fn host(
        &mut self,
        cluster: &Cluster,
        config: &Config,
    ) -> std::result::Result<Host, KernelError> {
        Ok(self.host.of(cluster, config))
    }
}

struct Machine {
    kernel: LinuxKernel,
}

impl Place for Machine {
    fn kernel(&mut self) -> &mut dyn Kernel {
        &mut self.kernel
    }

    fn host(&mut self, _: &Cluster, config: &Config) -> std::result::Result<Host, KernelError> {
        HostInput::here(config, &mut self.kernel)
    }
}

fn go_through(
    place: &mut impl Place,
    steps: &[Step],
    config: &Config,
    output: Output,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for Step { name, reading } in steps {
        for refusal in &reading.refused {
            complain(&format!("refused: {refusal}"));
            outcome.refused = true;
        }
        if !reading.recognized {
            // A file that says nothing must not be taken for a cluster without Services.
            complain(&format!(
                "{name}: holds no Kubernetes object; nothing is changed for it"
            ));
            outcome.refused = true;
            continue;
        }
        outcome.used = true;
        let host = place.host(&reading.cluster, config)?;
        let desired = translate(&reading.cluster, &host, config);
        for conflict in &desired.conflicts {
            complain(&format!("refused: {name}: {conflict}"));
            outcome.refused = true;
        }
        outcome.refused |= !make(place.kernel(), name, &desired, output)?;
    }
    show_state(place.kernel(), output)?;
    Ok(outcome)
}

fn clean_up(place: &mut impl Place, output: Output) -> Result<Outcome> {
    let host = place.host(&Cluster::default(), &Config::default())?;
    let desired = Desired::nothing(&place.kernel().observe()?, &host);
    let done = make(place.kernel(), "clean up", &desired, output)?;
    show_state(place.kernel(), output)?;
    Ok(Outcome {
        used: true,
        refused: !done,
    })
}

/// Leads a kernel to what is desired, showing how. Whether all of it was done.
fn make(kernel: &mut dyn Kernel, name: &str, desired: &Desired, output: Output) -> Result<bool> {
    let plan = reconcile(desired, &kernel.observe()?);
    let applied = kernel.apply(&plan);
    for failure in &applied.failures {
        complain(&format!("{name}: {failure}"));
    }
    if output != Output::Json {
        text::plan(name, &plan, &mut anstream::stdout().lock())?;
    }
    Ok(applied.is_ok())
}

fn show_state(kernel: &mut dyn Kernel, output: Output) -> Result<()> {
    let mut out = anstream::stdout().lock();
    match output {
        Output::Text => text::state(&kernel.observe()?, &mut out)?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, &Snapshot::of(&kernel.observe()?))
                .map_err(io::Error::from)?;
            writeln!(out)?;
        }
        Output::Plan => {}
    }
    Ok(out.flush()?)
}

/// Tells the user on standard error; nothing can be done if that fails too.
fn complain(message: &str) {
    let _ = writeln!(anstream::stderr(), "reconcile: {message}");
}
