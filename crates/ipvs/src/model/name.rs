//! Names the kernel keeps in 16 bytes, held inline so that configurations stay `Copy`.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Bytes a name may have: `IP_VS_SCHEDNAME_MAXLEN` and `IP_VS_PENAME_MAXLEN` are 16 with the
/// terminating NUL.
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/ip_vs.h#L122-L123>
const MAX_LEN: usize = 15;

/// Filled up with NUL bytes, so that comparing the arrays compares the names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name([u8; MAX_LEN]);

impl Name {
    /// `None` unless there are 1 to 15 bytes, all printable ASCII.
    const fn new(name: &str) -> Option<Self> {
        let mut rest = name.as_bytes();
        let mut bytes = [0; MAX_LEN];
        let mut free: &mut [u8] = &mut bytes;
        if rest.is_empty() {
            return None;
        }
        while let Some((first, tail)) = rest.split_first() {
            let Some((slot, slots)) = free.split_first_mut() else {
                return None;
            };
            if !first.is_ascii_graphic() {
                return None;
            }
            *slot = *first;
            (rest, free) = (tail, slots);
        }
        Some(Self(bytes))
    }

    fn as_str(&self) -> &str {
        let bytes = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        // Only ASCII is ever let in, so the default is never used.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Name);

        impl $type {
            #[doc = concat!("The ", $what, " called `name`: 1 to 15 printable ASCII bytes.\n\n")]
            /// Whether the kernel knows it shows only when it is used.
            ///
            /// # Errors
            /// [`Error::InvalidName`] if the kernel could not hold such a name.
            pub fn new(name: &str) -> Result<Self> {
                Name::new(name)
                    .map(Self)
                    .ok_or_else(|| Error::InvalidName { what: $what, name: name.to_owned() })
            }

            /// The name as the kernel spells it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// For the constants below, checked when they are compiled.
            const fn constant(name: &str) -> Self {
                match Name::new(name) {
                    Some(name) => Self(name),
                    None => Self(Name([b'?'; MAX_LEN])),
                }
            }
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
    Scheduler, "scheduler"
}

name_type! {
    /// What decides which connections belong together, by its kernel name, where the client's
    /// address is not enough. The module is `ip_vs_pe_<name>`.
    PersistenceEngine, "persistence engine"
}

impl Scheduler {
    /// Round robin.
    pub const RR: Self = Self::constant("rr");
    /// Weighted round robin.
    pub const WRR: Self = Self::constant("wrr");
    /// Least connections.
    pub const LC: Self = Self::constant("lc");
    /// Weighted least connections; what `ipvsadm` takes when none is given.
    pub const WLC: Self = Self::constant("wlc");
    /// Locality-based least connections.
    pub const LBLC: Self = Self::constant("lblc");
    /// Locality-based least connections with replication.
    pub const LBLCR: Self = Self::constant("lblcr");
    /// Destination hashing.
    pub const DH: Self = Self::constant("dh");
    /// Source hashing.
    pub const SH: Self = Self::constant("sh");
    /// Shortest expected delay.
    pub const SED: Self = Self::constant("sed");
    /// Never queue.
    pub const NQ: Self = Self::constant("nq");
    /// Weighted failover (Linux 3.18).
    pub const FO: Self = Self::constant("fo");
    /// Weighted overflow (Linux 4.3).
    pub const OVF: Self = Self::constant("ovf");
    /// Maglev hashing (Linux 4.18).
    pub const MH: Self = Self::constant("mh");
    /// Power of two choices (Linux 5.12).
    pub const TWOS: Self = Self::constant("twos");
}

impl PersistenceEngine {
    /// Connections of one SIP call, by its Call-ID.
    pub const SIP: Self = Self::constant("sip");
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
        for name in ["", "sixteen-bytes-xy", "r r", "r\0", "ré", "r\n"] {
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
