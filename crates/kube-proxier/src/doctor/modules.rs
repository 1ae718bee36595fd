//! Kernel modules.

use std::net::Ipv4Addr;

use ipvs_netlink::client::Reason;
use ipvs_netlink::{Client, Error, Protocol, Scheduler, VirtualServerConfig, VirtualServerId};
use kmod_probe::{Absence, KernelVersion, ModuleName, Modules, Presence, required_modules};

use super::{Check, Machine, Verdict};

impl Machine {
    /// Why this process must not program IPVS, where the kernel has it. In a user namespace of its own root may use
    /// iptables and ipset, and not IPVS.
    pub(super) fn may_use_ipvs(&self) -> Option<Check> {
        if !self.is_this_one() {
            return None;
        }
        let error = Client::open().ok()?.info().err()?;
        let remedy = "run it as root of the node, not in a user namespace (a rootless container)";
        Some(Check::no(Verdict::Fails, "IPVS", error.to_string(), remedy))
    }

    /// The modules that the proxy needs with this scheduler.
    pub(super) fn modules(&self, scheduler: Scheduler) -> Vec<Check> {
        let modules = match self.kernel() {
            Ok(modules) => modules,
            Err(error) => {
                return vec![Check::no(
                    Verdict::Warning,
                    "kernel modules",
                    error.to_string(),
                    "mount /proc, or run on the node itself",
                )];
            }
        };
        let needed = needed(&modules, scheduler.as_str());
        let check = |module| self.module(&modules, module, true);
        needed.iter().map(check).collect()
    }

    /// Those of the list that users know which it would need with other schedulers.
    pub(super) fn other_schedulers(&self, scheduler: Scheduler) -> Vec<Check> {
        let Ok(modules) = self.kernel() else {
            // Said of those that are needed.
            return Vec::new();
        };
        let needed_now = needed(&modules, scheduler.as_str());
        let mut others = Vec::new();
        for listed in ["rr", "wrr", "sh"] {
            for module in needed(&modules, listed) {
                if !needed_now.contains(&module) && !others.contains(&module) {
                    others.push(module);
                }
            }
        }
        let check = |module| self.module(&modules, module, false);
        others.iter().map(check).collect()
    }

    /// Those that the rules of some Services need: ranges of ports and affinity over all ports `xt_connmark`, parts of SCTP's
    /// ports `xt_sctp`.
    pub(super) fn for_ranges(&self) -> Vec<Check> {
        let Ok(modules) = self.kernel() else {
            // Said of those that are needed.
            return Vec::new();
        };
        let names = ["xt_connmark", "xt_sctp"];
        let needed = names.iter().filter_map(|name| name.parse().ok());
        needed
            .map(|module| self.module(&modules, &module, false))
            .collect()
    }

    fn kernel(&self) -> Result<Modules, kmod_probe::Error> {
        let running = Modules::of_running_kernel()?;
        if self.is_this_one() {
            return Ok(running);
        }
        Ok(Modules::at(&self.root, running.release()))
    }

    pub(super) fn is_this_one(&self) -> bool {
        self.root.as_os_str() == "/"
    }

    fn module(&self, modules: &Modules, module: &ModuleName, needed: bool) -> Check {
        let name = format!("module {module}");
        // What answers is there, even if no file lists it.
        if self.is_this_one() && answers(module.as_str()) {
            let found = match modules.presence(module) {
                Ok(presence) if presence.is_ready() => presence.to_string(),
                _ => "there: it answers".to_owned(),
            };
            return Check::works(name, found);
        }
        let verdict = if needed {
            Verdict::Fails
        } else {
            Verdict::Warning
        };
        match modules.presence(module) {
            Ok(presence) if presence.is_ready() => Check::works(name, presence.to_string()),
            Ok(presence @ Presence::Loadable(_)) => match modules.forbidden_by(module) {
                Ok(Some(rule)) => Check::no(
                    verdict,
                    name,
                    format!("{presence}, but the administrator forbids it: {rule}"),
                    format!(
                        "remove line {} of {}, then modprobe {module}",
                        rule.line,
                        rule.path.display()
                    ),
                ),
                _ => Check {
                    remedy: Some(format!("modprobe {module}")),
                    ..Check::works(name, format!("{presence}, as the daemon does"))
                },
            },
            Ok(presence) => {
                let remedy = remedy(&presence, module, modules.release());
                Check::no(verdict, name, presence.to_string(), remedy)
            }
            Err(error) => Check::no(
                verdict,
                name,
                error.to_string(),
                format!("modprobe {module}"),
            ),
        }
    }
}

/// The modules that go with a scheduler.
fn needed(modules: &Modules, scheduler: &str) -> Vec<ModuleName> {
    let version = modules.version().unwrap_or(KernelVersion::new(4, 19, 0));
    required_modules(version, scheduler).unwrap_or_default()
}

/// How a module that is not there comes to be there.
fn remedy(presence: &Presence, module: &ModuleName, release: &str) -> String {
    match presence {
        Presence::Absent(Absence::NoModuleSupport) => {
            format!("boot a kernel that has {module}: this one cannot load it")
        }
        Presence::Absent(Absence::NotListed { .. }) => {
            format!("apt-get install linux-modules-extra-{release} && modprobe {module}")
        }
        Presence::Absent(Absence::NoList { .. }) => format!("depmod -a && modprobe {module}"),
        _ => format!("modprobe {module}"),
    }
}

/// Whether the kernel does what the module is for, where that can be tried.
fn answers(module: &str) -> bool {
    if module == "ip_vs" {
        return Client::open().is_ok_and(|mut client| client.info().is_ok());
    }
    if let Some(scheduler) = module.strip_prefix("ip_vs_") {
        return Scheduler::new(scheduler).is_ok_and(|scheduler| try_scheduler(scheduler).is_ok());
    }
    // Connection tracking shows in /proc once it is there. Of an extension of iptables nothing shows.
    module.starts_with("nf_conntrack")
        && std::path::Path::new("/proc/sys/net/netfilter/nf_conntrack_max").exists()
}

/// Tries whether IPVS has a scheduler, as kube-proxy does: a virtual server at an address of TEST-NET-2, gone a moment
/// later.
///
/// One that is there already and has no destinations was left by a trial that was cut off, or belongs to one that is under way:
/// it goes, or nothing could be tried any more. One with destinations is not ours to touch.
pub(crate) fn try_scheduler(scheduler: Scheduler) -> Result<(), Error> {
    let mut client = Client::open()?;
    let id = VirtualServerId::Address {
        protocol: Protocol::TCP,
        address: Ipv4Addr::new(198, 51, 100, 0).into(),
        port: 20000,
    };
    let config = VirtualServerConfig::new(scheduler);
    match client.add_service(id, config) {
        Err(error) if is(&error, Reason::ServiceExists) && client.destinations(id)?.is_empty() => {
            remove(&mut client, id)?;
            client.add_service(id, config)?;
        }
        added => added?,
    }
    remove(&mut client, id)
}

/// Removes a virtual server, if another trial has not.
fn remove(client: &mut Client, id: VirtualServerId) -> Result<(), Error> {
    match client.delete_service(id) {
        Err(error) if is(&error, Reason::NoSuchService) => Ok(()),
        removed => removed,
    }
}

fn is(error: &Error, reason: Reason) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.reason() == reason)
}
