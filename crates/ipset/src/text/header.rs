//! `create` lines and headers, with options in the order of ipset 7.17, which differs between
//! types.

use std::fmt;

use crate::model::Inet;
use crate::{BitmapRange, CreateOptions, Family, Method, SetSpec, SetType};

impl fmt::Display for SetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "create {} {}{}", self.name, self.set_type, Header(self))
    }
}

/// The name that `ipset` has for a family; `unspec` for none.
pub(crate) fn family_name(family: Option<Family>) -> &'static str {
    match family {
        None => "unspec",
        Some(Family::V4) => "inet",
        Some(Family::V6) => "inet6",
    }
}

/// The options of a set, each with a space before it.
pub(crate) struct Header<'a>(pub(crate) &'a SetSpec);

impl fmt::Display for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(SetSpec {
            set_type,
            family,
            options,
            ..
        }) = self;
        if let Some(range) = options.range {
            write!(f, " range {range}")?;
        }
        let choice = set_type.has_family_choice() || set_type.method().is_none();
        if choice && family.is_some() {
            write!(f, " family {}", family_name(*family))?;
        }
        if let Some(mask) = options.markmask {
            write!(f, " markmask {mask:#010x}")?;
        }
        option(f, "size", options.size)?;
        option(f, "hashsize", options.hashsize)?;
        option(f, "maxelem", options.maxelem)?;
        if mask_comes_early(set_type) {
            write!(f, "{}", Masks(options))?;
        }
        option(f, "timeout", options.timeout)?;
        for (is_set, name) in [
            (options.counters, "counters"),
            (options.comment, "comment"),
            (options.forceadd, "forceadd"),
            (options.skbinfo, "skbinfo"),
        ] {
            if is_set {
                write!(f, " {name}")?;
            }
        }
        option(f, "bucketsize", options.bucketsize)?;
        if let Some(seed) = options.initval {
            write!(f, " initval {seed:#010x}")?;
        }
        if !mask_comes_early(set_type) {
            write!(f, "{}", Masks(options))?;
        }
        Ok(())
    }
}

/// Types that had `netmask` from the start print it early; those that got it in Linux 6.3 print it
/// last.
fn mask_comes_early(set_type: &SetType) -> bool {
    set_type.method() == Some(Method::Bitmap) || *set_type == SetType::HASH_IP
}

fn option(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {name} {value}"),
        None => Ok(()),
    }
}

struct Masks<'a>(&'a CreateOptions);

impl fmt::Display for Masks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        option(f, "netmask", self.0.netmask)?;
        option(f, "bitmask", self.0.bitmask.map(Inet))
    }
}

impl fmt::Display for BitmapRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Two numbers even where they are the same.
            Self::Ports(ports) => write!(f, "{}-{}", ports.first(), ports.last()),
            Self::Addresses(first, last) => write!(f, "{first}-{last}"),
        }
    }
}
