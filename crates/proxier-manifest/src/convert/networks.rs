//! Addresses and networks, as an annotation has them.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use proxier::cluster::ServiceOptions;

use crate::address;

/// `192.168.30.11, 10.8.0.0/16, fd00:8::/64`: where an address of a node may lie. A network of several addresses has no bits
/// beyond its prefix, since it could be meant as one address.
pub(super) fn of_node(text: &str) -> Result<Vec<IpNetwork>, String> {
    const MOST: usize = ServiceOptions::MOST_NETWORKS;
    let mut networks = Vec::new();
    for part in text.split(',').map(str::trim) {
        networks.push(network(part)?);
        if networks.len() > MOST {
            return Err(format!("are more than {MOST} addresses and networks"));
        }
    }
    Ok(networks)
}

fn network(text: &str) -> Result<IpNetwork, String> {
    let known = "an address or a network such as 192.168.30.11, 10.8.0.0/16 or fd00:8::/64";
    let wrong = |_| format!("{text:?} is not {known}");
    let parsed = match text.contains('/') {
        true => address::network(text).map_err(wrong)?,
        false => {
            let parsed = address::address(text).map_err(wrong)?;
            let value = IpNetwork::from(parsed.value);
            let zeros = parsed.zeros;
            address::Parsed { value, zeros }
        }
    };
    let network = parsed.value;
    if parsed.zeros {
        return Err(format!("{text:?} has leading zeros; write {network}"));
    }
    if network.ip() != network.network() {
        let (whole, one) = (network.network(), network.ip());
        let prefix = network.prefix();
        return Err(format!(
            "{text:?} has bits beyond its prefix; write {whole}/{prefix} or {one}"
        ));
    }
    let whole_family = network.prefix() == 0;
    if !whole_family && !is_usable(network.ip()) {
        return Err(format!(
            "{text:?} has no address that another machine can answer"
        ));
    }
    Ok(network)
}

const fn is_usable(address: IpAddr) -> bool {
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    !address.is_loopback() && !address.is_unspecified() && !address.is_multicast() && !link_local
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_in_their_order() {
        let networks =
            of_node(" 10.8.0.0/16,192.168.30.11 , fd00:8::/64,0.0.0.0/0, fd00::1").unwrap();
        let texts: Vec<_> = networks.iter().map(ToString::to_string).collect();
        let expected = [
            "10.8.0.0/16",
            "192.168.30.11/32",
            "fd00:8::/64",
            "0.0.0.0/0",
            "fd00::1/128",
        ];
        assert_eq!(texts, expected);
        let most = ["10.0.0.1"; ServiceOptions::MOST_NETWORKS].join(",");
        assert_eq!(of_node(&most).unwrap().len(), ServiceOptions::MOST_NETWORKS);
    }

    #[test]
    fn what_no_node_can_have_is_refused() {
        let most = ["10.0.0.1"; ServiceOptions::MOST_NETWORKS + 1].join(",");
        let not =
            "is not an address or a network such as 192.168.30.11, 10.8.0.0/16 or fd00:8::/64";
        for (text, reason) in [
            ("", format!("\"\" {not}")),
            ("10.0.0.1,", format!("\"\" {not}")),
            ("10.0.0", format!("\"10.0.0\" {not}")),
            ("10.0.0.0/33", format!("\"10.0.0.0/33\" {not}")),
            (
                "10.0.0.010",
                "\"10.0.0.010\" has leading zeros; write 10.0.0.10/32".to_owned(),
            ),
            (
                "10.8.0.1/16",
                "\"10.8.0.1/16\" has bits beyond its prefix; write 10.8.0.0/16 or 10.8.0.1"
                    .to_owned(),
            ),
            (&most, "are more than 16 addresses and networks".to_owned()),
        ] {
            assert_eq!(of_node(text), Err(reason));
        }
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "224.0.0.0/4",
            "::1",
            "::",
            "ff02::1",
            "fe80::/10",
            "fe80::1",
        ] {
            let reason = format!("{text:?} has no address that another machine can answer");
            assert_eq!(of_node(text), Err(reason));
        }
    }
}
