//! Signs that others changed what is programmed, cheap enough to be looked at each second.
//!
//! Reading everything takes time that grows with the cluster, and the kernel reports changes of links and addresses only. So
//! numbers are compared that it has at hand:
//!
//! | part | sign | how |
//! |---|---|---|
//! | IPVS, IPv4 | number of virtual servers; of up to 2,048 of them the settings and the number of destinations | `IP_VS_SO_GET_INFO`, `IP_VS_SO_GET_SERVICES`, `IP_VS_SO_GET_SERVICE` (`linux/ip_vs.h`) |
//! | IPVS, both families | all virtual servers and destinations with their settings, weights too | `/proc/net/ip_vs`, at most 16 KiB, some 250 lines, at a time |
//! | sets | number of entries of each of ours, and of references to it | headers of all sets, in one dump |
//! | rules, legacy | number of rules and their size, tables nat and filter, and mangle where the proxy has rules in it | `IPT_SO_GET_INFO` (`linux/netfilter_ipv4/ip_tables.h`) |
//! | rules, nft | generation, which each transaction of anybody's raises | `NFT_MSG_GETGEN` (`linux/netfilter/nf_tables.h`) |
//! | settings | values under `/proc/sys`, timeouts of IPVS | those files, `IP_VS_SO_GET_TIMEOUT` |
//!
//! Whatever is not seen at once is one of these: IPv6 and weights where there are more than 250 lines, seen once that file has
//! been read, 250 lines each time; one entry of a set, or one rule of the legacy tables, in the place of another, found by the
//! next full comparison. To look at all entries and rules each second would cost as much as that comparison.
//!
//! Around a plan only what it changes is looked at ([`Touched`]): of virtual servers, those that it is about, where they are few.

mod headers;
mod listing;
mod parts;
mod servers;
mod touched;

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::path::Path;

use iptables_restore::Backend;
use netlink_batch::{Bytes, Connection, Header, uapi};
use proxier::cluster::{Family, PerFamily};
use proxier::{SetId, Sysctl};

pub use self::parts::Parts;
pub use self::touched::Touched;

use self::headers::Headers;
use self::listing::Listing;
use self::servers::Servers;
use crate::sockopt::Questions;
use crate::{LinuxKernel, legacy};

