//! The sets: their names, types and comments.

use std::sync::LazyLock;

use ipset_netlink::{SetName, SetSpec, SetType};
use ipvs_netlink::Protocol;

use super::Layout;
use crate::cluster::{Family, PerFamily};

/// One of the proxy's sets. There is one of each for either family.
///
/// In the order in which they are filled: what lets packets pass before what holds them back, and what refuses all else
/// last.
/// They are emptied the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum SetId {
    /// Endpoints on this node with themselves as the source: traffic that returns to its sender.
    LoopBack,
    /// Cluster IPs and ports.
    ClusterIp,
    /// External IPs and ports, `externalTrafficPolicy: Cluster`.
    ExternalIp,
    /// External IPs and ports, `externalTrafficPolicy: Local`.
    ExternalIpLocal,
    /// Load balancer addresses and ports.
    LoadBalancer,
    /// Those with `externalTrafficPolicy: Local`.
    LoadBalancerLocal,
    /// The ranges allowed to each of these.
    LoadBalancerSourceCidr,
    /// Those that the node itself is allowed to reach, with themselves as the source.
    LoadBalancerSourceIp,
    /// Those with `loadBalancerSourceRanges`.
    LoadBalancerFw,
    /// TCP node ports.
    NodePortTcp,
    /// TCP node ports, `externalTrafficPolicy: Local`.
    NodePortLocalTcp,
    /// UDP node ports.
    NodePortUdp,
    /// UDP node ports, `externalTrafficPolicy: Local`.
    NodePortLocalUdp,
    /// SCTP node ports with each node address, since a bitmap of ports knows no SCTP.
    NodePortSctp,
    /// SCTP node ports with each node address, `externalTrafficPolicy: Local`.
    NodePortLocalSctp,
    /// Ports that health checks of Services are served on.
    HealthCheckNodePort,
    /// Every address bound to the proxy's link.
    IpvsIps,
    /// Addresses and ports to which what comes in keeps its source. Optional.
    SourceKept,
    /// Cluster IPs and ports to which everything is masqueraded. Optional.
    Masqueraded,
}

/// What the names of sets made for swapping end in, by the set they are made for.
const SWAP_NUMBERS: [&str; SetId::ALL.len()] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
    "17", "18",
];

/// What the members of a set are made of.
enum Members {
    Port,
    Address,
    AddressPort,
    AddressPortAddress,
    AddressPortNet,
}

