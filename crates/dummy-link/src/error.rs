//! The errors of this crate.

#[cfg(feature = "client")]
use ipnetwork::IpNetwork;
use netlink_wire::DecodeError;

use crate::LinkNameError;
#[cfg(feature = "client")]
use crate::{Family, Lifetimes, LinkName, LocalRoute, MarkRule};

/// Why an operation on a link, rule or route failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such link.
    #[error("there is no link {link}")]
    #[cfg(feature = "client")]
    LinkMissing {
        /// Its name.
        link: LinkName,
    },
    /// The link exists and is of another kind, so that it is left alone.
    #[error("link {link} is {}", other_kind(link, kind.as_deref()))]
    #[cfg(feature = "client")]
    NotDummy {
        /// Its name.
        link: LinkName,
        /// Its kind: `bridge`, `veth`. `None` for hardware and loopback.
        kind: Option<String>,
    },
    /// The name is an alternative name of another link.
    #[error("{link} is an alternative name of link {holder}: choose another name")]
    #[cfg(feature = "client")]
    NameTaken {
        /// The name.
        link: LinkName,
        /// The link that has this alternative name.
        holder: LinkName,
    },
    /// This kernel has no dummy links.
    #[error("cannot create link {link}: this kernel has no dummy links, load its module `dummy`")]
    #[cfg(feature = "client")]
    DummyUnsupported {
        /// The link to be created.
        link: LinkName,
    },
    /// The process lacks a capability.
    #[error("changing link {link} takes the capability CAP_NET_ADMIN in its network namespace")]
    #[cfg(feature = "client")]
    NotPermitted {
        /// The link.
        link: LinkName,
    },
    /// IPv6 is switched off on the link.
    #[error(
        "cannot add {address} to {link}: IPv6 is disabled there, \
         see the sysctl net.ipv6.conf.{link}.disable_ipv6"
    )]
    #[cfg(feature = "client")]
    Ipv6Disabled {
        /// The link.
        link: LinkName,
        /// The address to be added.
        address: IpNetwork,
    },
    /// This kernel has no IPv6.
    #[error("cannot add {address} to {link}: this kernel has no IPv6")]
    #[cfg(feature = "client")]
    Ipv6Unsupported {
        /// The link.
        link: LinkName,
        /// The address to be added.
        address: IpNetwork,
    },
    /// The lifetimes are none that an address can have.
    #[error(
        "cannot add {address} to {link} with {lifetimes}: the valid lifetime must not be 0, \
         nor shorter than the preferred one"
    )]
    #[cfg(feature = "client")]
    InvalidLifetimes {
        /// The link.
        link: LinkName,
        /// The address to be added.
        address: IpNetwork,
        /// Its lifetimes.
        lifetimes: Lifetimes,
    },
    /// The kernel rejected the address.
    #[error("cannot {action} address {address} of link {link}: {reason}")]
    #[cfg(feature = "client")]
    Address {
        /// `add` or `remove`.
        action: &'static str,
        /// The link.
        link: LinkName,
        /// The address.
        address: IpNetwork,
        /// The kernel's answer, or why there is none.
        #[source]
        reason: netlink_batch::Error,
    },
    /// An operation on the link as a whole failed.
    #[error("cannot {action} link {link}: {reason}")]
    #[cfg(feature = "client")]
    Link {
        /// `create`, `delete`, `look up`, `set up`, `set down` or `list the addresses of`.
        action: &'static str,
        /// The link.
        link: LinkName,
        /// The kernel's answer, or why there is none.
        #[source]
        reason: netlink_batch::Error,
    },
    /// The process lacks a capability.
    #[error(
        "changing rules and routes takes the capability CAP_NET_ADMIN in the network namespace"
    )]
    #[cfg(feature = "client")]
    RoutingNotPermitted,
    /// This kernel has no policy routing for the family.
    #[error("this kernel has no policy routing for {family}")]
    #[cfg(feature = "client")]
    RoutingUnsupported {
        /// The family.
        family: Family,
    },
    /// The table has another route to these addresses.
    #[error(
        "cannot add the route {route}: the table has another route to these addresses, \
         choose another table"
    )]
    #[cfg(feature = "client")]
    RouteTaken {
        /// The route to be added.
        route: LocalRoute,
    },
    /// The link of the route is down.
    #[error("cannot add the route {route}: the link with index {} is down", route.link)]
    #[cfg(feature = "client")]
    LinkDown {
        /// The route to be added.
        route: LocalRoute,
    },
    /// The kernel rejected the rule.
    #[error("cannot {action} the rule {rule}: {reason}")]
    #[cfg(feature = "client")]
    Rule {
        /// `add` or `remove`.
        action: &'static str,
        /// The rule.
        rule: MarkRule,
        /// The kernel's answer, or why there is none.
        #[source]
        reason: netlink_batch::Error,
    },
    /// The kernel rejected the route.
    #[error("cannot {action} the route {route}: {reason}")]
    #[cfg(feature = "client")]
    Route {
        /// `add` or `remove`.
        action: &'static str,
        /// The route.
        route: LocalRoute,
        /// The kernel's answer, or why there is none.
        #[source]
        reason: netlink_batch::Error,
    },
    /// Rules or routes could not be listed.
    #[error("cannot list {what}: {reason}")]
    #[cfg(feature = "client")]
    RoutingList {
        /// `rules`, or the table's `routes`.
        what: &'static str,
        /// The kernel's answer, or why there is none.
        #[source]
        reason: netlink_batch::Error,
    },
    /// A reply of the kernel could not be read.
    #[error("cannot read the kernel's description of a {what}: {reason}")]
    Malformed {
        /// `link`, `address`, `rule` or `route`.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        reason: DecodeError,
    },
    /// A text cannot be the name of a link.
    #[error(transparent)]
    LinkName(#[from] LinkNameError),
    /// The socket of a [`Monitor`](crate::Monitor) failed.
    #[error("cannot {action} the notifications of rtnetlink: {reason}")]
    #[cfg(feature = "client")]
    Monitor {
        /// `open`, `read` or `wait for`.
        action: &'static str,
        /// The operating system's error.
        reason: String,
        /// Its number.
        code: Option<i32>,
    },
    /// The socket failed, or a listing did.
    #[error("cannot list links and addresses: {0}")]
    #[cfg(feature = "client")]
    Netlink(#[from] netlink_batch::Error),
}

#[cfg(feature = "client")]
fn other_kind(link: &LinkName, kind: Option<&str>) -> String {
    match kind {
        None => "a device, not a dummy link: choose another name".to_owned(),
        Some(kind) => format!(
            "of kind {}, not a dummy link: choose another name, or delete it with `ip link delete {link}`",
            kind.escape_debug()
        ),
    }
}
