//! Entries: an element with the options that belong to it.

mod options;

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use self::options::NO_OPTIONS;
pub use self::options::{Counters, EntryOptions, Position, SkbInfo};
use crate::{Addresses, Comment, Element, Interface, MacAddr, PortRange, Ports, Protocol, SetName};

/// What is added to a set: an element, and its options if it has any.
///
/// Prints as `ipset save` does behind the set's name.
///
/// ```
/// use ipset_netlink::{Entry, Protocol};
/// let entry = Entry::ip_port("10.0.0.1".parse()?, Protocol::TCP, 443).with_comment("kubernetes");
/// assert_eq!(entry.to_string(), r#"10.0.0.1,tcp:443 comment "kubernetes""#);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    element: Element,
    /// Boxed, since most entries have none; never the default ones.
    options: Option<Box<EntryOptions>>,
}

impl Entry {
    /// An entry without options.
    #[must_use]
    pub fn new(element: Element) -> Self {
        Self {
            element,
            options: None,
        }
    }

    /// For `bitmap:ip` and `hash:ip`.
    #[must_use]
    pub fn ip(ip: IpAddr) -> Self {
        Element::Ip(ip.into()).into()
    }

    /// For `bitmap:ip,mac` and `hash:ip,mac`.
    #[must_use]
    pub fn ip_mac(ip: IpAddr, mac: MacAddr) -> Self {
        Element::IpMac(ip, Some(mac)).into()
    }

    /// For `hash:mac`.
    #[must_use]
    pub fn mac(mac: MacAddr) -> Self {
        Element::Mac(mac).into()
    }

    /// For `bitmap:port`; the port in host byte order.
    #[must_use]
    pub fn port(port: u16) -> Self {
        Element::Port(PortRange::from(port)).into()
    }

    /// For `hash:net`.
    #[must_use]
    pub fn net(net: IpNetwork) -> Self {
        Element::Net(net.into()).into()
    }

    /// For `hash:net,net`.
    #[must_use]
    pub fn net_net(one: IpNetwork, other: IpNetwork) -> Self {
        Element::NetNet(one.into(), other.into()).into()
    }

    /// For `hash:ip,port`; the port in host byte order.
    #[must_use]
    pub fn ip_port(ip: IpAddr, protocol: Protocol, port: u16) -> Self {
        Element::IpPort(ip.into(), Ports::new(protocol, port)).into()
    }

    /// For `hash:net,port`; the port in host byte order.
    #[must_use]
    pub fn net_port(net: IpNetwork, protocol: Protocol, port: u16) -> Self {
        Element::NetPort(net.into(), Ports::new(protocol, port)).into()
    }

    /// For `hash:ip,port,ip`; the port in host byte order.
    #[must_use]
    pub fn ip_port_ip(ip: IpAddr, protocol: Protocol, port: u16, other: IpAddr) -> Self {
        Element::IpPortIp(ip.into(), Ports::new(protocol, port), other).into()
    }

    /// For `hash:ip,port,net`; the port in host byte order.
    #[must_use]
    pub fn ip_port_net(ip: IpAddr, protocol: Protocol, port: u16, net: IpNetwork) -> Self {
        Element::IpPortNet(ip.into(), Ports::new(protocol, port), net.into()).into()
    }

    /// For `hash:net,port,net`; the port in host byte order.
    #[must_use]
    pub fn net_port_net(net: IpNetwork, protocol: Protocol, port: u16, other: IpNetwork) -> Self {
        Element::NetPortNet(net.into(), Ports::new(protocol, port), other.into()).into()
    }

    /// For `hash:ip,mark`.
    #[must_use]
    pub fn ip_mark(ip: IpAddr, mark: u32) -> Self {
        Element::IpMark(ip.into(), mark).into()
    }

    /// For `hash:net,iface`.
    #[must_use]
    pub fn net_iface(net: IpNetwork, interface: Interface) -> Self {
        Element::NetIface(Addresses::from(net), interface).into()
    }

    /// For `list:set`.
    #[must_use]
    pub fn set(name: SetName) -> Self {
        Element::Set(name).into()
    }

