//! Shows what a Kubernetes cluster becomes on one of its nodes: the plan that leads there, and the IPVS,
//! ipset, iptables and address state at its end. Works on a kernel in memory: no root, no kernel module.

mod args;
mod input;
mod text;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use proxier::snapshot::Snapshot;
use proxier::{Kernel, MemoryKernel, Plan, reconcile, translate};

use self::args::{Args, Output};
use self::input::{Inputs, Step};

fn main() -> ExitCode {
    let args = Args::parse();
    let inputs = match Inputs::read(&args) {
        Ok(inputs) => inputs,
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    match run(&args, inputs) {
        Ok(outcome) => outcome.exit_code(),
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("standard output: {error}"));
            ExitCode::from(2)
        }
    }
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

fn run(args: &Args, inputs: Inputs) -> io::Result<Outcome> {
    let Inputs {
        config,
        found,
        steps,
        host,
    } = inputs;
    let mut kernel = found
        .as_ref()
        .map_or_else(MemoryKernel::new, MemoryKernel::holding);
    let mut out = anstream::stdout().lock();
    let mut outcome = Outcome::default();
    for step in &steps {
        let Step { name, reading } = step;
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
        let host = host.of(&reading.cluster, &config);
        let desired = translate(&reading.cluster, &host, &config);
        for conflict in &desired.conflicts {
            complain(&format!("refused: {name}: {conflict}"));
            outcome.refused = true;
        }
        let plan = match kernel.observe() {
            Ok(observed) => reconcile(&desired, &observed),
            Err(error) => return Err(io::Error::other(error)),
        };
        let applied = kernel.apply(&plan);
        for failure in &applied.failures {
            complain(&format!("{name}: {failure}"));
            outcome.refused = true;
        }
        show_plan(args.output, name, &plan, &mut out)?;
    }
    match args.output {
        Output::Text => text::state(&kernel.state(), &mut out)?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, &Snapshot::of(&kernel.state()))?;
            writeln!(out)?;
        }
        Output::Plan => {}
    }
    out.flush()?;
    Ok(outcome)
}

fn show_plan(output: Output, name: &str, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    match output {
        Output::Text | Output::Plan => text::plan(name, plan, out),
        Output::Json => Ok(()),
    }
}

/// Tells the user on standard error; nothing can be done if that fails too.
fn complain(message: &str) {
    let _ = writeln!(anstream::stderr(), "reconcile: {message}");
}
