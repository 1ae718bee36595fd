//! Which revision of a type brought which option.
//!
//! A kernel silently ignores an option that its revision of the type does not know. So a client has to
//! ask for the revision first.
//!
//! The numbers are in the comments at the head of each
//! [`ip_set_*.c`](https://github.com/torvalds/linux/tree/v6.12/net/netfilter/ipset).

use crate::{SetSpec, SetType};

/// The revisions of a type from which on it has an option; 0 for always, [`NEVER`] for never.
struct Since {
    counters: u8,
    comment: u8,
    forceadd: u8,
    skbinfo: u8,
    /// `bucketsize` and `initval`.
    bucketsize: u8,
    /// `bitmask`, and `netmask` where it came with it.
    mask: u8,
    newest: u8,
}

const NEVER: u8 = u8::MAX;

impl SetType {
    /// The newest revision of the type that this crate knows; `None` for a type it does not know.
    #[must_use]
    pub fn newest_revision(&self) -> Option<u8> {
        self.since().map(|since| since.newest)
    }

    fn since(&self) -> Option<Since> {
        // One revision after the other, from the one that brought counters.
        let hash = |counters: u8| Since {
            counters,
            comment: counters + 1,
            forceadd: counters + 2,
            skbinfo: counters + 3,
            bucketsize: counters + 4,
            mask: NEVER,
            newest: counters + 4,
        };
        // Younger types had counters and comments from the start.
        let young = |forceadd: u8, skbinfo: u8, bucketsize: u8| Since {
            counters: 0,
            comment: 0,
            forceadd,
            skbinfo,
            bucketsize,
            mask: NEVER,
            newest: bucketsize,
        };
        Some(match *self {
            Self::BITMAP_IP | Self::BITMAP_IP_MAC | Self::BITMAP_PORT | Self::LIST_SET => Since {
                counters: 1,
                comment: 2,
                skbinfo: 3,
                forceadd: NEVER,
                bucketsize: NEVER,
                mask: NEVER,
                newest: 3,
            },
            Self::HASH_IP => Since {
                mask: 6,
                newest: 6,
                ..hash(1)
            },
            Self::HASH_IP_PORT => Since {
                mask: 7,
                newest: 7,
                ..hash(2)
            },
            Self::HASH_IP_PORT_IP => hash(2),
            Self::HASH_NET => hash(3),
            Self::HASH_IP_PORT_NET | Self::HASH_NET_PORT => hash(4),
            // Revision 7 brought the wildcard.
            Self::HASH_NET_IFACE => Since {
                bucketsize: 8,
                newest: 8,
                ..hash(3)
            },
            Self::HASH_IP_MARK | Self::HASH_NET_PORT_NET => young(1, 2, 3),
            Self::HASH_NET_NET => Since {
                mask: 4,
                newest: 4,
                ..young(1, 2, 3)
            },
            Self::HASH_MAC | Self::HASH_IP_MAC => young(0, 0, 1),
            _ => return None,
        })
    }
}

impl SetSpec {
    /// The oldest revision of its type that has all its options, and the option that asks for it;
    /// `None` for a type that this crate does not know.
    #[must_use]
    pub fn needed_revision(&self) -> Option<(u8, &'static str)> {
        let since = self.set_type.since()?;
        let options = &self.options;
        let late_netmask = ![SetType::HASH_IP, SetType::BITMAP_IP].contains(&self.set_type);
        let needs = [
            (options.counters, since.counters, "counters"),
            (options.comment, since.comment, "comment"),
            (options.forceadd, since.forceadd, "forceadd"),
            (options.skbinfo, since.skbinfo, "skbinfo"),
            (options.bucketsize.is_some(), since.bucketsize, "bucketsize"),
            (options.initval.is_some(), since.bucketsize, "initval"),
            (options.bitmask.is_some(), since.mask, "bitmask"),
            (
                options.netmask.is_some() && late_netmask,
                since.mask,
                "netmask",
            ),
        ];
        let needed = needs
            .into_iter()
            .filter(|(used, ..)| *used)
            .map(|(_, since, option)| (since, option));
        Some(needed.max_by_key(|(since, _)| *since).unwrap_or((0, "")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux 6.18 said to `TYPE` (6.1 for types that the 6.18 kernel at hand lacked:
    /// hash:net,net has one more since).
    #[test]
    fn newest_revisions() {
        for (set_type, newest) in [
            ("bitmap:ip", 3),
            ("bitmap:ip,mac", 3),
            ("bitmap:port", 3),
            ("list:set", 3),
            ("hash:ip", 6),
            ("hash:mac", 1),
            ("hash:ip,mac", 1),
            ("hash:net", 7),
            ("hash:net,net", 4),
            ("hash:ip,port", 7),
            ("hash:net,port", 8),
            ("hash:ip,port,ip", 6),
            ("hash:ip,port,net", 8),
            ("hash:ip,mark", 3),
            ("hash:net,port,net", 3),
            ("hash:net,iface", 8),
        ] {
            let set_type = SetType::new(set_type).unwrap();
            assert_eq!(set_type.newest_revision(), Some(newest), "{set_type}");
        }
    }

    #[test]
    fn the_option_that_asks_for_most_is_named() {
        let needed = |line: &str| {
            SetSpec::parse(&format!("create s {line}"))
                .unwrap()
                .needed_revision()
        };
        assert_eq!(needed("hash:ip"), Some((0, "")));
        assert_eq!(
            needed("hash:ip netmask 24 counters comment"),
            Some((2, "comment"))
        );
        assert_eq!(
            needed("hash:ip,port netmask 24 counters"),
            Some((7, "netmask"))
        );
        assert_eq!(needed("hash:mac skbinfo"), Some((0, "skbinfo")));
        assert_eq!(needed("hash:net,net skbinfo"), Some((2, "skbinfo")));
        assert_eq!(
            needed("hash:net,iface bucketsize 4"),
            Some((8, "bucketsize"))
        );
    }
}
