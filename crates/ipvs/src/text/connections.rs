//! The connection table, as `/proc/net/ip_vs_conn` prints it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::text::ProtocolName;
use crate::{Error, Protocol, Result};

const LINE: &str = "a line of /proc/net/ip_vs_conn: `TCP 0A000001 9C40 0A600001 0050 0A010001 1F90 ESTABLISHED     899`";

/// A connection of IPVS, or a template by which a client's connections persist.
///
/// Displays as a line of `ipvsadm -Lcn`, its columns parted by one blank, with seconds instead of minutes.
#[doc(alias = "ip_vs_conn")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ConnectionEntry {
    /// The protocol; 0 in templates of virtual servers by firewall mark.
    pub protocol: Protocol,
    /// The client. In a template the address is that of the client's network, and the port is 0.
    pub client: SocketAddr,
    /// The address that the client connected to; in templates of virtual servers by firewall mark, the mark
    /// as an address.
    pub server: SocketAddr,
    /// Where the connection goes.
    pub destination: SocketAddr,
    /// The state as the kernel names it: `ESTABLISHED`, `FIN_WAIT`, `UDP`; `NONE` or `ASSURED` for templates.
    pub state: Box<str>,
    /// Seconds until it is forgotten.
    pub expires: u32,
    /// The persistence engine and what it tells connections apart by (for `sip`, the call).
    pub persistence: Option<(Box<str>, Box<str>)>,
}

/// What distinguishes a connection.
pub(super) type Key = (Protocol, SocketAddr, SocketAddr);

impl ConnectionEntry {
    pub(super) fn key(&self) -> Key {
        (self.protocol, self.client, self.server)
    }

    /// Whether it is a template.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.client.port() == 0
    }
}

/// Parses `/proc/net/ip_vs_conn`.
///
/// # Errors
/// [`Error::Line`] for a line that is neither the heading nor a connection.
pub fn parse_connections(text: &str) -> Result<Vec<ConnectionEntry>> {
    let lines = (1..).zip(text.lines());
    let connections = lines.filter(|(_, line)| !line.starts_with("Pro "));
    connections
        .map(|(line, text)| {
            parse(text).ok_or_else(|| Error::Line {
                line,
                error: Box::new(Error::text(text, LINE)),
            })
        })
        .collect()
}

/// [`ip_vs_conn_seq_show`](https://github.com/torvalds/linux/blob/v6.12/net/netfilter/ipvs/ip_vs_conn.c).
fn parse(line: &str) -> Option<ConnectionEntry> {
    let mut words = line.split_ascii_whitespace();
    let protocol = protocol(words.next()?)?;
    let [client, server, destination] = [(); 3].map(|()| endpoint(words.next(), words.next()));
    let (state, expires) = (words.next()?, words.next()?);
    let persistence = match (words.next(), words.next()) {
        (None, _) => None,
        (Some(engine), data) => Some((engine.into(), data.unwrap_or_default().into())),
    };
    Some(ConnectionEntry {
        protocol,
        client: client?,
        server: server?,
        destination: destination?,
        state: state.into(),
        expires: expires.parse().ok()?,
        persistence,
    })
}

/// The kernel's name of a protocol
/// ([`ip_vs_proto_name`](https://github.com/torvalds/linux/blob/v6.12/net/netfilter/ipvs/ip_vs_core.c)).
fn protocol(name: &str) -> Option<Protocol> {
    Some(match name {
        "IP" => Protocol(0),
        "TCP" => Protocol::TCP,
        "UDP" => Protocol::UDP,
        "SCTP" => Protocol::SCTP,
        "ICMP" => Protocol::ICMP,
        "ICMPv6" => Protocol::ICMPV6,
        other => Protocol(other.strip_prefix("IP_")?.parse().ok()?),
    })
}

/// An address, hexadecimal if it is IPv4, and a hexadecimal port.
fn endpoint(address: Option<&str>, port: Option<&str>) -> Option<SocketAddr> {
    let (address, port) = (address?, port?);
    let ip = if address.contains(':') {
        IpAddr::V6(address.parse().ok()?)
    } else {
        IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?))
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(SocketAddr::new(ip, port))
}

impl fmt::Display for ConnectionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            protocol,
            client,
            server,
            destination,
            state,
            expires,
            persistence,
        } = self;
        match protocol {
            Protocol(0) => f.write_str("IP")?,
            protocol => write!(f, "{}", ProtocolName(*protocol))?,
        }
        write!(f, " {expires} {state} {client} {server} {destination}")?;
        if let Some((engine, data)) = persistence {
            write!(f, " {engine} {data}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Linux 6.1: TCP over IPv6, UDP over IPv4 and its template.
    const CAPTURED: &str = include_str!("../../tests/data/ip_vs_conn");

    #[test]
    fn the_kernels_table_is_read() {
        let entries = parse_connections(CAPTURED).unwrap();
        let lines: Vec<_> = entries.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            include_str!("../../tests/data/ip_vs_conn.expected")
                .lines()
                .collect::<Vec<_>>()
        );
        assert!(entries.iter().any(ConnectionEntry::is_template));
    }

    /// Synthetic: what this kernel has not printed.
    #[test]
    fn engines_and_other_protocols_are_read() {
        let line =
            "IP_47 0A000001 0000 00000007 0000 0A010001 0000 NONE            12 sip call-1@host";
        let [entry] = &parse_connections(line).unwrap()[..] else {
            panic!("one line");
        };
        assert_eq!(entry.protocol, Protocol::GRE);
        assert_eq!(
            entry.persistence,
            Some(("sip".into(), "call-1@host".into()))
        );
        assert_eq!(
            entry.to_string(),
            "47 12 NONE 10.0.0.1:0 0.0.0.7:0 10.1.0.1:0 sip call-1@host"
        );
    }

    #[test]
    fn other_lines_are_errors_with_their_place() {
        let good = "UDP 0A000001 9C40 0A600001 0035 0A010001 0035 UDP 299";
        assert_eq!(parse_connections(good).unwrap().len(), 1);
        for cut in 1..good.split(' ').count() {
            let words: Vec<_> = good.split(' ').take(cut).collect();
            let text = format!("Pro FromIP\n{good}\n{}", words.join(" "));
            let error = parse_connections(&text).unwrap_err();
            assert!(matches!(error, Error::Line { line: 3, .. }), "{error}");
        }
        for broken in [
            good.replace("UDP 0A", "XXX 0A"),
            good.replace("0A000001", "0A00000100"),
            good.replace("9C40", "19C40"),
            good.replace("299", "-1"),
        ] {
            assert!(parse_connections(&broken).is_err(), "{broken}");
        }
    }
}
