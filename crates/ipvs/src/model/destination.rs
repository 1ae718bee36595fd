//! Destinations: the servers that connections are sent to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::{Error, Result};

/// What identifies a destination within its virtual server. Displays as `10.0.0.1:80`,
/// `[2001:db8::1]:80`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId {
    /// Address of the server; of the virtual server's family, but for tunnels.
    pub address: IpAddr,
    /// Port of the server; 0 keeps the port the packet was sent to.
    pub port: u16,
}

impl<A: Into<IpAddr>> From<(A, u16)> for DestinationId {
    fn from((address, port): (A, u16)) -> Self {
        Self {
            address: address.into(),
            port,
        }
    }
}

impl From<SocketAddr> for DestinationId {
    fn from(address: SocketAddr) -> Self {
        Self {
            address: address.ip(),
            port: address.port(),
        }
    }
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&SocketAddr::new(self.address, self.port), f)
    }
}

impl FromStr for DestinationId {
    type Err = Error;

    /// Address and port; names are not looked up.
    fn from_str(text: &str) -> Result<Self> {
        let address: SocketAddr = text
            .parse()
            .map_err(|_| Error::text(text, "an address with port: 10.0.0.1:80 or [::1]:80"))?;
        Ok(address.into())
    }
}

/// How a packet gets to its destination (`IP_VS_CONN_F_FWD_MASK`).
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/ip_vs.h>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum ForwardingMethod {
    /// Its destination address is rewritten, and the source of the answers.
    #[doc(alias = "nat")]
    #[cfg_attr(feature = "serde", serde(rename = "masq"))]
    Masquerade,
    /// It is handed to this host.
    Local,
    /// It is wrapped, see [`Tunnel`].
    Tunnel,
    /// It is sent to the destination's link address, unchanged.
    #[doc(alias = "gatewaying")]
    #[cfg_attr(feature = "serde", serde(rename = "route"))]
    DirectRoute,
    /// It is sent on to its own address, past the scheduler; made by the kernel for caches.
    Bypass,
}

/// Encapsulation of [`ForwardingMethod::Tunnel`] (`IP_VS_CONN_F_TUNNEL_TYPE_*`).
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/ip_vs.h>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TunnelType(pub u8);

impl TunnelType {
    /// IP in IP.
    pub const IPIP: Self = Self(0);
    /// Generic UDP encapsulation (Linux 5.2).
    pub const GUE: Self = Self(1);
    /// Generic routing encapsulation (Linux 5.3).
    pub const GRE: Self = Self(2);
}

bitflags::bitflags! {
    /// Flags of a tunnel (`IP_VS_TUNNEL_ENCAP_FLAG_*`); none is "no checksum".
    /// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/ip_vs.h>
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[cfg_attr(feature = "serde", serde(transparent))]
    pub struct TunnelFlags: u16 {
        /// The outer header has a checksum.
        const CHECKSUM = 1;
        /// Remote checksum offload (GUE).
        const REMOTE_CHECKSUM = 2;
        const _ = !0;
    }
}

/// How packets are wrapped where the method is [`ForwardingMethod::Tunnel`]; of no effect else.
/// The default is IP in IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Tunnel {
    /// Encapsulation.
    pub kind: TunnelType,
    /// UDP port packets are sent to; GUE only, which needs one.
    pub port: u16,
    /// Checksums of the outer header; GUE and GRE only.
    pub flags: TunnelFlags,
}

impl Tunnel {
    /// IP in IP.
    pub const IPIP: Self = Self {
        kind: TunnelType::IPIP,
        port: 0,
        flags: TunnelFlags::empty(),
    };

    /// Generic UDP encapsulation to a UDP port.
    #[must_use]
    pub const fn gue(port: u16, flags: TunnelFlags) -> Self {
        Self {
            kind: TunnelType::GUE,
            port,
            flags,
        }
    }

    /// Generic routing encapsulation.
    #[must_use]
    pub const fn gre(flags: TunnelFlags) -> Self {
        Self {
            kind: TunnelType::GRE,
            port: 0,
            flags,
        }
    }
}

/// How a destination is configured: everything that can be changed while it exists.
///
/// ```
/// use ipvs_netlink::DestinationConfig;
///
/// let config = DestinationConfig::direct_route(5).with_thresholds(100, 80);
/// assert_eq!((config.weight, config.upper_threshold), (5, 100));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct DestinationConfig {
    /// How packets get there.
    pub forwarding: ForwardingMethod,
    /// Share of the connections, relative to the other destinations; 0 takes no new ones. The
    /// kernel refuses more than `i32::MAX`.
    pub weight: u32,
    /// Connections from which on it gets no new ones; 0 is without limit.
    #[cfg_attr(feature = "serde", serde(default))]
    pub upper_threshold: u32,
    /// Connections below which it gets new ones again; 0 is three quarters of the upper
    /// threshold. The kernel refuses one above the upper threshold.
    #[cfg_attr(feature = "serde", serde(default))]
    pub lower_threshold: u32,
    /// Encapsulation.
    #[cfg_attr(feature = "serde", serde(default))]
    pub tunnel: Tunnel,
}

impl DestinationConfig {
    /// Packets get there by `forwarding`, with this weight and no thresholds.
    #[must_use]
    pub const fn new(forwarding: ForwardingMethod, weight: u32) -> Self {
        Self {
            forwarding,
            weight,
            upper_threshold: 0,
            lower_threshold: 0,
            tunnel: Tunnel::IPIP,
        }
    }

    /// Masquerading with this weight and no thresholds.
    #[must_use]
    pub const fn masquerade(weight: u32) -> Self {
        Self::new(ForwardingMethod::Masquerade, weight)
    }

    /// Direct routing with this weight and no thresholds.
    #[must_use]
    pub const fn direct_route(weight: u32) -> Self {
        Self::new(ForwardingMethod::DirectRoute, weight)
    }

    /// Tunnelling with this encapsulation and weight, and no thresholds.
    #[must_use]
    pub const fn tunnel(tunnel: Tunnel, weight: u32) -> Self {
        let mut config = Self::new(ForwardingMethod::Tunnel, weight);
        config.tunnel = tunnel;
        config
    }

    /// The same with another weight.
    #[must_use]
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// The same with thresholds of connections: from `upper` on the destination gets no new ones, below
    /// `lower` it gets them again.
    #[must_use]
    pub const fn with_thresholds(mut self, upper: u32, lower: u32) -> Self {
        self.upper_threshold = upper;
        self.lower_threshold = lower;
        self
    }
}

/// A destination: what identifies it and how it is configured.
#[doc(alias = "real server")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Destination {
    /// What identifies it.
    pub id: DestinationId,
    /// How it is configured.
    pub config: DestinationConfig,
}

/// Connections of a destination, as the kernel counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Connections {
    /// Established (TCP), or seen within the timeout (UDP).
    pub active: u32,
    /// All others, closing ones mostly.
    pub inactive: u32,
    /// Clients that persistence holds here.
    pub persistent: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_small() {
        assert_eq!(size_of::<DestinationId>(), 20);
        assert_eq!(size_of::<Destination>(), 40);
    }

    #[test]
    fn ids_print_and_parse() {
        for text in ["10.0.0.1:80", "[2001:db8::1]:0", "[::ffff:10.0.0.1]:65535"] {
            assert_eq!(text.parse::<DestinationId>().unwrap().to_string(), text);
        }
        assert!("10.0.0.1".parse::<DestinationId>().is_err());
        assert!("example:80".parse::<DestinationId>().is_err());
    }
}
