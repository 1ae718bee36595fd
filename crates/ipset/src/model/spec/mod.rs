//! What a set is created with.

mod check;
mod check_entry;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use crate::{Family, Method, PortRange, SetName, SetType};

/// Seconds: the longest timeout of a set or an entry (`IPSET_MAX_TIMEOUT`).
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/netfilter/ipset/ip_set.h>
pub const MAX_TIMEOUT: u32 = 2_147_483;

/// A set without its entries: name, type, family and options.
///
/// Prints as the `create` line of `ipset save`:
///
/// ```
/// use ipset_netlink::{Family, SetName, SetSpec, SetType};
/// let spec = SetSpec::hash(SetName::new("KUBE-CLUSTER-IP")?, SetType::HASH_IP_PORT, Family::V4);
/// assert_eq!(spec.to_string(), "create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536");
/// # Ok::<(), ipset_netlink::Error>(())
/// ```
///
/// `ipset` 7.17 never prints `forceadd`, though the kernel reports it; it is printed here, where
/// `ipset restore` reads it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct SetSpec {
    /// Its name.
    pub name: SetName,
    /// Its type.
    pub set_type: SetType,
    /// Its family; none where the type has no addresses.
    pub family: Option<Family>,
    /// Its options.
    pub options: CreateOptions,
}

/// What a set can be created with beside its type. All are optional; each type takes some.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct CreateOptions {
    /// What a bitmap spans.
    pub range: Option<BitmapRange>,
    /// Buckets of a hash to begin with; the kernel rounds up to a power of two of at least 64.
    pub hashsize: Option<u32>,
    /// Most elements a hash can have.
    pub maxelem: Option<u32>,
    /// Prefix length that addresses are cut to: `bitmap:ip`, `hash:ip`; from Linux 6.3
    /// `hash:ip,port`, `hash:net,net`.
    pub netmask: Option<u8>,
    /// Any mask in place of `netmask` (Linux 6.3): `hash:ip`, `hash:ip,port`, `hash:net,net`.
    pub bitmask: Option<IpAddr>,
    /// Bits of the mark that count in `hash:ip,mark`.
    pub markmask: Option<u32>,
    /// Members a `list:set` is made for; the kernel makes it at least 4, and today's take more all
    /// the same.
    pub size: Option<u32>,
    /// Seconds after which an entry without a timeout of its own expires, 0 for never. `None`: entries
    /// have no timeouts.
    pub timeout: Option<u32>,
    /// Whether entries count packets and bytes.
    pub counters: bool,
    /// Whether entries can have a comment.
    pub comment: bool,
    /// Whether a full hash makes room for a new entry by dropping another.
    pub forceadd: bool,
    /// Whether entries can have [`SkbInfo`](crate::SkbInfo).
    pub skbinfo: bool,
    /// Entries in a bucket of the hash before it grows (Linux 5.11); the kernel chooses where none
    /// is given.
    pub bucketsize: Option<u8>,
    /// Seed of the hash (Linux 5.11); the kernel chooses where none is given.
    pub initval: Option<u32>,
}

/// What a bitmap spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BitmapRange {
    /// `bitmap:port`.
    Ports(PortRange),
    /// `bitmap:ip` and `bitmap:ip,mac`: first and last address, both included.
    Addresses(Ipv4Addr, Ipv4Addr),
}

impl SetSpec {
    /// Buckets of a hash where none are given (`IPSET_DEFAULT_HASHSIZE`).
    pub const DEFAULT_HASHSIZE: u32 = 1024;
    /// Most elements of a hash where no number is given (`IPSET_DEFAULT_MAXELEM`).
    pub const DEFAULT_MAXELEM: u32 = 65536;
    /// Members of a `list:set` where no number is given (`IP_SET_LIST_DEFAULT_SIZE`).
    pub const DEFAULT_LIST_SIZE: u32 = 8;

    /// A set without options.
    #[must_use]
    pub fn new(name: SetName, set_type: SetType, family: impl Into<Option<Family>>) -> Self {
        Self {
            name,
            set_type,
            family: family.into(),
            options: CreateOptions::default(),
        }
    }

    /// A hash with the kernel's defaults. `hash:mac` has no family and ignores `family`.
    #[must_use]
    pub fn hash(name: SetName, set_type: SetType, family: Family) -> Self {
        let options = CreateOptions {
            hashsize: Some(Self::DEFAULT_HASHSIZE),
            maxelem: Some(Self::DEFAULT_MAXELEM),
            markmask: (set_type == SetType::HASH_IP_MARK).then_some(u32::MAX),
            ..CreateOptions::default()
        };
        Self {
            name,
            set_type,
            family: (set_type != SetType::HASH_MAC).then_some(family),
            options,
        }
    }

    /// A `bitmap:port` of these ports.
    #[must_use]
    pub fn bitmap_port(name: SetName, ports: RangeInclusive<u16>) -> Self {
        let range = BitmapRange::Ports(PortRange::new(*ports.start(), *ports.end()));
        let options = CreateOptions {
            range: Some(range),
            ..CreateOptions::default()
        };
        Self {
            name,
            set_type: SetType::BITMAP_PORT,
            family: None,
            options,
        }
    }

    /// A `bitmap:ip` of these addresses.
    #[must_use]
    pub fn bitmap_ip(name: SetName, addresses: RangeInclusive<Ipv4Addr>) -> Self {
        let (one, other) = addresses.into_inner();
        let range = BitmapRange::Addresses(one.min(other), one.max(other));
        let options = CreateOptions {
            range: Some(range),
            ..CreateOptions::default()
        };
        Self {
            name,
            set_type: SetType::BITMAP_IP,
            family: Some(Family::V4),
            options,
        }
    }

