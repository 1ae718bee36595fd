//! The data of a set.

use std::net::{IpAddr, Ipv4Addr};

use netlink_wire::{Names, Problem, Writer, walk};

#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::wire::read::address;
use crate::wire::write::IpsetWriter;
use crate::{BitmapRange, CreateOptions, DecodeError, PortRange, SetType, Usage};

/// Writes the data of a `create` request, without the nest around it.
pub(crate) fn encode(options: &CreateOptions, writer: &mut Writer<'_>) {
    match options.range {
        Some(BitmapRange::Addresses(first, last)) => {
            writer.address(IPSET_ATTR_IP, first.into());
            writer.address(IPSET_ATTR_IP_TO, last.into());
        }
        Some(BitmapRange::Ports(ports)) => {
            writer.be16(IPSET_ATTR_PORT, ports.first());
            writer.be16(IPSET_ATTR_PORT_TO, ports.last());
        }
        None => {}
    }
    if let Some(seconds) = options.timeout {
        writer.be32(IPSET_ATTR_TIMEOUT, seconds);
    }
    let flags = flags(options);
    if flags != 0 {
        writer.be32(IPSET_ATTR_CADT_FLAGS, flags);
    }
    if let Some(mask) = options.markmask {
        writer.be32(IPSET_ATTR_MARKMASK, mask);
    }
    if let Some(mask) = options.bitmask {
        writer.address(IPSET_ATTR_BITMASK, mask);
    }
    if let Some(seed) = options.initval {
        writer.be32(IPSET_ATTR_INITVAL, seed);
    }
    if let Some(buckets) = options.hashsize {
        writer.be32(IPSET_ATTR_HASHSIZE, buckets);
    }
    if let Some(elements) = options.maxelem {
        writer.be32(IPSET_ATTR_MAXELEM, elements);
    }
    if let Some(prefix_len) = options.netmask {
        writer.u8(IPSET_ATTR_NETMASK, prefix_len);
    }
    if let Some(entries) = options.bucketsize {
        writer.u8(IPSET_ATTR_BUCKETSIZE, entries);
    }
    if let Some(members) = options.size {
        writer.be32(IPSET_ATTR_SIZE, members);
    }
}

/// Writes the data of a set as the kernel replies with it.
pub(crate) fn encode_reply(options: &CreateOptions, usage: &Usage, writer: &mut Writer<'_>) {
    encode(options, writer);
    for (kind, value) in [
        (IPSET_ATTR_ELEMENTS, usage.entries),
        (IPSET_ATTR_REFERENCES, usage.references),
        (IPSET_ATTR_MEMSIZE, usage.memory_size),
    ] {
        if let Some(value) = value {
            writer.be32(kind, value);
        }
    }
}

fn flags(options: &CreateOptions) -> u32 {
    [
        (options.counters, IPSET_FLAG_WITH_COUNTERS),
        (options.comment, IPSET_FLAG_WITH_COMMENT),
        (options.forceadd, IPSET_FLAG_WITH_FORCEADD),
        (options.skbinfo, IPSET_FLAG_WITH_SKBINFO),
    ]
    .into_iter()
    .filter(|(is_set, _)| *is_set)
    .fold(0, |flags, (_, flag)| flags | flag)
}

/// The attributes in the data of a set.
const NAMES: &Names = &[
    (IPSET_ATTR_IP, "IPSET_ATTR_IP"),
    (IPSET_ATTR_IP_TO, "IPSET_ATTR_IP_TO"),
    (IPSET_ATTR_PORT, "IPSET_ATTR_PORT"),
    (IPSET_ATTR_PORT_TO, "IPSET_ATTR_PORT_TO"),
    (IPSET_ATTR_TIMEOUT, "IPSET_ATTR_TIMEOUT"),
    (IPSET_ATTR_CADT_FLAGS, "IPSET_ATTR_CADT_FLAGS"),
    (IPSET_ATTR_MARKMASK, "IPSET_ATTR_MARKMASK"),
    (IPSET_ATTR_BITMASK, "IPSET_ATTR_BITMASK"),
    (IPSET_ATTR_INITVAL, "IPSET_ATTR_INITVAL"),
    (IPSET_ATTR_HASHSIZE, "IPSET_ATTR_HASHSIZE"),
    (IPSET_ATTR_MAXELEM, "IPSET_ATTR_MAXELEM"),
    (IPSET_ATTR_NETMASK, "IPSET_ATTR_NETMASK"),
    (IPSET_ATTR_BUCKETSIZE, "IPSET_ATTR_BUCKETSIZE"),
    (IPSET_ATTR_SIZE, "IPSET_ATTR_SIZE"),
    (IPSET_ATTR_ELEMENTS, "IPSET_ATTR_ELEMENTS"),
    (IPSET_ATTR_REFERENCES, "IPSET_ATTR_REFERENCES"),
    (IPSET_ATTR_MEMSIZE, "IPSET_ATTR_MEMSIZE"),
];

