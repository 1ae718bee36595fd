//! `kube-proxier doctor`: can the proxy run on this machine, in which mode, and what to do where it cannot.
//!
//! The checks are the list that users of kube-proxy's ipvs mode are advised to go through: the mode, the kernel modules,
//! the tools; and what experience added: permissions, settings, leftovers of other modes, virtual servers of others.
//! Nothing that it finds, or does not find, makes it fail to answer.

mod api;
mod command;
mod input;
mod later;
mod machine;
mod modules;
mod netfilter;
mod nftables;
mod servers;
mod text;

use std::path::PathBuf;

use proxier::{Config, Layout};
use serde::Serialize;

use super::options::Options;

pub use api::api;
pub(crate) use later::{Trials, rest_later};
pub(crate) use machine::dummy_link;
pub(crate) use modules::try_scheduler;
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
    /// The mode that was asked for runs all the same, but someone should look.
    Warning,
    /// The mode that was asked for cannot run.
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

impl Machine {
    /// What the layout of a configuration needs of the process and of the kernel, but for the iptables tools.
    fn needs(&self, config: &Config) -> Vec<Check> {
        let layout = config.layout;
        let mut checks: Vec<_> = self.capabilities(layout).into();
        if layout.uses_ipvs() {
            checks.extend(self.may_use_ipvs());
            checks.extend(self.modules(config.scheduler));
        }
        if layout.has_ipset() {
            checks.push(netfilter::ipset());
            checks.push(dummy_link());
        }
        if layout == Layout::Nftables {
            checks.extend(self.expressions(config));
        }
        checks
    }
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
    let mut checks = machine.first(options);
    checks.extend(machine.rest(options, &Trials::default()));
    checks
}

/// The part of [`run`] that the daemon waits for before it serves: what decides whether the layout can run, and what looks
/// different once the daemon serves. Runs no program.
///
/// Of the iptables tools nothing is looked at: a machine that was opened has found and tried them.
#[must_use]
pub(crate) fn first(options: &Options) -> Vec<Check> {
    Machine { root: "/".into() }.first(options)
}

/// The rest of [`run`], which only warns. Runs programs, and blocks for up to a few seconds.
#[must_use]
pub(crate) fn rest(options: &Options) -> Vec<Check> {
    Machine { root: "/".into() }.rest(options, &Trials::default())
}

impl Machine {
    /// As [`first`] has it.
    fn first(&self, options: &Options) -> Vec<Check> {
        let config = &options.config;
        let layout = config.layout;
        let chosen = match &options.layout_reason {
            Some(reason) => format!("{}: {reason}", layout.as_str()),
            None => layout.as_str().to_owned(),
        };
        let mut checks = vec![
            Check::works("mode", layout.proxy_mode()),
            Check::works("layout", chosen),
        ];
        checks.extend(self.needs(config));
        if layout.uses_ipvs() {
            checks.extend(servers::foreign(options));
        }
        checks.extend(machine::ports(options));
        checks
    }

    /// As the function [`rest`]. Schedulers are left out if `trials` no longer lets them be tried.
    fn rest(&self, options: &Options, trials: &Trials) -> Vec<Check> {
        let layout = options.config.layout;
        let mut checks = Vec::new();
        if layout.uses_ipvs() {
            let others = trials.attempt(|| self.other_schedulers(options.config.scheduler));
            checks.extend(others.unwrap_or_default());
        }
        if layout.has_ipset() || !layout.uses_ipvs() {
            let tables = netfilter::Tables::look();
            checks.extend(tables.tools(self.has_ipv6()));
            if layout.has_ipset() {
                checks.extend(self.for_ranges());
                checks.extend(tables.leftovers());
            }
            checks.extend(input::checks(tables.surveys()));
        }
        if layout == Layout::Nftables {
            checks.extend(self.nftables(options));
        }
        checks.extend(self.settings());
        checks.extend(self.node_ports());
        checks
    }
}

/// What the layout of a configuration lacks of this kernel, as [`missing`] has it; empty if nothing. Runs no tool, so that
/// it can be asked often.
pub(crate) fn lacks(config: &Config) -> String {
    let machine = Machine { root: "/".into() };
    missing(&machine.needs(config))
}

/// Whether each mode can run on this machine: the one that was asked for, by what was found, and the other one.
#[must_use]
pub fn modes(options: &Options, checks: &[Check]) -> Vec<Check> {
    let layout = options.config.layout;
    let mut other = options.clone();
    other.config.layout = match layout {
        Layout::Iptables => Layout::Current,
        _ => Layout::Iptables,
    };
    let other_checks = run(&other);
    let mut modes = vec![
        mode(layout.proxy_mode(), checks),
        mode(other.config.layout.proxy_mode(), &other_checks),
    ];
    modes.sort_by(|one, next| next.name.cmp(&one.name));
    modes
}

/// Whether a mode can run. If it cannot, this is only a warning: where it is the mode that was asked for, its own checks fail.
fn mode(mode: &str, checks: &[Check]) -> Check {
    let name = format!("{mode} mode");
    let missing = missing(checks);
    if missing.is_empty() {
        return Check::works(name, "can run");
    }
    Check::no(
        Verdict::Warning,
        name,
        format!("cannot run: {missing}"),
        format!("mend these checks; kube-proxier doctor --proxy-mode={mode} shows them"),
    )
}

/// The checks that fail, with what was found.
#[must_use]
pub fn missing(checks: &[Check]) -> String {
    let fails = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Fails);
    let fails = fails.map(|check| format!("{}: {}", check.name, check.found));
    fails.collect::<Vec<_>>().join("; ")
}

/// Whether the mode that was asked for can run.
#[must_use]
pub fn can_run(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.verdict != Verdict::Fails)
}

/// The mode that was looked at.
fn mode_of(checks: &[Check]) -> &str {
    let mode = checks.iter().find(|check| check.name == "mode");
    mode.map_or("ipvs", |mode| &mode.found)
}

/// Logs what was found as the daemon starts, in the words that kube-proxy's users look for. `opened`: whether the
/// daemon has the kernel open.
pub fn log(checks: &[Check], opened: bool) {
    let mode = mode_of(checks);
    for check in checks {
        let (name, found) = (&check.name, &check.found);
        match check.verdict {
            Verdict::Fails => {
                let remedy = check.remedy.as_deref().unwrap_or_default();
                tracing::error!(remedy, "can't use {mode} proxier, {name}: {found}");
            }
            Verdict::Works | Verdict::Warning => log_found(check),
        }
    }
    if opened && can_run(checks) {
        tracing::info!("Using {mode} Proxier.");
    }
}

/// Logs a check of which the daemon, which runs, has nothing worse to say than a warning.
fn log_found(check: &Check) {
    let (name, found) = (&check.name, &check.found);
    let remedy = check.remedy.as_deref().unwrap_or_default();
    match check.verdict {
        Verdict::Works => tracing::debug!("{name}: {found}"),
        Verdict::Warning | Verdict::Fails => tracing::warn!(remedy, "{name}: {found}"),
    }
}

#[cfg(test)]
mod tests;
