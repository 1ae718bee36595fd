//! Kernel modules, loaded before they are used.

use kmod_probe::{Error, ModuleName, Modules};
use proxier::Layout;
use proxier::cluster::Family;

use crate::LinuxKernel;

/// Has those of some modules that the kernel lacks loaded in one run of `modprobe`. Otherwise it runs one for each, as it is first
/// used.
///
/// # Errors
///
/// Why `modprobe` cannot be run.
pub(crate) fn load_ahead<'a>(names: impl IntoIterator<Item = &'a &'a str>) -> Result<(), Error> {
    let names = names.into_iter().map(|name| name.parse());
    let names = names.collect::<Result<Vec<ModuleName>, _>>()?;
    Modules::of_running_kernel()?.load_ahead(&names)
}

/// Of the sets that layouts with ipset have, and of the rules that match them.
const OF_SETS: [&str; 6] = [
    "ip_set_bitmap_port",
    "ip_set_hash_ip",
    "ip_set_hash_ipport",
    "ip_set_hash_ipportip",
    "ip_set_hash_ipportnet",
    "xt_set",
];

/// Of the rules that every layout with iptables has.
const OF_RULES: [&str; 6] = [
    "ipt_REJECT",
    "xt_MASQUERADE",
    "xt_addrtype",
    "xt_comment",
    "xt_conntrack",
    "xt_mark",
];

impl LinuxKernel {
    /// Has the modules loaded in one go that the layout's first sync with this scheduler makes the kernel load one after the
    /// other. What cannot be loaded so, the kernel may still load then. Layout `nftables` has no program run, nor a
    /// module of another layout loaded.
    pub fn load_ahead(&self, scheduler: &str) {
        if self.layout == Layout::Nftables {
            return;
        }
        let scheduler = format!("ip_vs_{scheduler}");
        let mut names = OF_RULES.to_vec();
        if self.rules.get(Family::V6).is_some() {
            names.push("ip6t_REJECT");
        }
        if self.layout.uses_ipvs() {
            names.push(&scheduler);
        }
        if self.layout.has_ipset() {
            names.extend(OF_SETS);
        }
        // The checks name what is missing.
        let _ = load_ahead(&names);
    }
}