    /// The element.
    #[must_use]
    pub fn element(&self) -> &Element {
        &self.element
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &EntryOptions {
        self.options.as_deref().unwrap_or(&NO_OPTIONS)
    }

    /// The entry with these options in place of those it had.
    #[must_use]
    pub fn with_options(mut self, options: EntryOptions) -> Self {
        self.options = (options != NO_OPTIONS).then(|| Box::new(options));
        self
    }

    /// The entry with a timeout in seconds, 0 for never.
    #[must_use]
    pub fn with_timeout(self, seconds: u32) -> Self {
        self.with(|options| options.timeout = Some(seconds))
    }

    /// The entry with a comment.
    #[must_use]
    pub fn with_comment(self, comment: impl Into<Comment>) -> Self {
        self.with(|options| options.comment = Some(comment.into()))
    }

    /// The entry with counters.
    #[must_use]
    pub fn with_counters(self, packets: u64, bytes: u64) -> Self {
        self.with(|options| options.counters = Some(Counters { packets, bytes }))
    }

    /// The entry as an exception to larger networks.
    #[must_use]
    pub fn with_nomatch(self) -> Self {
        self.with(|options| options.nomatch = true)
    }

    /// The entry with the values that the `SET` target copies to packets.
    #[must_use]
    pub fn with_skbinfo(self, skbinfo: SkbInfo) -> Self {
        self.with(|options| options.skbinfo = skbinfo)
    }

    /// The entry with its place in a `list:set`.
    #[must_use]
    pub fn with_position(self, position: Position) -> Self {
        self.with(|options| options.position = Some(position))
    }

    fn with(mut self, change: impl FnOnce(&mut EntryOptions)) -> Self {
        let mut options = self
            .options
            .take()
            .map_or_else(EntryOptions::default, |options| *options);
        change(&mut options);
        self.with_options(options)
    }

    fn wildcard(&self) -> bool {
        matches!(
            self.element,
            Element::NetIface(_, Interface { wildcard: true, .. })
        )
    }
}

impl From<Element> for Entry {
    fn from(element: Element) -> Self {
        Self::new(element)
    }
}

impl Entry {
    /// The entry in the words of `ipset save`, its comment byte for byte. `Display` has the same as text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes);
        bytes
    }

    /// Appends what [`to_bytes`](Self::to_bytes) returns.
    pub(crate) fn write_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend(BeforeComment(self).to_string().as_bytes());
        let options = self.options();
        if let Some(comment) = &options.comment {
            bytes.extend(b" comment \"");
            bytes.extend(comment.as_bytes());
            bytes.push(b'"');
        }
        bytes.extend(options.skbinfo.to_string().as_bytes());
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", BeforeComment(self))?;
        let options = self.options();
        if let Some(comment) = &options.comment {
            write!(f, " comment \"{comment}\"")?;
        }
        write!(f, "{}", options.skbinfo)
    }
}

/// What `ipset save` prints of an entry before its comment.
struct BeforeComment<'a>(&'a Entry);

impl fmt::Display for BeforeComment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(entry) = self;
        let options = entry.options();
        write!(f, "{}", entry.element)?;
        match options.position {
            Some(Position::Before(name)) => write!(f, " before {name}")?,
            Some(Position::After(name)) => write!(f, " after {name}")?,
            None => {}
        }
        if let Some(seconds) = options.timeout {
            write!(f, " timeout {seconds}")?;
        }
        if options.nomatch {
            f.write_str(" nomatch")?;
        }
        if entry.wildcard() {
            f.write_str(" wildcard")?;
        }
        if let Some(Counters { packets, bytes }) = options.counters {
            write!(f, " packets {packets} bytes {bytes}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_small() {
        assert!(size_of::<Entry>() <= 80, "{}", size_of::<Entry>());
    }

    #[test]
    fn default_options_are_none() {
        let plain = Entry::port(80);
        assert_eq!(plain.clone().with_options(EntryOptions::default()), plain);
        assert_eq!(NO_OPTIONS, EntryOptions::default());
    }

    /// The line is what ipset 7.17 printed.
    #[test]
    fn options_in_the_order_of_ipset() {
        let interface = Interface::new("eth0".parse().unwrap())
            .with_physdev()
            .with_wildcard();
        let entry = Entry::net_iface("10.0.0.0/8".parse().unwrap(), interface)
            .with_timeout(49)
            .with_nomatch()
            .with_counters(1, 2)
            .with_comment("x")
            .with_skbinfo(
                SkbInfo::default()
                    .with_mark(1, u32::MAX)
                    .with_priority(1, 2)
                    .with_queue(3),
            );
        assert_eq!(
            entry.to_string(),
            "10.0.0.0/8,physdev:eth0 timeout 49 nomatch wildcard packets 1 bytes 2 comment \"x\" skbmark 0x1 skbprio 1:2 skbqueue 3"
        );
    }
}