    /// A `list:set` with room for `size` members.
    #[must_use]
    pub fn list(name: SetName, size: u32) -> Self {
        let options = CreateOptions {
            size: Some(size),
            ..CreateOptions::default()
        };
        Self {
            name,
            set_type: SetType::LIST_SET,
            family: None,
            options,
        }
    }

    /// The set with a default timeout of its entries in seconds, 0 for never. Only with one can entries
    /// have timeouts.
    #[must_use]
    pub fn with_timeout(mut self, seconds: u32) -> Self {
        self.options.timeout = Some(seconds);
        self
    }

    /// The set with counters of packets and bytes for each entry.
    #[must_use]
    pub fn with_counters(mut self) -> Self {
        self.options.counters = true;
        self
    }

    /// The set with comments, so that entries can have one.
    #[must_use]
    pub fn with_comments(mut self) -> Self {
        self.options.comment = true;
        self
    }

    /// The set with [`SkbInfo`](crate::SkbInfo) for its entries.
    #[must_use]
    pub fn with_skbinfo(mut self) -> Self {
        self.options.skbinfo = true;
        self
    }

    /// The hash with another number of buckets to begin with; see
    /// [`with_room_for`](Self::with_room_for).
    #[must_use]
    pub fn with_hashsize(mut self, buckets: u32) -> Self {
        self.options.hashsize = Some(buckets);
        self
    }

    /// The hash with another limit of its elements.
    #[must_use]
    pub fn with_maxelem(mut self, elements: u32) -> Self {
        self.options.maxelem = Some(elements);
        self
    }

    /// The hash with room for this many elements from the start: `hashsize` is raised to a bucket for
    /// each, `maxelem` to their number, where they are lower. Other types stay as they are.
    ///
    /// A hash that has room does not grow. That saves work, and it avoids a fault of Linux: while two
    /// programs add to a hash and the kernel makes it larger, entries get lost or appear twice. (A
    /// bucket holds up to 12 entries and starts to overflow when there are several entries for each;
    /// with one for each, hashing them unevenly enough is out of reach.)
    #[must_use]
    pub fn with_room_for(mut self, elements: usize) -> Self {
        if self.set_type.method() == Some(Method::Hash) {
            let elements = u32::try_from(elements).unwrap_or(u32::MAX);
            // The kernel rounds up to a power of two; 2^31 is the largest in 32 bits.
            let buckets = elements.checked_next_power_of_two().unwrap_or(1 << 31);
            let hashsize = self.options.hashsize.get_or_insert(Self::DEFAULT_HASHSIZE);
            *hashsize = buckets.max(*hashsize);
            let maxelem = self.options.maxelem.get_or_insert(Self::DEFAULT_MAXELEM);
            *maxelem = elements.max(*maxelem);
        }
        self
    }

    /// The same without `bucketsize` and `initval`, which the kernel fills in by itself (the second
    /// with a random number), so that a spec compares equal to the one that the kernel reports.
    #[must_use]
    pub fn portable(&self) -> Self {
        let mut portable = self.clone();
        portable.options.bucketsize = None;
        portable.options.initval = None;
        portable
    }

    /// Whether both are of the same type and family, so that the kernel would `swap` them; name and
    /// options may differ.
    ///
    /// The kernel's own rule is looser: it compares families and what elements are made of, not how
    /// they are stored, so that `bitmap:ip` and an IPv4 `hash:ip` would be swapped too: see
    /// [`swappable`](Self::swappable).
    #[must_use]
    pub fn same_kind(&self, other: &Self) -> bool {
        self.set_type == other.set_type && self.family == other.family
    }

    /// Whether the kernel takes both for the same set when one exists and the other is created with
    /// `-exist`: type, family and options are equal, but for the size and the buckets of a hash.
    ///
    /// <https://github.com/torvalds/linux/blob/v6.12/net/netfilter/ipset/ip_set_hash_gen.h> (`mtype_same_set`)
    #[must_use]
    pub fn same_set(&self, other: &Self) -> bool {
        let compared = |spec: &Self| CreateOptions {
            hashsize: None,
            bucketsize: None,
            initval: None,
            forceadd: false,
            ..spec.options.clone()
        };
        self.same_kind(other) && compared(self) == compared(other)
    }

    /// Whether the kernel would `swap` the two: their families are equal, and their elements match
    /// packets by the same parts (the `features` of their types; whether a part is an address or a
    /// network only matters as "none of them is a network"). Options may differ.
    ///
    /// <https://github.com/torvalds/linux/blob/v6.12/net/netfilter/ipset/ip_set_core.c> (`ip_set_swap`)
    #[must_use]
    pub fn swappable(&self, other: &Self) -> bool {
        use crate::Dimension::{Ip, Net};
        let (mine, theirs) = (self.set_type.dimensions(), other.set_type.dimensions());
        let alike =
            |(one, two): (&_, &_)| one == two || matches!((one, two), (Ip, Net) | (Net, Ip));
        let features = if mine.is_empty() || theirs.is_empty() {
            self.set_type == other.set_type
        } else {
            mine.len() == theirs.len()
                && mine.iter().zip(theirs).all(alike)
                && self.set_type.has_networks() == other.set_type.has_networks()
        };
        features && self.family == other.family
    }
}