/// The first option of IPVS.
const IP_VS_BASE_CTL: i32 = 64 + 1024 + 64;
const IP_VS_SO_GET_TIMEOUT: i32 = IP_VS_BASE_CTL + 6;
/// `sizeof(struct ip_vs_timeout_user)`.
const TIMEOUTS: usize = 12;
/// How much of a value under `/proc/sys` is read.
const VALUE: usize = 16;
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN`.
const NFT_MSG_GETGEN: u16 = 10 << 8 | 16;
/// How much of the answer is a `struct nfgenmsg`.
const NFGENMSG: usize = 4;

/// What was seen. What could not be seen is no sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Of the virtual servers of IPv4.
    pub servers: Option<u64>,
    /// Of all virtual servers and destinations, when they were last looked at as a whole.
    pub listing: Option<u64>,
    /// Of the sets.
    pub sets: Option<u64>,
    /// Of the rules of each family.
    pub rules: PerFamily<Option<u64>>,
    /// Of the kernel's settings.
    pub settings: Option<u64>,
}

impl Signs {
    /// The parts that were changed since, in words.
    #[must_use]
    pub fn changed_since(&self, before: &Self) -> Vec<&'static str> {
        let parts = [
            (self.servers, before.servers, "virtual servers"),
            (
                self.listing,
                before.listing,
                "virtual servers or destinations",
            ),
            (self.sets, before.sets, "sets"),
            (self.rules.v4, before.rules.v4, "iptables"),
            (self.rules.v6, before.rules.v6, "ip6tables"),
            (self.settings, before.settings, "settings"),
        ];
        let changed = parts.into_iter().filter(
            |(now, before, _)| matches!((now, before), (Some(now), Some(before)) if now != before),
        );
        changed.map(|(_, _, part)| part).collect()
    }

    /// Without those of these parts.
    #[must_use]
    pub const fn without(mut self, parts: Parts) -> Self {
        if parts.contains(Parts::SERVERS) {
            (self.servers, self.listing) = (None, None);
        }
        if parts.contains(Parts::SETS) {
            self.sets = None;
        }
        if parts.contains(Parts::RULES) {
            self.rules = PerFamily { v4: None, v6: None };
        }
        if parts.contains(Parts::SETTINGS) {
            self.settings = None;
        }
        self
    }

    /// With those of earlier in the place of what was not seen.
    #[must_use]
    pub fn or(self, earlier: Self) -> Self {
        Self {
            servers: self.servers.or(earlier.servers),
            listing: self.listing.or(earlier.listing),
            sets: self.sets.or(earlier.sets),
            rules: PerFamily {
                v4: self.rules.v4.or(earlier.rules.v4),
                v6: self.rules.v6.or(earlier.rules.v6),
            },
            settings: self.settings.or(earlier.settings),
        }
    }
}

/// What the kernel is asked by.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    questions: PerFamily<Option<Questions>>,
    servers: Servers,
    listing: Option<Listing<File>>,
    headers: Option<Headers>,
    nftables: Option<Connection>,
    /// Files under `/proc/sys`, kept open: to read one again is one system call.
    sysctls: [Option<File>; Sysctl::ALL.len()],
}

impl Watch {
    /// In the network namespace of the calling thread. What cannot be opened gives no sign.
    pub(crate) fn open() -> Self {
        Self {
            questions: PerFamily::from_fn(|family| Questions::open(family).ok()),
            servers: Servers::default(),
            listing: Listing::open(),
            headers: Headers::open(),
            nftables: Connection::open(uapi::NETLINK_NETFILTER).ok(),
            sysctls: Default::default(),
        }
    }

    fn ask(&self, family: Family, option: i32, value: &mut [u8]) -> Option<()> {
        self.questions.get(family).as_ref()?.get(option, value).ok()
    }

    fn server_signs(&mut self, touched: &Touched) -> Option<u64> {
        let questions = self.questions.v4.as_ref()?;
        self.servers.sign(questions, touched.few_servers())
    }

    /// Of a file that takes several looks a piece is read at each whole look alone.
    fn listing_sign(&mut self, whole: bool) -> Option<u64> {
        let listing = self.listing.as_mut()?;
        if whole || listing.is_short() {
            listing.sign()
        } else {
            None
        }
    }

    fn set_signs(&mut self) -> Option<u64> {
        let mut ours = Vec::new();
        let all = self.headers.as_mut()?.visit(|info| {
            if SetId::owner(&info.spec.name).is_some() {
                let usage = info.usage;
                ours.push((info.spec.name, usage.entries, usage.references));
            }
        });
        if all.is_none() {
            // What is left of that listing must not be taken for the next one.
            self.headers = Headers::open();
            return None;
        }
        ours.sort_unstable();
        let mut hasher = DefaultHasher::new();
        ours.hash(&mut hasher);
        Some(hasher.finish())
    }

    /// The values under `/proc/sys`, as text. One that this kernel does not have is none each time.
    fn sysctls(&mut self, root: &Path) -> [Option<[u8; VALUE]>; Sysctl::ALL.len()] {
        let mut values = [None; Sysctl::ALL.len()];
        let files = self.sysctls.iter_mut().zip(&mut values);
        for ((file, value), sysctl) in files.zip(Sysctl::ALL) {
            if file.is_none() {
                *file = File::open(root.join(sysctl.path())).ok();
            }
            let mut text = [0; VALUE];
            let read = file.as_ref().map(|file| file.read_at(&mut text, 0));
            *value = matches!(read, Some(Ok(_))).then_some(text);
            if value.is_none() {
                *file = None;
            }
        }
        values
    }

    /// The timeouts of IPVS.
    fn timeouts(&self) -> Option<[u8; TIMEOUTS]> {
        let mut timeouts = [0; TIMEOUTS];
        self.ask(Family::V4, IP_VS_SO_GET_TIMEOUT, &mut timeouts)?;
        Some(timeouts)
    }

    /// The number and size of the rules in the legacy tables of a family. To ask for a table that is not there makes it.
    fn legacy(&self, family: Family, has_ranges: bool) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        let questions = self.questions.get(family).as_ref()?;
        let mangle = has_ranges.then_some("mangle");
        for table in ["nat", "filter"].into_iter().chain(mangle) {
            legacy::size(questions, table).ok()?.hash(&mut hasher);
        }
        Some(hasher.finish())
    }

    /// The generation of nftables.
    fn generation(&mut self) -> Option<u64> {
        let mut generation = None;
        let header = Header::new(NFT_MSG_GETGEN);
        let asked = self
            .nftables
            .as_mut()?
            .get(header, &Bytes(&[0; NFGENMSG]), |message| {
                let mut hasher = DefaultHasher::new();
                // The number; the rest is who asks, which is always us.
                message.payload.get(NFGENMSG..).hash(&mut hasher);
                generation = Some(hasher.finish());
                Ok::<_, netlink_batch::Error>(())
            });
        asked.ok().and(generation)
    }
}

impl LinuxKernel {
    /// Notes that these parts were changed here: what has been seen of them is nothing to compare with.
    pub fn note_changes(&mut self, parts: Parts) {
        if parts.contains(Parts::SERVERS) {
            self.watch.listing = self.watch.listing.take().and_then(Listing::anew);
        }
    }

    /// The signs of what is touched, now. A look at everything takes some twenty system calls. Of virtual servers that are not
    /// touched what was last seen of them is in their sign.
    pub fn signs(&mut self, touched: &Touched) -> Signs {
        let parts = touched.parts();
        let mut signs = Signs::default();
        if parts.contains(Parts::SERVERS) {
            signs.servers = self.watch.server_signs(touched);
            signs.listing = self.watch.listing_sign(parts.is_all());
        }
        if parts.contains(Parts::SETS) && self.ipset.is_some() {
            signs.sets = self.watch.set_signs();
        }
        if parts.contains(Parts::RULES) {
            signs.rules = self.rule_signs();
        }
        if parts.contains(Parts::SETTINGS) {
            signs.settings = self.setting_signs();
        }
        signs
    }

    fn rule_signs(&mut self) -> PerFamily<Option<u64>> {
        let backends = PerFamily::from_fn(|family| {
            let rules = self.rules.get(family).as_ref()?;
            Some((rules.tools()?.backend(), rules.has_ranges()))
        });
        let mut rules = |family| match *backends.get(family) {
            Some((Backend::Legacy, has_ranges)) => self.watch.legacy(family, has_ranges),
            Some(_) => self.watch.generation(),
            None => None,
        };
        PerFamily {
            v4: rules(Family::V4),
            v6: rules(Family::V6),
        }
    }

    fn setting_signs(&mut self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        self.watch.sysctls(&self.sysctls).hash(&mut hasher);
        self.watch.timeouts().hash(&mut hasher);
        Some(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_no_sign() {
        let before = Signs {
            servers: Some(1),
            listing: Some(0),
            sets: Some(2),
            rules: PerFamily {
                v4: Some(3),
                v6: None,
            },
            settings: Some(6),
        };
        assert_eq!(before.changed_since(&before), [""; 0]);
        assert_eq!(Signs::default().changed_since(&before), [""; 0]);
        assert_eq!(before.changed_since(&Signs::default()), [""; 0]);
        let after = Signs {
            servers: Some(2),
            listing: Some(9),
            sets: Some(3),
            rules: PerFamily {
                v4: Some(4),
                v6: Some(5),
            },
            settings: Some(7),
        };
        assert_eq!(
            after.changed_since(&before),
            [
                "virtual servers",
                "virtual servers or destinations",
                "sets",
                "iptables",
                "settings"
            ]
        );
    }
}
