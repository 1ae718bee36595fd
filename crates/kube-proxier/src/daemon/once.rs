//! What is done once, without the loop: the checks, the clean-up, and what needs root.

use proxier::cluster::Cluster;
use proxier::{Desired, Kernel, Phase, Plan, reconcile, translate};
use proxier_linux::LinuxKernel;

use super::{DaemonError, open};
use crate::machine::Machine as _;
use crate::options::Options;
use crate::{Instance, conntrack, doctor};

/// The checks of the doctor, for the layout that the daemon would take.
#[must_use]
pub fn examine(options: &Options) -> Vec<doctor::Check> {
    let (options, machine) = open(options.clone());
    // What it keeps open is not to be taken for somebody else's.
    drop(machine);
    let mut checks = doctor::run(&options);
    checks.extend(doctor::api(&options));
    let modes = doctor::modes(&options, &checks);
    checks.extend(modes);
    checks
}

/// Removes all that is the proxy's from this machine, and nothing else.
///
/// # Errors
///
/// [`DaemonError`] where a daemon still runs, or the kernel cannot be looked at.
pub fn clean_up() -> Result<bool, DaemonError> {
    let _instance = Instance::claim()?;
    let mut kernel = LinuxKernel::open_for_cleanup()?;
    let host = kernel.host("")?;
    let observed = kernel.observe()?;
    let plan = reconcile(&Desired::nothing(&observed, &host), &observed);
    Ok(carry_out(&mut kernel, &plan))
}

/// Does what needs all of root's privileges, so that a daemon with CAP_NET_ADMIN and CAP_NET_RAW can do the rest: IPVS is
/// loaded, kernel settings written, those of connection tracking too, the link made.
///
/// # Errors
///
/// [`DaemonError`] where the kernel cannot be looked at.
pub fn initialize(options: &Options) -> Result<bool, DaemonError> {
    let (options, machine) = open(options.clone());
    let mut kernel = machine?.for_a_command();
    let host = kernel.host(&options.node_name)?;
    let desired = translate(&Cluster::default(), &host, &options.config);
    let plan = reconcile(&desired, &kernel.observe()?);
    let settings = plan.prefix(plan.phase(Phase::Prepare).len());
    conntrack::set_up(&options.process.conntrack);
    Ok(carry_out(&mut kernel, &settings))
}

/// Whether all of it was done; what was not is logged.
fn carry_out(kernel: &mut impl Kernel, plan: &Plan) -> bool {
    let applied = kernel.apply(plan);
    for failure in &applied.failures {
        tracing::error!("{failure}");
    }
    tracing::info!(
        done = applied.done,
        failed = applied.failures.len(),
        "carried out"
    );
    applied.is_ok()
}