impl SetId {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::LoopBack,
        Self::ClusterIp,
        Self::ExternalIp,
        Self::ExternalIpLocal,
        Self::LoadBalancer,
        Self::LoadBalancerLocal,
        Self::LoadBalancerSourceCidr,
        Self::LoadBalancerSourceIp,
        Self::LoadBalancerFw,
        Self::NodePortTcp,
        Self::NodePortLocalTcp,
        Self::NodePortUdp,
        Self::NodePortLocalUdp,
        Self::NodePortSctp,
        Self::NodePortLocalSctp,
        Self::HealthCheckNodePort,
        Self::IpvsIps,
        Self::SourceKept,
        Self::Masqueraded,
    ];

    /// Those of a layout.
    pub fn of(layout: Layout) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |id| match id {
            Self::HealthCheckNodePort | Self::IpvsIps => layout == Layout::Current,
            _ => layout.has_ipset(),
        })
    }

    /// Whether it is there only while it has members: kube-proxy has no such set.
    pub(crate) const fn is_optional(self) -> bool {
        matches!(self, Self::SourceKept | Self::Masqueraded)
    }

    /// The set for node ports of a protocol, and the one for those with `externalTrafficPolicy: Local`.
    pub(crate) const fn node_ports(protocol: Protocol) -> Option<(Self, Self)> {
        match protocol {
            Protocol::TCP => Some((Self::NodePortTcp, Self::NodePortLocalTcp)),
            Protocol::UDP => Some((Self::NodePortUdp, Self::NodePortLocalUdp)),
            Protocol::SCTP => Some((Self::NodePortSctp, Self::NodePortLocalSctp)),
            _ => None,
        }
    }

    /// What follows `KUBE-` or `KUBE-6-` in its name.
    const fn suffix(self) -> &'static str {
        match self {
            Self::LoopBack => "LOOP-BACK",
            Self::ClusterIp => "CLUSTER-IP",
            Self::ExternalIp => "EXTERNAL-IP",
            Self::ExternalIpLocal => "EXTERNAL-IP-LOCAL",
            Self::LoadBalancer => "LOAD-BALANCER",
            Self::LoadBalancerLocal => "LOAD-BALANCER-LOCAL",
            Self::LoadBalancerFw => "LOAD-BALANCER-FW",
            Self::LoadBalancerSourceCidr => "LOAD-BALANCER-SOURCE-CIDR",
            Self::LoadBalancerSourceIp => "LOAD-BALANCER-SOURCE-IP",
            Self::NodePortTcp => "NODE-PORT-TCP",
            Self::NodePortLocalTcp => "NODE-PORT-LOCAL-TCP",
            Self::NodePortUdp => "NODE-PORT-UDP",
            Self::NodePortLocalUdp => "NODE-PORT-LOCAL-UDP",
            Self::NodePortSctp => "NODE-PORT-SCTP-HASH",
            Self::NodePortLocalSctp => "NODE-PORT-LOCAL-SCTP-HASH",
            Self::HealthCheckNodePort => "HEALTH-CHECK-NODE-PORT",
            Self::IpvsIps => "IPVS-IPS",
            Self::SourceKept => "SOURCE-KEPT",
            Self::Masqueraded => "MASQUERADED",
        }
    }

    /// Its name, cut to the 31 characters a kernel takes (`IPSET_MAXNAMELEN` in linux/netfilter/ipset/ip_set.h).
    #[must_use]
    pub fn name(self, family: Family) -> SetName {
        static NAMES: LazyLock<PerFamily<[SetName; SetId::ALL.len()]>> = LazyLock::new(|| {
            PerFamily::from_fn(|family| SetId::ALL.map(|id| own_name(family, id.suffix())))
        });
        let known = NAMES.get(family).get(self as usize).copied();
        known.unwrap_or_else(|| own_name(family, self.suffix()))
    }

    /// The name under which it is made anew before the two are swapped.
    #[must_use]
    pub fn swap_name(self, family: Family) -> SetName {
        let number = SWAP_NUMBERS.get(self as usize).copied();
        own_name(family, &format!("SWAP-{}", number.unwrap_or_default()))
    }

    /// The set of a family that has this name, be it as [`Self::name`] or [`Self::swap_name`].
    #[must_use]
    pub fn owner(name: &SetName) -> Option<(Family, Self)> {
        let rest = name.as_str().strip_prefix("KUBE-")?;
        let (family, suffix) = match rest.strip_prefix("6-") {
            Some(suffix) => (Family::V6, suffix),
            None => (Family::V4, rest),
        };
        let number = suffix.strip_prefix("SWAP-");
        let room = SetName::MAX_LEN - (name.as_str().len() - suffix.len());
        let id = Self::ALL.into_iter().find(|id| match number {
            Some(number) => SWAP_NUMBERS.get(*id as usize) == Some(&number),
            None => id.suffix().get(..room).unwrap_or(id.suffix()) == suffix,
        })?;
        Some((family, id))
    }

    /// Its type.
    #[must_use]
    pub const fn set_type(self) -> SetType {
        match self.members() {
            Members::Port => SetType::BITMAP_PORT,
            Members::Address => SetType::HASH_IP,
            Members::AddressPort => SetType::HASH_IP_PORT,
            Members::AddressPortAddress => SetType::HASH_IP_PORT_IP,
            Members::AddressPortNet => SetType::HASH_IP_PORT_NET,
        }
    }

    const fn members(self) -> Members {
        match self {
            Self::LoopBack | Self::LoadBalancerSourceIp => Members::AddressPortAddress,
            Self::LoadBalancerSourceCidr => Members::AddressPortNet,
            Self::NodePortTcp
            | Self::NodePortLocalTcp
            | Self::NodePortUdp
            | Self::NodePortLocalUdp
            | Self::HealthCheckNodePort => Members::Port,
            Self::IpvsIps => Members::Address,
            Self::ClusterIp
            | Self::ExternalIp
            | Self::ExternalIpLocal
            | Self::LoadBalancer
            | Self::LoadBalancerLocal
            | Self::LoadBalancerFw
            | Self::SourceKept
            | Self::Masqueraded
            | Self::NodePortSctp
            | Self::NodePortLocalSctp => Members::AddressPort,
        }
    }

    /// How it is made to hold `members` of them: the kernel's usual 65,536 at the most, or the next
    /// power of two that suffices.
    #[must_use]
    pub fn spec(self, family: Family, members: usize) -> SetSpec {
        let name = self.name(family);
        if self.set_type() == SetType::BITMAP_PORT {
            return SetSpec::bitmap_port(name, 0..=u16::MAX);
        }
        let mut spec = SetSpec::hash(name, self.set_type(), family);
        let needed = u32::try_from(members)
            .unwrap_or(u32::MAX)
            .checked_next_power_of_two();
        spec.options.maxelem = Some(needed.unwrap_or(u32::MAX).max(SetSpec::DEFAULT_MAXELEM));
        spec
    }

    /// The comment of its rules.
    pub(crate) const fn comment(self) -> &'static str {
        match self {
            Self::LoopBack => {
                "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"
            }
            Self::ClusterIp => "Kubernetes service cluster ip + port for masquerade purpose",
            Self::ExternalIp => {
                "Kubernetes service external ip + port for masquerade and filter purpose"
            }
            Self::ExternalIpLocal => {
                "Kubernetes service external ip + port with externalTrafficPolicy=local"
            }
            Self::LoadBalancer => "Kubernetes service lb portal",
            Self::LoadBalancerLocal => {
                "Kubernetes service load balancer ip + port with externalTrafficPolicy=local"
            }
            Self::LoadBalancerFw => {
                "Kubernetes service load balancer ip + port for load balancer with sourceRange"
            }
            Self::LoadBalancerSourceCidr => {
                "Kubernetes service load balancer ip + port + source cidr for packet filter purpose"
            }
            Self::LoadBalancerSourceIp => {
                "Kubernetes service load balancer ip + port + source IP for packet filter purpose"
            }
            Self::NodePortTcp => "Kubernetes nodeport TCP port for masquerade purpose",
            Self::NodePortLocalTcp => {
                "Kubernetes nodeport TCP port with externalTrafficPolicy=local"
            }
            Self::NodePortUdp => "Kubernetes nodeport UDP port for masquerade purpose",
            Self::NodePortLocalUdp => {
                "Kubernetes nodeport UDP port with externalTrafficPolicy=local"
            }
            Self::NodePortSctp => {
                "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'"
            }
            Self::NodePortLocalSctp => {
                "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'"
            }
            Self::HealthCheckNodePort => "Kubernetes health check node port",
            Self::IpvsIps => "Kubernetes service addresses bound on this node",
            Self::SourceKept => "Kubernetes service ip + port that keeps the source",
            Self::Masqueraded => "Kubernetes service cluster ip + port that is always masqueraded",
        }
    }

    /// Which fields of a packet a rule compares with its members.
    pub(crate) const fn directions(self) -> &'static str {
        match self.members() {
            Members::Port | Members::Address => "dst",
            Members::AddressPort => "dst,dst",
            Members::AddressPortAddress | Members::AddressPortNet => "dst,dst,src",
        }
    }

    /// Whether members *exempt* from masquerading: such a set is filled last and emptied first, so that
    /// at no moment traffic to an endpoint elsewhere goes out unmasqueraded.
    pub(crate) const fn exempts(self) -> bool {
        matches!(
            self,
            Self::LoadBalancerLocal
                | Self::NodePortLocalTcp
                | Self::NodePortLocalUdp
                | Self::NodePortLocalSctp
        )
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

#[allow(
    clippy::expect_used,
    reason = "the names are this file's own; a test makes each of them"
)]
fn own_name(family: Family, suffix: &str) -> SetName {
    let prefix = match family {
        Family::V4 => "KUBE-",
        Family::V6 => "KUBE-6-",
    };
    SetName::truncated(&format!("{prefix}{suffix}")).expect("a valid set name")
}

