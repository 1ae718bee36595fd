//! A cluster, step by step, on a kernel: what the programs `reconcile` and `apply` share.

mod args;
mod input;
mod summary;
mod text;
mod trace;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use proxier::cluster::{Cluster, Host};
use proxier::{Config, Desired, Kernel, KernelError, Plan, reconcile, translate};
use proxier_manifest::{Content, Manifests, Severity, Snapshot, printable};

pub use self::args::{Layout, Mode, Options, Output};
pub use self::input::{Step, built_in, host_name, read, read_steps, shown};
use self::summary::Summary;
use self::trace::Trace;

/// How many diagnostics of a file are shown.
const MAX_SHOWN: usize = 100;

/// What the exit status reports.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Whether anything was used.
    pub used: bool,
    /// Whether anything was refused.
    pub refused: bool,
}

impl Outcome {
    /// 0, all was used; 1, some of it was refused; 2, nothing was used.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match (self.used, self.refused) {
            (true, false) => ExitCode::SUCCESS,
            (true, true) => ExitCode::from(1),
            (false, _) => ExitCode::from(2),
        }
    }
}

/// The result of what such a program does.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The `main` of such a program. Its exit status is that of the outcome, or 2 with the error on stderr. Output that is cut
/// off, as by `head`, is not a failure.
pub fn exit(outcome: Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(outcome) => outcome.exit_code(),
        Err(error) if crate::is_cut_off(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(2)
        }
    }
}

/// A kernel, and the machine that it runs on.
pub trait Target {
    /// Whether what is done is done to a real machine.
    const REAL: bool;

    /// The kernel.
    fn kernel(&mut self) -> &mut dyn Kernel;

    /// The name of the machine's Node.
    fn node_name(&self, cluster: &Cluster, config: &Config) -> Box<str>;

    /// The machine.
    ///
    /// # Errors
    /// Its kernel cannot be asked.
    fn host(
        &mut self,
        cluster: &Cluster,
        config: &Config,
    ) -> std::result::Result<Host, KernelError>;
}

/// Where there are Nodes, the node must be one of them: its addresses, zone and pod networks decide much.
///
/// # Errors
/// It is none of them.
pub fn check_node(name: &str, cluster: &Cluster, node: &str) -> Result<()> {
    if cluster.nodes.is_empty() || cluster.nodes.contains_key(node) {
        return Ok(());
    }
    let known: Vec<_> = cluster
        .nodes
        .keys()
        .take(20)
        .map(|n| printable(n))
        .collect();
    let more = match cluster.nodes.len() - known.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let node = printable(node);
    Err(format!(
        "{name}: no Node is called {node}; choose one with --hostname-override: {}{more}",
        known.join(", ")
    )
    .into())
}

/// Whether a file shows a cluster.
///
/// # Errors
/// It does not; the reason.
pub fn shows_cluster(manifests: &Manifests, real: bool) -> std::result::Result<(), &'static str> {
    match manifests.content {
        Content::Cluster => Ok(()),
        Content::EmptyList if !real => Ok(()),
        Content::EmptyList => Err(
            "holds an empty List, which does not name what it lists; nothing is changed for it (an empty ServiceList \
             is a cluster without Services)",
        ),
        _ => Err("holds no Services, EndpointSlices or Nodes; nothing is changed for it"),
    }
}

/// Objects that no proxy needs and rejected ones, by kind.
fn not_used(manifests: &Manifests) -> String {
    let mut kinds: BTreeMap<_, usize> = BTreeMap::new();
    for (kind, count) in &manifests.ignored {
        *kinds.entry(kind.to_string()).or_default() += count;
    }
    for diagnostic in &manifests.diagnostics {
        if let (Severity::Rejected, Some(kind)) = (diagnostic.severity, &diagnostic.kind) {
            *kinds.entry(printable(kind).into_owned()).or_default() += 1;
        }
    }
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, n)| format!("{kind} {n}"))
        .collect();
    kinds.join(", ")
}

/// Adds what is wrong with a file. Returns whether anything in it was refused.
pub fn diagnose(manifests: &Manifests, complaints: &mut Vec<String>) -> bool {
    let mut refused = false;
    for (n, diagnostic) in manifests.diagnostics.iter().enumerate() {
        let prefix = match diagnostic.severity {
            Severity::Warning => "warning",
            _ => {
                refused = true;
                "refused"
            }
        };
        if n < MAX_SHOWN {
            complaints.push(format!("{prefix}: {diagnostic}"));
        }
    }
    let all = manifests.diagnostics.len() + manifests.more_diagnostics;
    if all > MAX_SHOWN {
        complaints.push(format!(
            "{} more diagnostics are not shown",
            all - MAX_SHOWN
        ));
    }
    refused
}

