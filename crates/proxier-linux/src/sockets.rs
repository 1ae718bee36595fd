//! Addresses that sockets of this machine send from.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// `TCP_ESTABLISHED`, which connected sockets of UDP are in too (`net/tcp_states.h`).
const ESTABLISHED: u8 = 1;
/// States in which a socket has no connection, or only waits for late packets.
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;

/// The addresses from which connections of this network namespace are open, by `/proc/net/tcp` and its sisters
/// (proc_pid_net(5)). A file that cannot be read has none.
#[must_use]
pub fn addresses_in_use() -> BTreeSet<IpAddr> {
    let folder = Path::new("/proc/thread-self/net");
    let mut used = BTreeSet::new();
    for (file, connected_only) in [
        ("tcp", false),
        ("tcp6", false),
        ("udp", true),
        ("udp6", true),
    ] {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        let sockets = text.lines().skip(1).filter_map(socket);
        let open = sockets.filter(|(_, state)| match connected_only {
            true => *state == ESTABLISHED,
            false => ![TIME_WAIT, CLOSE, LISTEN].contains(state),
        });
        used.extend(open.map(|(address, _)| address));
    }
    used
}

/// The local address and the state of a socket: `0: 0A00600A:1F90 0B00600A:0050 01 ...`.
fn socket(line: &str) -> Option<(IpAddr, u8)> {
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next()?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let (address, _) = local.split_once(':')?;
    Some((parse(address)?, state))
}

/// An address is words of 32 bits, each printed as a number of the machine's byte order.
fn parse(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut octets = [0; 16];
            for (octet, byte) in octets.iter_mut().zip(words.as_flattened()) {
                *octet = *byte;
            }
            let address = Ipv6Addr::from(octets);
            // A socket of IPv6 may have connections of IPv4.
            Some(address.to_ipv4_mapped().map_or(address.into(), IpAddr::V4))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Lines of Linux 6.1 on x86-64.
    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_is_read() {
        let v4 = "   0: 0A00600A:9C40 0A00600A:0050 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0";
        let expected: IpAddr = "10.96.0.10".parse().unwrap();
        assert_eq!(socket(v4), Some((expected, ESTABLISHED)));
        let v6 = "   3: 000000FD96001000000000000A000000:9C40 00000000000000000000000000000000:0000 0A 0:0";
        let expected: IpAddr = "fd00:0:10:96::a".parse().unwrap();
        assert_eq!(socket(v6), Some((expected, LISTEN)));
        let mapped = "   3: 0000000000000000FFFF00000A00600A:9C40 0:0 01";
        assert_eq!(
            socket(mapped).map(|(address, _)| address.to_string()),
            Some("10.96.0.10".to_owned())
        );
        for bad in [
            "",
            "0:",
            "0: 0A0:1 x 01",
            "0: 0A00600A 0:0 01",
            "0: 0A00600A:1 0:0 zz",
        ] {
            assert_eq!(socket(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_a_connection_is_from_is_in_use_and_a_listener_is_not() {
        let listener = TcpListener::bind("127.77.0.1:0").unwrap();
        let listening: IpAddr = "127.77.0.1".parse().unwrap();
        assert!(!addresses_in_use().contains(&listening));
        let _stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_accepted, peer) = listener.accept().unwrap();
        let used = addresses_in_use();
        assert!(
            used.contains(&peer.ip()) && used.contains(&listening),
            "{used:?}"
        );
    }
}
