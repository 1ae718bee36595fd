//! The kernel's own settings that service proxying depends on.

use std::fmt;

use ipvs_netlink::Timeouts;
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
    /// `net/ipv4/conf/all/route_localnet`: packets to and from loopback addresses are routed, which node ports at
    /// loopback addresses need.
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
    let localhost = config.serves_localhost_node_ports();
    let localhost = localhost.then_some((Sysctl::RouteLocalnet, 1));
    if !config.layout.uses_ipvs() {
        return localhost.into_iter().collect();
    }
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
    wanted.extend(localhost);
    wanted.sort_unstable();
    wanted
}

/// The timeouts wanted of IPVS, where it is used.
pub(crate) fn timeouts(config: &Config) -> Timeouts {
    if config.layout.uses_ipvs() {
        config.timeouts
    } else {
        Timeouts::default()
    }
}

/// IPVS's connection timeouts after a request to set them, in which 0 leaves one as it is.
pub(crate) const fn timeouts_after(before: Timeouts, request: Timeouts) -> Timeouts {
    const fn after(before: u32, request: u32) -> u32 {
        if request == 0 { before } else { request }
    }
    Timeouts {
        tcp: after(before.tcp, request.tcp),
        tcp_fin: after(before.tcp_fin, request.tcp_fin),
        udp: after(before.udp, request.udp),
    }
}

/// The request that makes `wanted` of the timeouts found; 0 wants one as it is found. `None` if all are as wanted.
pub(crate) fn timeouts_request(wanted: Timeouts, found: Timeouts) -> Option<Timeouts> {
    const fn request(wanted: u32, found: u32) -> u32 {
        if wanted == found { 0 } else { wanted }
    }
    let request = Timeouts {
        tcp: request(wanted.tcp, found.tcp),
        tcp_fin: request(wanted.tcp_fin, found.tcp_fin),
        udp: request(wanted.udp, found.udp),
    };
    (request != Timeouts::default()).then_some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_changes_the_timeouts_that_differ_and_no_others() {
        let timeouts = |tcp, tcp_fin, udp| Timeouts { tcp, tcp_fin, udp };
        let found = timeouts(900, 120, 300);
        for (wanted, request, after) in [
            (timeouts(0, 0, 0), None, found),
            (found, None, found),
            (timeouts(0, 120, 0), None, found),
            (
                timeouts(60, 0, 0),
                Some(timeouts(60, 0, 0)),
                timeouts(60, 120, 300),
            ),
            (
                timeouts(900, 7, 0),
                Some(timeouts(0, 7, 0)),
                timeouts(900, 7, 300),
            ),
            (
                timeouts(1, 2, 3),
                Some(timeouts(1, 2, 3)),
                timeouts(1, 2, 3),
            ),
        ] {
            assert_eq!(timeouts_request(wanted, found), request, "{wanted:?}");
            let made = timeouts_after(found, request.unwrap_or_default());
            assert_eq!(made, after, "{wanted:?}");
            assert_eq!(timeouts_request(wanted, made), None, "{wanted:?}");
        }
    }

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