/// Leads the kernel through the steps, and shows the plans and what they lead to.
///
/// # Errors
/// The kernel cannot be read, or the output not be written.
pub fn go_through<T: Target>(
    target: &mut T,
    steps: &[Step],
    config: &Config,
    output: Output,
) -> Result<Outcome> {
    for Step { name, manifests } in steps {
        let cluster = &manifests.cluster;
        check_node(name, cluster, &target.node_name(cluster, config))?;
    }
    let mut outcome = Outcome::default();
    let mut before = Trace::default();
    for Step { name, manifests } in steps {
        let cluster = &manifests.cluster;
        let mut complaints = Vec::new();
        outcome.refused |= diagnose(manifests, &mut complaints);
        let not_used = not_used(manifests);
        if !not_used.is_empty() && output != Output::Summary {
            complaints.push(format!("{name}: objects not used: {not_used}"));
        }
        if let Err(reason) = shows_cluster(manifests, T::REAL) {
            complaints.push(format!("{name}: {reason}"));
            complaints.iter().for_each(|complaint| complain(complaint));
            outcome.refused = true;
            continue;
        }
        outcome.used = true;
        let host = target.host(cluster, config)?;
        let desired = translate(cluster, &host, config);
        for conflict in &desired.conflicts {
            let conflict = conflict.to_string();
            complaints.push(format!("refused: {name}: {}", printable(&conflict)));
            outcome.refused = true;
        }
        let trace = Trace::of(cluster, &desired);
        let (plan, failures) = make(target.kernel(), name, &desired)?;
        outcome.refused |= !failures.is_empty();
        complaints.extend(failures);
        if output == Output::Summary {
            let lines = plan.iter().flat_map(|(_, operation)| operation.lines());
            let summary = Summary {
                name,
                node: &host.node_name,
                cluster,
                desired: &desired,
                signs: &lines.map(|line| line.sign).collect::<Vec<_>>(),
                not_used: &not_used,
                warnings: &complaints,
            };
            summary.write(&mut anstream::stdout().lock())?;
        } else {
            complaints.iter().for_each(|complaint| complain(complaint));
            show_plan(name, &plan, (&trace, &before), output)?;
        }
        before = trace;
    }
    show_state(target.kernel(), output)?;
    Ok(outcome)
}

/// Removes all that is the proxy's from the kernel, and nothing else.
///
/// # Errors
/// The kernel cannot be read, or the output not be written.
pub fn clean_up(target: &mut impl Target, output: Output) -> Result<Outcome> {
    let host = target.host(&Cluster::default(), &Config::default())?;
    let desired = Desired::nothing(&target.kernel().observe()?, &host);
    let (plan, failures) = make(target.kernel(), "clean up", &desired)?;
    failures.iter().for_each(|failure| complain(failure));
    let nothing = Trace::default();
    show_plan("clean up", &plan, (&nothing, &nothing), output)?;
    show_state(target.kernel(), output)?;
    Ok(Outcome {
        used: true,
        refused: !failures.is_empty(),
    })
}

/// Leads a kernel to what is desired. Returns the plan, and what of it failed.
///
/// # Errors
/// The kernel cannot be read.
pub fn make(kernel: &mut dyn Kernel, name: &str, desired: &Desired) -> Result<(Plan, Vec<String>)> {
    let plan = reconcile(desired, &kernel.observe()?);
    let applied = kernel.apply(&plan);
    let failures = applied.failures.iter().map(|failure| {
        let failure = failure.to_string();
        format!("{name}: {}", printable(&failure))
    });
    Ok((plan, failures.collect()))
}

fn show_plan(name: &str, plan: &Plan, traces: (&Trace, &Trace), output: Output) -> Result<()> {
    if output != Output::Json {
        text::plan(name, plan, traces, &mut anstream::stdout().lock())?;
    }
    Ok(())
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
        Output::Plan | Output::Summary => {}
    }
    Ok(out.flush()?)
}

/// Writes a line to standard error, after the name of the program.
pub fn complain(message: &str) {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default();
    // Nothing can be done if that fails too.
    let _ = writeln!(anstream::stderr(), "{}: {message}", name.display());
}
