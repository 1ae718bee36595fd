//! The data of an entry, written.

use netlink_wire::Writer;

#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::wire::write::IpsetWriter;
use crate::{
    Addresses, Comment, Element, Entry, EntryOptions, Interface, MacAddr, PortRange, Ports,
    Position, Protocol, SetName, SkbInfo,
};

/// Which of the two address parts an attribute belongs to.
struct Part {
    ip: u16,
    to: u16,
    cidr: u16,
}

const FIRST: Part = Part {
    ip: IPSET_ATTR_IP,
    to: IPSET_ATTR_IP_TO,
    cidr: IPSET_ATTR_CIDR,
};
const SECOND: Part = Part {
    ip: IPSET_ATTR_IP2,
    to: IPSET_ATTR_IP2_TO,
    cidr: IPSET_ATTR_CIDR2,
};

/// What an element has, by its attributes.
#[derive(Default)]
struct Parts {
    first: Option<Addresses>,
    second: Option<Addresses>,
    ports: Option<PortRange>,
    protocol: Option<Protocol>,
    mark: Option<u32>,
    mac: Option<MacAddr>,
    interface: Option<Interface>,
    name: Option<SetName>,
}

impl Parts {
    fn of(element: &Element) -> Self {
        let mut parts = Self::default();
        let with_ports = |parts: &mut Self, ports: &Ports| {
            parts.ports = Some(ports.port_range());
            parts.protocol = Some(ports.protocol());
        };
        match element {
            Element::Ip(first) | Element::Net(first) => parts.first = Some(*first),
            Element::IpMac(first, mac) => (parts.first, parts.mac) = (Some((*first).into()), *mac),
            Element::Mac(mac) => parts.mac = Some(*mac),
            Element::Port(ports) => parts.ports = Some(*ports),
            Element::NetNet(first, second) => {
                (parts.first, parts.second) = (Some(*first), Some(*second));
            }
            Element::IpPort(first, ports) | Element::NetPort(first, ports) => {
                parts.first = Some(*first);
                with_ports(&mut parts, ports);
            }
            Element::IpPortIp(first, ports, second) => {
                (parts.first, parts.second) = (Some(*first), Some((*second).into()));
                with_ports(&mut parts, ports);
            }
            Element::IpPortNet(first, ports, second)
            | Element::NetPortNet(first, ports, second) => {
                (parts.first, parts.second) = (Some(*first), Some(*second));
                with_ports(&mut parts, ports);
            }
            Element::IpMark(first, mark) => (parts.first, parts.mark) = (Some(*first), Some(*mark)),
            Element::NetIface(first, interface) => {
                (parts.first, parts.interface) = (Some(*first), Some(*interface));
            }
            Element::Set(name) => parts.name = Some(*name),
        }
        parts
    }
}

/// Writes the data of an entry, without the nest around it. `line` names it in errors; ipset writes
/// it last.
pub(crate) fn encode(entry: &Entry, line: Option<u32>, writer: &mut Writer<'_>) {
    let parts = Parts::of(entry.element());
    let options = entry.options();
    if let Some(first) = &parts.first {
        addresses(first, &FIRST, writer);
    }
    if let Some(ports) = parts.ports {
        writer.be16(IPSET_ATTR_PORT, ports.first());
        if ports.last() != ports.first() {
            writer.be16(IPSET_ATTR_PORT_TO, ports.last());
        }
    }
    if let Some(seconds) = options.timeout {
        writer.be32(IPSET_ATTR_TIMEOUT, seconds);
    }
    if let Some(protocol) = parts.protocol {
        writer.u8(IPSET_ATTR_PROTO, protocol.0);
    }
    let flags = flags(entry);
    if flags != 0 {
        writer.be32(IPSET_ATTR_CADT_FLAGS, flags);
    }
    if let Some(mark) = parts.mark {
        writer.be32(IPSET_ATTR_MARK, mark);
    }
    if let Some(MacAddr(bytes)) = parts.mac {
        writer.array(IPSET_ATTR_ETHER, bytes);
    }
    if let Some(name) = parts.name {
        writer.text(IPSET_ATTR_NAME, name.as_str());
    }
    if let Some(Position::Before(name) | Position::After(name)) = &options.position {
        writer.text(IPSET_ATTR_NAMEREF, name.as_str());
    }
    if let Some(second) = &parts.second {
        addresses(second, &SECOND, writer);
    }
    if let Some(interface) = parts.interface {
        writer.text(IPSET_ATTR_IFACE, interface.name.as_str());
    }
    extensions(options, writer);
    if let Some(line) = line {
        writer.be32(IPSET_ATTR_CADT_LINENO, line);
    }
}

fn addresses(addresses: &Addresses, part: &Part, writer: &mut Writer<'_>) {
    writer.address(part.ip, addresses.first());
    if let Some((_, last)) = addresses.as_range() {
        writer.address(part.to, last.into());
    } else if addresses.as_ip().is_none() {
        if let Some(prefix_len) = addresses.prefix_len() {
            writer.u8(part.cidr, prefix_len);
        }
    }
}

fn flags(entry: &Entry) -> u32 {
    let options = entry.options();
    let mut flags = 0;
    if matches!(options.position, Some(Position::Before(_))) {
        flags |= IPSET_FLAG_BEFORE;
    }
    if options.nomatch {
        flags |= IPSET_FLAG_NOMATCH;
    }
    if let Element::NetIface(_, interface) = entry.element() {
        if interface.physdev {
            flags |= IPSET_FLAG_PHYSDEV;
        }
        if interface.wildcard {
            flags |= IPSET_FLAG_IFACE_WILDCARD;
        }
    }
    flags
}

fn extensions(options: &EntryOptions, writer: &mut Writer<'_>) {
    if let Some(counters) = options.counters {
        writer.be64(IPSET_ATTR_BYTES, counters.bytes);
        writer.be64(IPSET_ATTR_PACKETS, counters.packets);
    }
    if let Some(comment) = &options.comment {
        // A comment that is too long is cut, because the length of an attribute has only 16 bits. One
        // byte more than the kernel takes is left, so that the kernel still refuses it.
        let bytes = comment.as_bytes();
        let bytes = bytes.get(..Comment::MAX_LEN + 1).unwrap_or(bytes);
        writer.c_string(IPSET_ATTR_COMMENT, bytes);
    }
    let SkbInfo {
        mark,
        mark_mask,
        priority,
        queue,
    } = options.skbinfo;
    if (mark, mark_mask) != (0, 0) {
        writer.be64(
            IPSET_ATTR_SKBMARK,
            u64::from(mark) << 32 | u64::from(mark_mask),
        );
    }
    if priority != 0 {
        writer.be32(IPSET_ATTR_SKBPRIO, priority);
    }
    if queue != 0 {
        writer.be16(IPSET_ATTR_SKBQUEUE, queue);
    }
}
