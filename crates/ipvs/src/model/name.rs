//! Names that the kernel keeps in 16 bytes, held in place so that configurations are `Copy`.

use std::fmt;
use std::str::FromStr;

use netlink_wire::InlineName;

use crate::uapi::{IP_VS_IFNAME_MAXLEN, IP_VS_PENAME_MAXLEN, IP_VS_SCHEDNAME_MAXLEN};
use crate::{Error, Result};

/// The most bytes of a name: the three limits are 16 with the terminating NUL.
const MAX_LEN: usize = IP_VS_SCHEDNAME_MAXLEN - 1;
const _: () = assert!(
    IP_VS_PENAME_MAXLEN == IP_VS_SCHEDNAME_MAXLEN && IP_VS_IFNAME_MAXLEN == IP_VS_SCHEDNAME_MAXLEN
);

type Name = InlineName<MAX_LEN>;

/// `None` unless there are 1 to 15 bytes, none of them a blank or a control character.
const fn checked(name: &str) -> Option<Name> {
    let mut rest = name.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if first.is_ascii_control() || *first == b' ' {
            return None;
        }
        rest = tail;
    }
    Name::new(name)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $what:literal, {$($(#[$known_doc:meta])* $known:ident = $name:literal;)*}) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Name);

        impl $type {
            #[doc = concat!("The ", $what, " called `name`: 1 to 15 bytes without blanks and control characters.\n\n")]
            /// Whether the kernel knows it shows only when it is used.
            ///
            /// # Errors
            /// [`Error::InvalidName`] if the kernel could not hold such a name.
            pub fn new(name: &str) -> Result<Self> {
                checked(name)
                    .map(Self)
                    .ok_or_else(|| Error::InvalidName { what: $what, name: name.to_owned() })
            }

            /// The name as the kernel spells it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            $(
                $(#[$known_doc])*
                pub const $known: Self = match checked($name) {
                    Some(name) => Self(name),
                    None => panic!("not a name"),
                };
            )*
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($type), self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                Self::new(name)
            }
        }
    };
}

name_type! {
    /// The algorithm that chooses a destination for a connection, by its kernel name.
    ///
    /// Each is a module of its own, `ip_vs_<name>`, which the kernel loads when a virtual server
    /// first asks for it.
    Scheduler, "scheduler", {
        /// Round robin.
        RR = "rr";
        /// Weighted round robin.
        WRR = "wrr";
        /// Least connections.
        LC = "lc";
        /// Weighted least connections; what `ipvsadm` takes when none is given.
        WLC = "wlc";
        /// Locality-based least connections.
        LBLC = "lblc";
        /// Locality-based least connections with replication.
        LBLCR = "lblcr";
        /// Destination hashing.
        DH = "dh";
        /// Source hashing.
        SH = "sh";
        /// Shortest expected delay.
        SED = "sed";
        /// Never queue.
        NQ = "nq";
        /// Weighted failover (Linux 3.18).
        FO = "fo";
        /// Weighted overflow (Linux 4.3).
        OVF = "ovf";
        /// Maglev hashing (Linux 4.18).
        MH = "mh";
        /// Power of two choices (Linux 5.12).
        TWOS = "twos";
    }
}

name_type! {
    /// What decides which connections belong together, by its kernel name, where the client's
    /// address is not enough. The module is `ip_vs_pe_<name>`.
    PersistenceEngine, "persistence engine", {
        /// Connections of one SIP call, by its Call-ID.
        SIP = "sip";
    }
}

name_type! {
    /// The name of a network interface.
    InterfaceName, "interface", {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_as_given() {
        for name in ["rr", "lblcr", "a", "fifteen-bytes-x"] {
            assert_eq!(Scheduler::new(name).unwrap().as_str(), name);
        }
        assert_eq!(Scheduler::TWOS.to_string(), "twos");
        assert_eq!(
            format!("{:?}", PersistenceEngine::SIP),
            "PersistenceEngine(sip)"
        );
        assert_eq!("mh".parse(), Ok(Scheduler::MH));
    }

    #[test]
    fn names_the_kernel_cannot_hold_are_refused() {
        for name in [
            "",
            "sixteen-bytes-xy",
            "fünfzehn-bytes-x",
            "r r",
            "r\0",
            "r\n",
        ] {
            let refused = Scheduler::new(name);
            assert_eq!(
                refused,
                Err(Error::InvalidName {
                    what: "scheduler",
                    name: name.to_owned()
                })
            );
        }
    }

    #[test]
    fn names_sort_as_text() {
        let mut names = [
            Scheduler::WRR,
            Scheduler::LBLCR,
            Scheduler::LBLC,
            Scheduler::LC,
        ];
        names.sort();
        assert_eq!(
            names.map(|name| name.to_string()),
            ["lblc", "lblcr", "lc", "wrr"]
        );
    }
}
