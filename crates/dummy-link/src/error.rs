//! What can go wrong with links and addresses.

use ipnetwork::IpNetwork;

use crate::LinkName;

/// Why an operation on a link failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such link.
    #[error("there is no link {link}")]
    LinkMissing {
        /// Its name.
        link: LinkName,
    },
    /// The link is none of ours to make or delete: it is no dummy link.
    #[error("link {link} is {}, not a dummy link: choose another name", kind.as_deref().unwrap_or("a device"))]
    NotDummy {
        /// Its name.
        link: LinkName,
        /// What it is: `bridge`, `veth`. `None` for hardware and loopback.
        kind: Option<String>,
    },
    /// The name is an alternative name of another link.
    #[error("{link} is an alternative name of link {holder}: choose another name")]
    NameTaken {
        /// The name.
        link: LinkName,
        /// The link that has it.
        holder: LinkName,
    },
    /// This kernel has no dummy links.
    #[error("cannot make link {link}: this kernel has no dummy links, load its module `dummy`")]
    DummyUnsupported {
        /// The link to be made.
        link: LinkName,
    },
    /// The kernel refuses for lack of permission.
    #[error("changing link {link} takes the capability CAP_NET_ADMIN in its network namespace")]
    NotPermitted {
        /// The link.
        link: LinkName,
    },
    /// IPv6 is switched off on the link.
    #[error(
        "cannot add {address} to {link}: IPv6 is disabled there, \
         see the sysctl net.ipv6.conf.{link}.disable_ipv6"
    )]
    Ipv6Disabled {
        /// The link.
        link: LinkName,
        /// The address to be added.
        address: IpNetwork,
    },
    /// This kernel has no IPv6.
    #[error("cannot add {address} to {link}: this kernel has no IPv6")]
    Ipv6Unsupported {
        /// The link.
        link: LinkName,
        /// The address to be added.
        address: IpNetwork,
    },
    /// The kernel refuses the address.
    #[error("cannot {action} address {address} of link {link}: {reason}")]
    Address {
        /// `add` or `remove`.
        action: &'static str,
        /// The link.
        link: LinkName,
        /// The address.
        address: IpNetwork,
        /// What the transport says.
        reason: netlink_batch::Error,
    },
    /// An operation on the link as a whole failed.
    #[error("cannot {action} link {link}: {reason}")]
    Link {
        /// `make`, `delete`, `look up`, `set up`, `set down` or `list the addresses of`.
        action: &'static str,
        /// The link.
        link: LinkName,
        /// What the transport says.
        reason: netlink_batch::Error,
    },
    /// A reply of the kernel could not be read.
    #[error("cannot read the kernel's description of a {what}: {reason}")]
    Malformed {
        /// `link` or `address`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The socket of a [`Monitor`](crate::Monitor) failed.
    #[error("cannot {action} the notifications of links and addresses: {reason}")]
    Monitor {
        /// `open`, `read` or `wait for`.
        action: &'static str,
        /// What the operating system says.
        reason: String,
    },
    /// The socket failed, or a listing did.
    #[error("cannot list links and addresses: {0}")]
    Netlink(#[from] netlink_batch::Error),
}