/// A set of [`SetId`]s: which of a family's sets have members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetIds(u32);

impl SetIds {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether one is among them.
    #[must_use]
    pub const fn contains(self, id: SetId) -> bool {
        self.0 & id.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds one.
    pub const fn insert(&mut self, id: SetId) {
        self.0 |= id.bit();
    }
}

impl std::ops::BitOr for SetIds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<SetId> for SetIds {
    fn from_iter<I: IntoIterator<Item = SetId>>(ids: I) -> Self {
        let mut all = Self::NONE;
        ids.into_iter().for_each(|id| all.insert(id));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_lead_back_to_their_sets() {
        let mut names = BTreeSet::new();
        for family in Family::ALL {
            for id in SetId::ALL {
                for name in [id.name(family), id.swap_name(family)] {
                    assert!(names.insert(name.as_str().to_owned()), "{name} twice");
                    assert_eq!(SetId::owner(&name), Some((family, id)));
                }
            }
        }
        assert!(
            names.contains("KUBE-6-LOAD-BALANCER-SOURCE-CID"),
            "cut to 31 characters"
        );
        assert_eq!(SetId::owner(&"MY-SET".parse().unwrap()), None);
    }

    #[test]
    fn a_set_has_room_for_its_members() {
        let maxelem = |members| SetId::ClusterIp.spec(Family::V4, members).to_string();
        assert!(maxelem(0).ends_with("maxelem 65536"));
        assert!(maxelem(65_536).ends_with("maxelem 65536"));
        assert!(maxelem(65_537).ends_with("maxelem 131072"));
    }
}