/// Reads the data of a set of this type.
pub(crate) fn decode(
    set_type: &SetType,
    data: &[u8],
) -> Result<(CreateOptions, Usage), DecodeError> {
    let mut options = CreateOptions::default();
    let mut usage = Usage::default();
    let (mut addresses, mut ports) = (
        <[Option<IpAddr>; 2]>::default(),
        <[Option<u16>; 2]>::default(),
    );
    walk(data, "IPSET_ATTR_DATA", NAMES, |attribute| {
        match attribute.kind() {
            IPSET_ATTR_IP => addresses[0] = Some(address(&attribute)?),
            IPSET_ATTR_IP_TO => addresses[1] = Some(address(&attribute)?),
            IPSET_ATTR_PORT => ports[0] = Some(attribute.u16_by_flag()?),
            IPSET_ATTR_PORT_TO => ports[1] = Some(attribute.u16_by_flag()?),
            IPSET_ATTR_TIMEOUT => options.timeout = Some(attribute.u32_by_flag()?),
            IPSET_ATTR_CADT_FLAGS => {
                let flags = attribute.u32_by_flag()?;
                options.counters = flags & IPSET_FLAG_WITH_COUNTERS != 0;
                options.comment = flags & IPSET_FLAG_WITH_COMMENT != 0;
                options.forceadd = flags & IPSET_FLAG_WITH_FORCEADD != 0;
                options.skbinfo = flags & IPSET_FLAG_WITH_SKBINFO != 0;
            }
            // In replies in host byte order, against the rule for requests, and not flagged.
            IPSET_ATTR_MARKMASK => options.markmask = Some(attribute.u32_by_flag()?),
            IPSET_ATTR_BITMASK => options.bitmask = Some(address(&attribute)?),
            IPSET_ATTR_INITVAL => options.initval = Some(attribute.u32_by_flag()?),
            IPSET_ATTR_HASHSIZE => options.hashsize = Some(attribute.u32_by_flag()?),
            IPSET_ATTR_MAXELEM => options.maxelem = Some(attribute.u32_by_flag()?),
            IPSET_ATTR_NETMASK => options.netmask = Some(attribute.u8()?),
            IPSET_ATTR_BUCKETSIZE => options.bucketsize = Some(attribute.u8()?),
            IPSET_ATTR_SIZE => options.size = Some(attribute.u32_by_flag()?),
            IPSET_ATTR_ELEMENTS => usage.entries = Some(attribute.u32_by_flag()?),
            IPSET_ATTR_REFERENCES => usage.references = Some(attribute.u32_by_flag()?),
            IPSET_ATTR_MEMSIZE => usage.memory_size = Some(attribute.u32_by_flag()?),
            _ => {}
        }
        Ok(())
    })?;
    options.range = match (*set_type, addresses, ports) {
        (SetType::BITMAP_PORT, _, [Some(first), Some(last)]) => {
            Some(BitmapRange::Ports(PortRange::new(first, last)))
        }
        (SetType::BITMAP_IP | SetType::BITMAP_IP_MAC, [Some(first), Some(last)], _) => {
            Some(address_range(first, last)?)
        }
        _ => None,
    };
    // The kernel has both: the mask is what the prefix length makes of it.
    if options.netmask.is_some() {
        options.bitmask = None;
    }
    Ok((options, usage))
}

fn address_range(first: IpAddr, last: IpAddr) -> Result<BitmapRange, DecodeError> {
    let v4 = |ip: IpAddr| -> Option<Ipv4Addr> {
        match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }
    };
    match (v4(first), v4(last)) {
        (Some(first), Some(last)) => Ok(BitmapRange::Addresses(first, last)),
        _ => Err(Problem::Invalid {
            expected: "an IPv4 address",
        }
        .of("IPSET_ATTR_IP")
        .into()),
    }
}
