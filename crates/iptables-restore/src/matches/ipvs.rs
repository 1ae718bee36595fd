//! `-m ipvs`

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::Options;
use super::options::put;
use crate::address::{Address, Negatable, bang, write_ip};
use crate::protocol::Protocol;

/// The direction of a packet of an IPVS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From client to server.
    Original,
    /// From server to client.
    Reply,
}

/// The virtual server of the IPVS connection the packet belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IpvsMatch {
    /// `--ipvs`: `Some(true)` if it belongs to an IPVS connection at all, `Some(false)` if it does not.
    pub ipvs: Option<bool>,
    /// `--vproto`, the number of the protocol.
    pub protocol: Option<Negatable<u8>>,
    /// `--vaddr`, address of the virtual server.
    pub address: Option<Negatable<IpNetwork>>,
    /// `--vport`, port of the virtual server.
    pub port: Option<Negatable<u16>>,
    /// `--vdir`
    pub direction: Option<Direction>,
}

impl IpvsMatch {
    /// Connections to the virtual server of this protocol number, address and port.
    pub fn virtual_server(protocol: u8, address: IpAddr, port: u16) -> Self {
        Self {
            protocol: Some(Negatable::is(protocol)),
            address: Some(Negatable::is(address.into())),
            port: Some(Negatable::is(port)),
            ..Self::default()
        }
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let mut ipvs = Self::default();
        while !options.is_empty() {
            match options.next_option()? {
                (negated, "--ipvs") => put(&mut ipvs.ipvs, !negated)?,
                (negated, "--vproto") => {
                    let value = Protocol::from(options.value()?).number()?;
                    put(&mut ipvs.protocol, Negatable { value, negated })?;
                }
                (negated, "--vaddr") => {
                    let value = options.value()?.parse::<Address>().ok()?.network()?;
                    put(&mut ipvs.address, Negatable { value, negated })?;
                }
                (negated, "--vport") => {
                    put(
                        &mut ipvs.port,
                        Negatable {
                            value: options.value()?.parse().ok()?,
                            negated,
                        },
                    )?;
                }
                (false, "--vdir") => {
                    let direction = match options.value()? {
                        "ORIGINAL" => Direction::Original,
                        "REPLY" => Direction::Reply,
                        _ => return None,
                    };
                    put(&mut ipvs.direction, direction)?;
                }
                _ => return None,
            }
        }
        Some(ipvs)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(yes) = self.ipvs {
            write!(f, " {}--ipvs", bang(!yes))?;
        }
        if let Some(protocol) = &self.protocol {
            protocol.write(f, "--vproto")?;
        }
        if let Some(Negatable { value, negated }) = &self.address {
            write!(f, " {}--vaddr ", bang(*negated))?;
            write_ip(f, value.network())?;
            let whole = if value.is_ipv6() { 128 } else { 32 };
            if value.prefix() != whole {
                write!(f, "/{}", value.prefix())?;
            }
        }
        if let Some(port) = &self.port {
            port.write(f, "--vport")?;
        }
        match self.direction {
            Some(Direction::Original) => f.write_str(" --vdir ORIGINAL"),
            Some(Direction::Reply) => f.write_str(" --vdir REPLY"),
            None => Ok(()),
        }
    }
}
