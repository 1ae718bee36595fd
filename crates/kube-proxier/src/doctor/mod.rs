//! `kube-proxier doctor`: can ipvs mode run on this machine, and what to do where it cannot.
//!
//! The checks are the list that users of kube-proxy's ipvs mode are advised to go through: the mode, the kernel modules,
//! the tools; and what experience added: permissions, settings, leftovers of other modes, virtual servers of others.
//! Nothing that it finds, or does not find, makes it fail to answer.

mod api;
mod command;
mod input;
mod machine;
mod modules;
mod netfilter;
mod servers;
mod text;

use std::path::PathBuf;

use serde::Serialize;

use super::options::Options;

pub use api::api;
pub use text::write_text;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// What was found.
    pub found: String,
    /// Whether it will do.
    pub verdict: Verdict,
    /// The command that mends it, or what to do where no command does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Whether something will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It will.
    Works,
    /// ipvs mode runs all the same, but someone should look.
    Warning,
    /// ipvs mode cannot run.
    Fails,
}

impl Check {
    fn works(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            found: found.into(),
            verdict: Verdict::Works,
            remedy: None,
        }
    }

    fn no(
        verdict: Verdict,
        name: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = remedy.into();
        Self {
            name: name.into(),
            found: found.into(),
            verdict,
            remedy: Some(remedy).filter(|remedy| !remedy.is_empty()),
        }
    }
}

/// The machine that is looked at.
#[derive(Clone, Debug)]
struct Machine {
    /// Below which its files are.
    root: PathBuf,
}

/// Looks at this machine, in the network namespace of the calling thread. Blocks for up to a few seconds.
#[must_use]
pub fn run(options: &Options) -> Vec<Check> {
    run_below("/", options)
}

/// The same, with its files (modules, settings) below another root.
#[must_use]
pub fn run_below(root: impl Into<PathBuf>, options: &Options) -> Vec<Check> {
    let machine = Machine { root: root.into() };
    let mut checks = vec![Check::works("mode", "ipvs, the only one of this proxy")];
    checks.extend(machine.capabilities());
    checks.extend(machine.modules(options.config.scheduler));
    if options.config.layout.has_ipset() {
        checks.push(netfilter::ipset());
        let tables = netfilter::Tables::look();
        checks.extend(tables.tools(machine.has_ipv6()));
        checks.extend(tables.leftovers());
        checks.extend(input::checks(tables.surveys()));
        checks.push(machine::dummy_link());
    }
    checks.extend(machine.settings());
    checks.extend(machine.node_ports());
    checks.extend(servers::foreign(options));
    checks.extend(machine::ports(options));
    checks
}

/// Whether ipvs mode can run.
#[must_use]
pub fn can_run(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.verdict != Verdict::Fails)
}

/// Logs what was found as the daemon starts, in the words that kube-proxy's users look for. `opened`: whether the
/// daemon has the kernel open.
pub fn log(checks: &[Check], opened: bool) {
    for check in checks {
        let (name, found) = (&check.name, &check.found);
        let remedy = check.remedy.as_deref().unwrap_or_default();
        match check.verdict {
            Verdict::Works => tracing::debug!("{name}: {found}"),
            Verdict::Warning => tracing::warn!(remedy, "{name}: {found}"),
            Verdict::Fails => tracing::error!(remedy, "can't use ipvs proxier, {name}: {found}"),
        }
    }
    if opened && can_run(checks) {
        tracing::info!("Using ipvs Proxier.");
    }
}

#[cfg(test)]
mod tests;
