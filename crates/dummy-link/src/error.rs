//! The errors of this crate.

#[cfg(feature = "client")]
use ipnetwork::IpNetwork;
use netlink_wire::DecodeError;

#[cfg(feature = "client")]
use crate::LinkName;
use crate::LinkNameError;

/// Why an operation on a link failed.
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
    /// A reply of the kernel could not be read.
    #[error("cannot read the kernel's description of a {what}: {reason}")]
    Malformed {
        /// `link` or `address`.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        reason: DecodeError,
    },
    /// A text cannot be the name of a link.
    #[error(transparent)]
    LinkName(#[from] LinkNameError),
    /// The socket of a [`Monitor`](crate::Monitor) failed.
    #[error("cannot {action} the notifications of links and addresses: {reason}")]
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
