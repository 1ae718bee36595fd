//! What identifies a virtual server, as `ipvsadm` writes it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::text::parse::{address, mark};
use crate::text::protocol::ProtocolName;
use crate::{Error, Family, Protocol, Result, VirtualServerId};

impl fmt::Display for VirtualServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address {
                protocol,
                address,
                port,
            } => {
                match protocol {
                    _ if f.alternate() => write!(f, "{}", ProtocolName(protocol))?,
                    Protocol::TCP => f.write_str("-t")?,
                    Protocol::UDP => f.write_str("-u")?,
                    Protocol::SCTP => f.write_str("--sctp-service")?,
                    Protocol(number) => write!(f, "--protocol-{number}-service")?,
                }
                write!(f, " {}", SocketAddr::new(address, port))
            }
            Self::FirewallMark { family, mark } => {
                let (option, v6) = match f.alternate() {
                    true => ("FWM", " IPv6"),
                    false => ("-f", " -6"),
                };
                let suffix = if family == Family::V6 { v6 } else { "" };
                write!(f, "{option} {mark}{suffix}")
            }
        }
    }
}

const EXPECTED: &str = "a virtual server: `TCP 10.0.0.1:80`, `-t 10.0.0.1:80`, `FWM 7`, `-f 7 -6`";

impl FromStr for VirtualServerId {
    type Err = Error;

    /// Reads the service argument of `ipvsadm` or the first columns of its table. Names of protocols may
    /// be in any case; hosts and services are not looked up.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::text(text, EXPECTED);
        let mut words = text.split_ascii_whitespace();
        let (Some(kind), Some(value)) = (words.next(), words.next()) else {
            return Err(unknown());
        };
        let last = words.next();
        if words.next().is_some() {
            return Err(unknown());
        }
        if matches!(kind, "-f" | "--fwmark-service") || kind.eq_ignore_ascii_case("FWM") {
            let family = match last {
                None => Family::V4,
                Some("-6" | "--ipv6" | "IPv6") => Family::V6,
                Some(_) => return Err(unknown()),
            };
            let mark = mark(value).map_err(|_| unknown())?;
            return Ok(Self::FirewallMark { family, mark });
        }
        let protocol = match kind {
            "-t" | "--tcp-service" => Protocol::TCP,
            "-u" | "--udp-service" => Protocol::UDP,
            "--sctp-service" => Protocol::SCTP,
            option => option
                .strip_prefix("--protocol-")
                .map_or(Some(option), |rest| rest.strip_suffix("-service"))
                .and_then(|name| name.parse().ok())
                .ok_or_else(unknown)?,
        };
        match (address(value, 0), last) {
            (Ok((address, port)), None) => Ok(Self::Address {
                protocol,
                address,
                port,
            }),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn address(protocol: Protocol, address: &str, port: u16) -> VirtualServerId {
        VirtualServerId::Address {
            protocol,
            address: address.parse().unwrap(),
            port,
        }
    }

    pub(crate) fn mark(family: Family, mark: u32) -> VirtualServerId {
        VirtualServerId::FirewallMark {
            family,
            mark: mark.try_into().unwrap(),
        }
    }

    #[test]
    fn ids_display_and_sort_as_in_ipvsadm() {
        // The order of `ipvsadm -Ln` 1.31.
        let sorted = [
            (address(Protocol::TCP, "10.0.0.9", 81), "-t 10.0.0.9:81"),
            (address(Protocol::TCP, "10.0.0.14", 0), "-t 10.0.0.14:0"),
            (address(Protocol::UDP, "10.0.0.5", 53), "-u 10.0.0.5:53"),
            (
                address(Protocol(51), "10.0.0.5", 53),
                "--protocol-51-service 10.0.0.5:53",
            ),
            (
                address(Protocol::SCTP, "10.0.0.3", 9),
                "--sctp-service 10.0.0.3:9",
            ),
            (
                address(Protocol::TCP, "2001:db8::80", 80),
                "-t [2001:db8::80]:80",
            ),
            (mark(Family::V4, 7), "-f 7"),
            (mark(Family::V6, 7), "-f 7 -6"),
            (mark(Family::V4, 4_000_000_000), "-f 4000000000"),
        ];
        for (id, text) in sorted {
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id));
        }
        assert!(sorted.is_sorted_by_key(|(id, _)| *id));
    }

    #[test]
    fn ids_display_and_parse_as_in_the_table() {
        for (id, text) in [
            (address(Protocol::TCP, "10.0.0.9", 81), "TCP 10.0.0.9:81"),
            (
                address(Protocol::UDP, "2001:db8::1", 53),
                "UDP [2001:db8::1]:53",
            ),
            (address(Protocol::SCTP, "10.0.0.3", 9), "SCTP 10.0.0.3:9"),
            (address(Protocol(51), "10.0.0.3", 9), "51 10.0.0.3:9"),
            (mark(Family::V4, 7), "FWM 7"),
            (mark(Family::V6, 7), "FWM 7 IPv6"),
        ] {
            assert_eq!(format!("{id:#}"), text);
            assert_eq!(text.parse(), Ok(id));
            assert_eq!(text.to_lowercase().replace("ipv6", "IPv6").parse(), Ok(id));
        }
        let bare = address(Protocol::TCP, "10.0.0.9", 0);
        assert_eq!("TCP  10.0.0.9".parse(), Ok(bare));
        assert_eq!("--tcp-service [10.0.0.9]".parse(), Ok(bare));
    }

    #[test]
    fn constructors_take_socket_addresses() {
        let socket: SocketAddr = "[2001:db8::1]:53".parse().unwrap();
        let id = |protocol| address(protocol, "2001:db8::1", 53);
        assert_eq!(VirtualServerId::tcp(socket), id(Protocol::TCP));
        assert_eq!(VirtualServerId::udp(socket), id(Protocol::UDP));
        assert_eq!(VirtualServerId::sctp(socket), id(Protocol::SCTP));
        let seven = 7.try_into().unwrap();
        assert_eq!(
            VirtualServerId::fwmark(Family::V6, seven),
            mark(Family::V6, 7)
        );
    }

    #[test]
    fn other_text_is_refused_with_an_example() {
        for text in [
            "",
            "TCP",
            "10.0.0.1:80",
            "-t 10.0.0.1:80 -6",
            "-t 10.0.0.1:80 x y",
            "TCPX 10.0.0.1:80",
            "TCP 10.0.0.1:65536",
            "TCP example:80",
            "-f 0",
            "FWM 7 IPv5",
            "--protocol-256-service 10.0.0.1:80",
        ] {
            let error = text.parse::<VirtualServerId>().unwrap_err().to_string();
            assert!(error.contains("`TCP 10.0.0.1:80`"), "{text}: {error}");
        }
    }
}
