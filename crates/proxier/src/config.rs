//! How the proxy is configured: the part of kube-proxy's configuration that concerns its ipvs mode.

use std::net::IpAddr;
use std::time::Duration;

use dummy_link::LinkName;
use ipnetwork::IpNetwork;
use ipvs_netlink::{Scheduler, Timeouts};

use crate::cluster::{Family, Host};
use crate::layout::{DROP_MARK, Layout, loopback, nftables};
use crate::ownership::Ownership;

/// The configuration that [`translate`](crate::translate()) follows.
///
/// The crate `proxier-manifest` reads it from a `KubeProxyConfiguration`; [`Default`] is what kube-proxy
/// does with an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Which chains and sets are written.
    pub layout: Layout,
    /// The scheduler of every virtual server (`ipvs.scheduler`).
    pub scheduler: Scheduler,
    /// Whether to answer ARP only for addresses of the interface asked on (`ipvs.strictARP`).
    pub strict_arp: bool,
    /// Virtual servers at these addresses are left alone unless a Service wants them (`ipvs.excludeCIDRs`).
    pub exclude_cidrs: Vec<IpNetwork>,
    /// Whether to remove virtual servers that are not recognized as the proxy's, as kube-proxy does, unless
    /// `exclude_cidrs` has their addresses. See [`Ownership`].
    pub remove_foreign_servers: bool,
    /// IPVS's connection timeouts in seconds, 0 to leave one as it is
    /// (`ipvs.tcpTimeout`, `tcpFinTimeout`, `udpTimeout`).
    pub timeouts: Timeouts,
    /// Whether to masquerade all traffic to cluster IPs (`iptables.masqueradeAll`).
    pub masquerade_all: bool,
    /// Which bit of the packet mark asks for masquerading, 0 to 31 (`iptables.masqueradeBit`).
    pub masquerade_bit: u8,
    /// Whether node ports are served at IPv4 loopback addresses too, where `node_port_addresses` allows it
    /// (`iptables.localhostNodePorts`). This takes `route_localnet`. Without a choice they are in iptables mode, and not in
    /// [`Layout::Nftables`]; other layouts do not ask.
    pub localhost_node_ports: Option<bool>,
    /// Whether packets outside a connection's window are tolerated (`conntrack.tcpBeLiberal`). In iptables mode others
    /// are dropped, as the kernel would answer them with a reset.
    pub conntrack_tcp_be_liberal: bool,
    /// How traffic of this node's pods is recognized (`detectLocalMode`).
    pub detect_local: DetectLocal,
    /// On which of the node's addresses node ports are served (`nodePortAddresses`).
    pub node_port_addresses: NodePortAddresses,
    /// Marks and routing of [`Layout::Nftables`].
    pub nftables: nftables::Options,
    /// The name of this node where it is not the host name (`hostnameOverride`).
    pub hostname_override: Option<Box<str>>,
    /// How often everything is compared with the kernel, changes or not (`ipvs.syncPeriod`).
    pub sync_period: Duration,
    /// How long changes are gathered at the least (`ipvs.minSyncPeriod`).
    pub min_sync_period: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            layout: Layout::default(),
            scheduler: Scheduler::RR,
            strict_arp: false,
            exclude_cidrs: Vec::new(),
            remove_foreign_servers: false,
            timeouts: Timeouts::default(),
            masquerade_all: false,
            masquerade_bit: 14,
            localhost_node_ports: None,
            conntrack_tcp_be_liberal: false,
            detect_local: DetectLocal::ClusterCidr(Vec::new()),
            node_port_addresses: NodePortAddresses::All,
            nftables: nftables::Options::default(),
            hostname_override: None,
            sync_period: Duration::from_secs(30),
            min_sync_period: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// The defaults with another layout.
    #[must_use]
    pub fn with_layout(layout: Layout) -> Self {
        Self {
            layout,
            ..Self::default()
        }
    }

    /// Checks what depends on several fields.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] with the field and what is wrong with it.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let invalid = |field, reason| Err(InvalidConfig { field, reason });
        if self.masquerade_bit > 31 {
            return invalid("iptables.masqueradeBit", "is not from 0 to 31");
        }
        if self.layout == Layout::Classic && self.masquerade_mark() == DROP_MARK {
            return invalid(
                "iptables.masqueradeBit",
                "15 is the bit by which the classic layout has packets dropped; choose another",
            );
        }
        self.detect_local.check()?;
        if self.layout == Layout::Nftables {
            self.nftables.check(self.masquerade_mark())?;
        }
        Ok(())
    }

    /// The bit of the packet mark that asks for masquerading.
    #[must_use]
    pub fn masquerade_mark(&self) -> u32 {
        1u32.checked_shl(u32::from(self.masquerade_bit))
            .unwrap_or(1 << 14)
    }

    /// The marks that Services get. Where rules of iptables write other bits, they are none of these.
    pub(crate) fn marks(&self) -> nftables::Options {
        let mut marks = self.nftables;
        if self.layout.has_ipset() {
            marks.service_marks &= !(self.masquerade_mark() | DROP_MARK);
        }
        marks
    }

    /// Whether node ports at IPv4 loopback addresses are asked for, in a layout that has them.
    pub(crate) fn asks_for_localhost_node_ports(&self) -> bool {
        match self.layout {
            Layout::Iptables => self.localhost_node_ports.unwrap_or(true),
            Layout::Nftables => self.localhost_node_ports.unwrap_or(false),
            Layout::Current | Layout::Classic => false,
        }
    }

    /// The IPv4 loopback networks at which node ports are served: where that is asked for, those that the addresses allow.
    pub(crate) fn localhost_node_ports_at(&self) -> Vec<IpNetwork> {
        let asked = self.asks_for_localhost_node_ports();
        let Some(loopback) = loopback(Family::V4).filter(|_| asked) else {
            return Vec::new();
        };
        let allowed = match self.node_port_addresses {
            NodePortAddresses::All => None,
            NodePortAddresses::Primary => return Vec::new(),
            NodePortAddresses::Within(_) => self.node_port_addresses.networks(Family::V4),
        };
        let allowed = allowed.unwrap_or_else(|| vec![loopback]);
        // Of two networks with addresses in common, one contains the other.
        let within = |network: &IpNetwork| match network.contains(loopback.network()) {
            true if network.prefix() <= loopback.prefix() => Some(loopback),
            _ => loopback.contains(network.network()).then_some(*network),
        };
        let mut networks: Vec<_> = allowed.iter().filter_map(within).collect();
        networks.sort_unstable();
        networks.dedup();
        networks
    }

    /// Whether node ports are served at IPv4 loopback addresses.
    pub(crate) fn serves_localhost_node_ports(&self) -> bool {
        !self.localhost_node_ports_at().is_empty()
    }

    /// Which virtual servers that no Service wants are to be removed from a machine.
    #[must_use]
    pub fn ownership(&self, host: &Host) -> Ownership {
        if self.remove_foreign_servers {
            Ownership::AllBut(self.exclude_cidrs.clone())
        } else {
            Ownership::Recognized {
                excluded: self.exclude_cidrs.clone(),
                node_addresses: host.addresses().collect(),
            }
        }
    }

    /// Whether a virtual server at `address` may not be removed as a leftover.
    #[must_use]
    pub fn excludes(&self, address: IpAddr) -> bool {
        self.exclude_cidrs.iter().any(|cidr| cidr.contains(address))
    }
}

