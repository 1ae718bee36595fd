//! Falling back: iptables mode stands in for ipvs mode where that cannot be had.
//!
//! A machine without IPVS, ipset or what else ipvs mode needs still serves its Services if it has iptables. What is missing
//! is looked for again at every full sync ([`Syncer`](crate::Syncer)), and ipvs mode is taken once it is there.

use proxier::Layout;
use proxier_linux::OpenError;

use super::ThisMachine;
use super::doctor::{self, Check};
use super::options::Options;
use super::sync::Fallback;

/// Logs that iptables mode stands in for ipvs mode from now on, in the words that kube-proxy's users look for.
pub(super) fn warn(missing: &str) {
    tracing::warn!(missing, "Can't use ipvs proxier, trying iptables proxier");
}

/// How the daemon begins.
pub(super) struct Beginning {
    /// With the layout that is in force at first.
    pub(super) options: Options,
    pub(super) machine: Result<ThisMachine, OpenError>,
    pub(super) checks: Vec<Check>,
    /// Whether these are all checks. Otherwise the [rest](doctor::rest) remains.
    pub(super) all_checked: bool,
    /// What was asked for, where iptables mode stands in.
    pub(super) fallback: Option<Fallback>,
}

impl Beginning {
    /// As it was asked for, or in iptables mode if that can run here and what was asked for cannot.
    pub(super) fn of(options: Options, machine: Result<ThisMachine, OpenError>) -> Self {
        let mut beginning = Self {
            checks: doctor::first(&options),
            all_checked: false,
            options,
            machine,
            fallback: None,
        };
        // A machine that was opened has found the tools that it needs and tried them.
        let opened = beginning.machine.as_ref();
        let is_good = opened.is_ok_and(|machine| !machine.has_incomplete_table());
        if is_good && doctor::can_run(&beginning.checks) {
            return beginning;
        }
        let rest = doctor::rest(&beginning.options);
        beginning.checks.extend(rest);
        beginning.all_checked = true;
        let asked = beginning.options.config.layout;
        let can_run = beginning.machine.is_ok() && doctor::can_run(&beginning.checks);
        if can_run || !asked.uses_ipvs() {
            return beginning;
        }
        beginning.in_iptables_mode(asked)
    }

    fn in_iptables_mode(self, asked: Layout) -> Self {
        let failing = doctor::missing(&self.checks);
        let missing = match &self.machine {
            Err(error) if failing.is_empty() => error.to_string(),
            _ => failing,
        };
        let mut options = self.options.clone();
        options.config.layout = Layout::Iptables;
        let machine = ThisMachine::open(Layout::Iptables);
        let checks = doctor::run(&options);
        if machine.is_err() || !doctor::can_run(&checks) {
            let lacks = machine.as_ref().err().map(ToString::to_string);
            let lacks = lacks.unwrap_or_else(|| doctor::missing(&checks));
            tracing::error!("iptables mode cannot stand in for ipvs mode: {lacks}");
            return self;
        }
        doctor::log(&self.checks, false);
        warn(&missing);
        Self {
            options,
            machine,
            checks,
            all_checked: true,
            fallback: Some(Fallback {
                layout: asked,
                missing,
            }),
        }
    }
}
