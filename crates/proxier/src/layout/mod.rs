//! What the proxy's sets and chains are called and how they hang together.

mod iptables;
pub mod nftables;
mod reach;
mod rules;
mod sets;

pub(crate) use iptables::{
    FORWARD_CHAIN, LOCALNET_CHAIN, ServiceTables, SharedChain, is_localnet_rule, is_plain,
    is_service_chain, is_service_chain_name, loopback,
};
pub use iptables::{IptablesRules, PortRules, PortSpec, Sources};
pub(crate) use reach::Reach;
pub(crate) use rules::ACCEPT_CHAIN;
pub(crate) use rules::{DROP_MARK, OwnChain, TableRules, owned_table};
pub use rules::{
    FamilyRules, LocalSource, MarkedRange, Masqueraded, PORT_RANGES, RangeRule, SourceRangeDrop,
};
pub use sets::{SetId, SetIds};

/// Which proxy's sets and chains are written.
///
/// Besides sets and chains, a layout has the habits of the kube-proxy it is taken from, each a method here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// Those of kube-proxy v1.36: packets are refused in the filter table.
    #[default]
    Current,
    /// Those of the first kube-proxies with an ipvs mode, as v1.20 still wrote them: packets are refused
    /// by a mark set in the nat table, which needs a rule that the kubelets of that time wrote (see the
    /// crate's documentation).
    Classic,
    /// A table of nf_tables and routing by mark: no address is bound, and neither iptables nor ipset is used. See
    /// [`nftables`].
    Nftables,
    /// Those of kube-proxy v1.36 in iptables mode: rules for each Service port and endpoint, without IPVS, sets, link
    /// and addresses. To users it is a mode of its own, `mode: iptables`.
    Iptables,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Current, Self::Classic, Self::Nftables, Self::Iptables];

    /// Those of kube-proxy's ipvs mode, which are made of ipset's sets, iptables rules and addresses on the proxy's link.
    pub const WITH_IPSET: [Self; 2] = [Self::Current, Self::Classic];

    /// Its name on a command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Classic => "classic",
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        }
    }

    /// The proxy mode that it is of, as kube-proxy's `/proxyMode` names it.
    #[must_use]
    pub const fn proxy_mode(self) -> &'static str {
        match self {
            Self::Current | Self::Classic | Self::Nftables => "ipvs",
            Self::Iptables => "iptables",
        }
    }

    /// Whether it is made of ipset's sets, iptables rules and addresses on the proxy's link.
    #[must_use]
    pub const fn has_ipset(self) -> bool {
        matches!(self, Self::Current | Self::Classic)
    }

    /// Whether Services are virtual servers of IPVS.
    #[must_use]
    pub const fn uses_ipvs(self) -> bool {
        !matches!(self, Self::Iptables)
    }

    /// Whether node ports are served on loopback addresses too.
    pub(crate) const fn node_ports_on_loopback(self) -> bool {
        matches!(self, Self::Classic)
    }

    /// Whether service addresses are bound to the proxy's link even where another link has them.
    pub(crate) const fn binds_addresses_of_other_links(self) -> bool {
        matches!(self, Self::Classic)
    }

    /// Whether a claim is refused whose address would be bound though it is another Node's, an endpoint's or the API
    /// server's.
    pub(crate) const fn spares_reserved_addresses(self) -> bool {
        matches!(self, Self::Current)
    }

    /// Whether the rules of node ports leave out traffic to addresses on the proxy's link, so that it keeps its source
    /// address where a Service's port is the number of a node port. The classic layout has no set of these addresses.
    pub(crate) const fn spares_service_addresses(self) -> bool {
        matches!(self, Self::Current)
    }

    /// Whether a family is written that no Service uses.
    ///
    /// The classic proxy knew one family; IPv6 is added to it only in clusters that have IPv6 Services.
    pub(crate) const fn writes_unused_ipv6(self) -> bool {
        matches!(self, Self::Current | Self::Nftables | Self::Iptables)
    }

    /// By which rules endpoints are chosen.
    pub(crate) const fn endpoint_rules(self) -> EndpointRules {
        match self {
            Self::Current | Self::Iptables => EndpointRules::Conditions,
            Self::Classic => EndpointRules::ReadyOnly,
            Self::Nftables => EndpointRules::Split,
        }
    }

    /// Whether `externalTrafficPolicy` is heeded for external IPs (behind a feature gate until v1.22).
    pub(crate) const fn external_policy_for_external_ips(self) -> bool {
        matches!(self, Self::Current | Self::Nftables | Self::Iptables)
    }

    /// Whether an SCTP node port with `externalTrafficPolicy: Local` lets packets through before the rule that
    /// has all SCTP node ports masqueraded. v1.20 had the two the other way round, so that clients' addresses
    /// were lost; TCP and UDP were in order.
    pub(crate) const fn spares_local_sctp_node_ports(self) -> bool {
        matches!(self, Self::Current)
    }
}

/// By which rules endpoints are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointRules {
    /// By their conditions and hints, falling back to terminating endpoints and from local ones to all.
    Conditions,
    /// Those that are ready, and nothing else is known of them: v1.20 had no hints, no
    /// `internalTrafficPolicy` and no fallback.
    ReadyOnly,
    /// By their conditions and hints, and where a policy is `Local`, those on this node and no others.
    Split,
}