/// What is wrong with a [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
#[non_exhaustive]
pub struct InvalidConfig {
    /// The field, as kube-proxy's configuration names it.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// How traffic that comes from this node's own pods is recognized (`detectLocalMode`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DetectLocal {
    /// By a source address inside the cluster's pod networks (`clusterCIDR`). Without one of a family,
    /// local traffic of that family cannot be recognized.
    ClusterCidr(Vec<IpNetwork>),
    /// By a source address inside the Node's `podCIDRs`.
    NodeCidr,
    /// By the bridge it comes in on.
    BridgeInterface(Box<str>),
    /// By the beginning of the name of the interface it comes in on.
    InterfaceNamePrefix(Box<str>),
}

impl DetectLocal {
    /// No link has a name that the kernel refuses, and a rule with it would not come back as it was written.
    fn check(&self) -> Result<(), InvalidConfig> {
        let (field, name, reason) = match self {
            Self::BridgeInterface(name) => (
                "detectLocal.bridgeInterface",
                name.to_string(),
                "is not the name of a link: these have 1 to 15 bytes, without white space, `/`, `:`, `%` and double quotes",
            ),
            Self::InterfaceNamePrefix(prefix) => (
                "detectLocal.interfaceNamePrefix",
                format!("{prefix}0"),
                "is not what the name of a link begins with: 1 to 14 bytes, without white space, `/`, `:`, `%` and double quotes",
            ),
            Self::ClusterCidr(_) | Self::NodeCidr => return Ok(()),
        };
        // The tools take a name for an option or a negation that begins so.
        let is_odd =
            name.starts_with(['-', '!']) || name.contains(|c: char| c.is_control() || c == '"');
        match LinkName::new(&name) {
            Ok(_) if !is_odd => Ok(()),
            _ => Err(InvalidConfig { field, reason }),
        }
    }
}

/// The addresses that node ports are served on (`nodePortAddresses`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodePortAddresses {
    /// All of the node's.
    #[default]
    All,
    /// The Node's own address of each family (`primary`).
    Primary,
    /// Those inside these networks; a family without any network here is not restricted.
    Within(Vec<IpNetwork>),
}

impl NodePortAddresses {
    /// Whether addresses of a family are restricted, and to which networks.
    pub(crate) fn networks(&self, family: Family) -> Option<Vec<IpNetwork>> {
        match self {
            Self::All | Self::Primary => None,
            Self::Within(networks) => {
                let own: Vec<_> = networks
                    .iter()
                    .copied()
                    .filter(|n| Family::of(n.ip()) == family)
                    .collect();
                (!own.is_empty() && own.iter().all(|n| n.prefix() > 0)).then_some(own)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn links_of_pods_have_names_that_the_kernel_takes() {
        let mut config = Config::default();
        let mut checked = |detect_local| {
            config.detect_local = detect_local;
            config.check().map_err(|error| error.field)
        };
        for name in ["cni0", "v-eth.1", "a-name-of-15-by"] {
            assert_eq!(checked(DetectLocal::BridgeInterface(name.into())), Ok(()));
            let prefix = name.get(..name.len().min(14)).unwrap();
            assert_eq!(
                checked(DetectLocal::InterfaceNamePrefix(prefix.into())),
                Ok(())
            );
        }
        let odd = [
            "v  meth",
            "a b",
            "a/b",
            "a:b",
            "a\"b",
            "a\u{1}",
            "!a",
            "-a",
            "a-name-of-16-byt",
            "\u{e0}",
        ];
        for name in odd {
            assert_eq!(
                checked(DetectLocal::BridgeInterface(name.into())),
                Err("detectLocal.bridgeInterface"),
                "{name:?}"
            );
            assert_eq!(
                checked(DetectLocal::InterfaceNamePrefix(name.into())),
                Err("detectLocal.interfaceNamePrefix"),
                "{name:?}"
            );
        }
        // Its links have one byte more at the least.
        let long = DetectLocal::InterfaceNamePrefix("a-name-of-15-by".into());
        assert_eq!(checked(long), Err("detectLocal.interfaceNamePrefix"));
    }
}
