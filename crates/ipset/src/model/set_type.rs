//! Set types, and what their elements are made of.

use std::fmt;
use std::str::FromStr;

use netlink_wire::{Family, InlineName};

use crate::Error;

/// How a set stores its elements: the part of the type's name before the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// One bit (or slot) for each element of a range.
    Bitmap,
    /// A hash table.
    Hash,
    /// A list.
    List,
}

/// One part of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Dimension {
    /// An address; of a range or network the kernel adds each one.
    Ip,
    /// A network, stored as such.
    Net,
    /// A protocol and port; in `bitmap:port` the port alone.
    Port,
    /// A MAC address.
    Mac,
    /// A packet mark.
    Mark,
    /// An interface.
    Iface,
    /// Another set.
    Set,
}

/// The type of a set, as the kernel names it.
///
/// Open: a type of a newer kernel keeps its name, has no [`dimensions`](Self::dimensions), and its
/// elements cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetType(InlineName<31>);

/// Name, method and dimensions of each type.
macro_rules! set_types {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $method:ident, [$($dimension:ident),+], $parts:literal;)*) => {
        impl SetType {
            $($(#[$doc])* pub const $constant: Self = named($name);)*

            /// Every type that this crate knows: those of Linux 6.18.
            pub const ALL: [Self; 16] = [$(Self::$constant),*];

            fn known(&self) -> Option<Known> {
                match self.as_str() {
                    $($name => Some(Known {
                        method: Method::$method,
                        dimensions: &[$(Dimension::$dimension),+],
                        parts: $parts,
                    }),)*
                    _ => None,
                }
            }
        }
    };
}

/// For constants: a name that does not fit stops the compiler.
#[allow(clippy::unwrap_used, reason = "evaluated by the compiler")]
const fn named(name: &str) -> SetType {
    SetType(InlineName::new(name).unwrap())
}

/// What this crate knows of a type.
struct Known {
    method: Method,
    dimensions: &'static [Dimension],
    parts: &'static str,
}

set_types! {
    /// Addresses of an IPv4 range.
    BITMAP_IP = "bitmap:ip", Bitmap, [Ip], "an address";
    /// Addresses of an IPv4 range, each with a MAC address or without.
    BITMAP_IP_MAC = "bitmap:ip,mac", Bitmap, [Ip, Mac], "an address and perhaps a MAC address";
    /// Ports of a range.
    BITMAP_PORT = "bitmap:port", Bitmap, [Port], "a port without protocol";
    /// Addresses.
    HASH_IP = "hash:ip", Hash, [Ip], "an address";
    /// MAC addresses.
    HASH_MAC = "hash:mac", Hash, [Mac], "a MAC address";
    /// Address and MAC address.
    HASH_IP_MAC = "hash:ip,mac", Hash, [Ip, Mac], "an address and a MAC address";
    /// Networks.
    HASH_NET = "hash:net", Hash, [Net], "a network";
    /// Two networks.
    HASH_NET_NET = "hash:net,net", Hash, [Net, Net], "two networks";
    /// Address, protocol and port.
    HASH_IP_PORT = "hash:ip,port", Hash, [Ip, Port], "an address, a protocol and a port";
    /// Network, protocol and port.
    HASH_NET_PORT = "hash:net,port", Hash, [Net, Port], "a network, a protocol and a port";
    /// Address, protocol and port, address.
    HASH_IP_PORT_IP = "hash:ip,port,ip", Hash, [Ip, Port, Ip], "an address, a protocol, a port and an address";
    /// Address, protocol and port, network.
    HASH_IP_PORT_NET = "hash:ip,port,net", Hash, [Ip, Port, Net], "an address, a protocol, a port and a network";
    /// Address and packet mark.
    HASH_IP_MARK = "hash:ip,mark", Hash, [Ip, Mark], "an address and a packet mark";
    /// Network, protocol and port, network.
    HASH_NET_PORT_NET = "hash:net,port,net", Hash, [Net, Port, Net], "a network, a protocol, a port and a network";
    /// Network and interface.
    HASH_NET_IFACE = "hash:net,iface", Hash, [Net, Iface], "a network and an interface";
    /// Other sets.
    LIST_SET = "list:set", List, [Set], "another set";
}

impl SetType {
    /// The type of this name. A type that this crate does not know keeps its name.
    ///
    /// # Errors
    /// [`Error::Syntax`] where `text` is not of the form `method:parts`, or is longer than 31
    /// bytes.
    pub fn new(text: &str) -> Result<Self, Error> {
        let well_formed = text
            .split_once(':')
            .is_some_and(|(method, parts)| !method.is_empty() && !parts.is_empty())
            && !text
                .contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control() || c == '"');
        match InlineName::new(text) {
            Some(name) if well_formed => Ok(Self(name)),
            _ => Err(Error::token(
                "a set type",
                text,
                "types look like `hash:ip,port`",
            )),
        }
    }

    /// The kernel's name, such as `hash:ip,port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// How the set stores its elements, or `None` for a type this crate does not know.
    #[must_use]
    pub fn method(&self) -> Option<Method> {
        self.known().map(|known| known.method)
    }

    /// What the elements are made of; empty for a type this crate does not know.
    #[must_use]
    pub fn dimensions(&self) -> &'static [Dimension] {
        self.known().map_or(&[], |known| known.dimensions)
    }

    /// Whether elements hold networks, so that `nomatch` means something.
    #[must_use]
    pub fn has_networks(&self) -> bool {
        self.dimensions().contains(&Dimension::Net)
    }

    /// The family of a set that is created without one: IPv4 where elements have addresses, else none.
    #[must_use]
    pub fn default_family(&self) -> Option<Family> {
        self.dimensions()
            .iter()
            .any(|part| matches!(part, Dimension::Ip | Dimension::Net))
            .then_some(Family::V4)
    }

    /// Whether sets of this type may be of IPv6 (all but the bitmaps, `hash:mac` and `list:set`).
    #[must_use]
    pub fn has_family_choice(&self) -> bool {
        self.method() == Some(Method::Hash) && *self != Self::HASH_MAC
    }

    /// In words, for errors.
    pub(crate) fn parts(&self) -> &'static str {
        self.known()
            .map_or("parts unknown to this crate", |known| known.parts)
    }
}

impl FromStr for SetType {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl AsRef<str> for SetType {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for SetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dimensions_agree() {
        for set_type in SetType::ALL {
            let parts = set_type
                .as_str()
                .split_once(':')
                .unwrap()
                .1
                .split(',')
                .count();
            assert_eq!(set_type.dimensions().len(), parts, "{set_type}");
            assert_eq!(set_type.to_string().parse::<SetType>().unwrap(), set_type);
        }
    }

    #[test]
    fn families_by_type() {
        assert_eq!(SetType::BITMAP_PORT.default_family(), None);
        assert_eq!(SetType::BITMAP_IP.default_family(), Some(Family::V4));
        assert_eq!(SetType::HASH_MAC.default_family(), None);
        assert!(!SetType::HASH_MAC.has_family_choice());
        assert!(SetType::HASH_NET_IFACE.has_family_choice());
    }

    #[test]
    fn an_unknown_type_is_kept() {
        let later = SetType::new("hash:net,vlan").unwrap();
        assert_eq!(later.to_string(), "hash:net,vlan");
        assert_eq!(later.method(), None);
        assert!(SetType::new("hash").is_err());
        assert!(SetType::new("hash:").is_err());
    }
}
