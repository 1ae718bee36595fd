//! The kernel's own settings that service proxying depends on.

use std::fmt;

use netlink_wire::KernelVersion;

use crate::config::Config;

/// A file under `/proc/sys` that a proxy may write.
///
/// Sources: Documentation/networking/ipvs-sysctl.rst and ip-sysctl.rst in the kernel tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Sysctl {
    /// `net/ipv4/vs/conntrack`: IPVS connections enter netfilter's connection tracking, which
    /// masquerading needs.
    VsConntrack,
    /// `net/ipv4/vs/conn_reuse_mode`: what becomes of a connection whose client port is used again.
    VsConnReuseMode,
    /// `net/ipv4/vs/expire_nodest_conn`: connections to a destination that is gone end at once.
    VsExpireNodestConn,
    /// `net/ipv4/vs/expire_quiescent_template`: affinity to a destination of weight 0 ends at once.
    VsExpireQuiescentTemplate,
    /// `net/ipv4/ip_forward`.
    IpForward,
    /// `net/ipv4/conf/all/arp_ignore`.
    ArpIgnore,
    /// `net/ipv4/conf/all/arp_announce`.
    ArpAnnounce,
    /// `net/ipv4/conf/all/route_localnet`. Shown in snapshots, never written.
    RouteLocalnet,
}

impl Sysctl {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::VsConntrack,
        Self::VsConnReuseMode,
        Self::VsExpireNodestConn,
        Self::VsExpireQuiescentTemplate,
        Self::IpForward,
        Self::ArpIgnore,
        Self::ArpAnnounce,
        Self::RouteLocalnet,
    ];

    /// The file, relative to `/proc/sys`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::VsConntrack => "net/ipv4/vs/conntrack",
            Self::VsConnReuseMode => "net/ipv4/vs/conn_reuse_mode",
            Self::VsExpireNodestConn => "net/ipv4/vs/expire_nodest_conn",
            Self::VsExpireQuiescentTemplate => "net/ipv4/vs/expire_quiescent_template",
            Self::IpForward => "net/ipv4/ip_forward",
            Self::ArpIgnore => "net/ipv4/conf/all/arp_ignore",
            Self::ArpAnnounce => "net/ipv4/conf/all/arp_announce",
            Self::RouteLocalnet => "net/ipv4/conf/all/route_localnet",
        }
    }

    /// The one at a path relative to `/proc/sys`.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sysctl| sysctl.path() == path)
    }

    /// Its value in a network namespace that nobody has touched.
    #[must_use]
    pub const fn fresh(self) -> i64 {
        matches!(self, Self::VsConnReuseMode) as i64
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

/// The values wanted on a kernel of this version.
pub(crate) fn sysctls(config: &Config, kernel: KernelVersion) -> Vec<(Sysctl, i64)> {
    let mut wanted = vec![
        (Sysctl::VsConntrack, 1),
        (Sysctl::VsExpireNodestConn, 1),
        (Sysctl::VsExpireQuiescentTemplate, 1),
        (Sysctl::IpForward, 1),
    ];
    // The file came with 4.1. With 1 (the default) a reused client port cost a second's delay until
    // 5.9 (commit 35dfb013149f "ipvs: queue delayed work to expire no destination connections if expire_nodest_conn=1").
    if kernel >= KernelVersion::new(4, 1, 0) && kernel < KernelVersion::new(5, 9, 0) {
        wanted.push((Sysctl::VsConnReuseMode, 0));
    }
    if config.strict_arp {
        wanted.extend([(Sysctl::ArpIgnore, 1), (Sysctl::ArpAnnounce, 2)]);
    }
    wanted.sort_unstable();
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reuse_mode(kernel: &str) -> Option<i64> {
        let wanted = sysctls(&Config::default(), kernel.parse().unwrap());
        wanted
            .into_iter()
            .find(|(sysctl, _)| *sysctl == Sysctl::VsConnReuseMode)
            .map(|(_, v)| v)
    }

    #[test]
    fn connection_reuse_is_set_only_on_kernels_that_have_it_and_get_it_wrong() {
        assert_eq!(reuse_mode("3.10.0-1160.el7.x86_64"), None);
        assert_eq!(reuse_mode("4.1.0"), Some(0));
        assert_eq!(reuse_mode("5.8.18"), Some(0));
        assert_eq!(reuse_mode("5.9.0"), None);
        assert_eq!(reuse_mode("6.1.176"), None);
    }
}
