//! What this machine's kernel offers, and what this process may do with it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

/// Environment variable that is set in the guest.
pub(crate) const IN_GUEST: &str = "KERNEL_TEST_IN_GUEST";

/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/capability.h>
const CAP_NET_ADMIN: u64 = 1 << 12;
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// The variable's value in a guest with Debian's kernel.
pub(crate) const DEBIAN: &str = "debian";

/// Whether this process is in the guest.
pub(crate) fn is_guest() -> bool {
    std::env::var_os(IN_GUEST).is_some()
}

/// The flavour of iptables that programs find in use where this test runs: `nft` under Debian's kernel in
/// QEMU, `legacy` in User Mode Linux, which has no other. `iptables-{flavour}` is the tool.
#[must_use]
pub fn iptables_flavour() -> &'static str {
    if std::env::var_os(IN_GUEST).is_some_and(|value| value == DEBIAN) {
        "nft"
    } else {
        "legacy"
    }
}

/// Whether this process may make network and mount namespaces and administrate the network: root may,
/// except in most containers.
pub(crate) fn may_administrate() -> bool {
    let wanted = CAP_NET_ADMIN | CAP_SYS_ADMIN;
    geteuid().is_root()
        && fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| effective_capabilities(&status))
            .is_some_and(|effective| effective & wanted == wanted)
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Whether IPVS can be programmed on this machine. Its netlink interface requires CAP_NET_ADMIN in the
/// initial user namespace; root of another user namespace is not enough.
pub(crate) fn has_ipvs() -> bool {
    may_administrate() && is_initial_user_namespace() && (ipvs_is_loaded() || load_ipvs())
}

/// The initial namespace, and only it, maps all users to themselves.
fn is_initial_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

fn ipvs_is_loaded() -> bool {
    Path::new("/proc/net/ip_vs").exists()
}

fn load_ipvs() -> bool {
    let done = Command::new("modprobe")
        .args(["--quiet", "ip_vs"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    done.is_ok_and(|status| status.success()) && ipvs_is_loaded()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_effective_capabilities() {
        let status = "Name:\tcat\nCapPrm:\t0000000000000000\nCapEff:\t00000000a80425fb\n";
        assert_eq!(effective_capabilities(status), Some(0xa804_25fb));
        assert_eq!(effective_capabilities("Name:\tcat\n"), None);
    }
}
