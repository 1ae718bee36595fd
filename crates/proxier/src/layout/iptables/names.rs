//! What the chains of Services and endpoints are called.

use iptables_restore::ChainName;

/// What a chain of a Service port is for. Its name is the prefix and 16 characters that identify the port, and for
/// [`Endpoint`](Self::Endpoint) the endpoint.
///
/// Source: `pkg/proxy/iptables/proxier.go` of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ChainKind {
    /// Chooses among the endpoints of the whole cluster.
    Cluster,
    /// Chooses among the endpoints of this node.
    Local,
    /// What is sent to external addresses and node ports.
    External,
    /// Lets source ranges pass.
    Firewall,
    /// Translates the destination to one endpoint.
    Endpoint,
}

impl ChainKind {
    const ALL: [Self; 5] = [
        Self::Cluster,
        Self::Local,
        Self::External,
        Self::Firewall,
        Self::Endpoint,
    ];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Cluster => "KUBE-SVC-",
            Self::Local => "KUBE-SVL-",
            Self::External => "KUBE-EXT-",
            Self::Firewall => "KUBE-FW-",
            Self::Endpoint => "KUBE-SEP-",
        }
    }

    /// The chain of this kind with these 16 characters.
    #[allow(
        clippy::expect_used,
        reason = "a prefix and base32 are a valid name; a test makes one of each kind"
    )]
    pub(crate) fn chain(self, suffix: &str) -> ChainName {
        ChainName::new([self.prefix(), suffix].concat()).expect("a valid chain name")
    }
}

/// Whether a chain of the nat table is that of a Service or an endpoint, whichever proxy made it.
pub(crate) fn is_service_chain(name: &ChainName) -> bool {
    is_service_chain_name(name.as_str())
}

/// The same of the name of a chain that is jumped to.
pub(crate) fn is_service_chain_name(name: &str) -> bool {
    let of = |kind: ChainKind| name.starts_with(kind.prefix());
    ChainKind::ALL.into_iter().any(of)
}

/// What identifies a Service port in the names of its chains, given as `namespace/name:port` and the protocol in lower
/// case; what identifies one of its endpoints with the endpoint's `ip:port` in addition.
///
/// The first 16 characters of the SHA-256 digest in base32 (RFC 4648).
pub(crate) fn suffix(parts: &[&str]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut hash = hmac_sha256::Hash::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    // Five bytes are eight characters of five bits.
    let groups = digest.chunks_exact(5).take(2);
    let characters = groups.flat_map(|group| {
        let bits = group
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        (0..8_u32).rev().map(move |place| {
            let index = usize::try_from(bits >> (5 * place) & 31).unwrap_or_default();
            char::from(ALPHABET.get(index).copied().unwrap_or_default())
        })
    });
    characters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that kube-proxy v1.36.2 gave; `scenarios/iptables` has more of them.
    #[test]
    fn names_are_those_that_kube_proxy_gives() {
        let port = ["default/kubernetes:https", "tcp"];
        let endpoint = [port[0], port[1], "192.168.0.1:6443"];
        let v6 = ["default/web:http", "tcp", "[fd00:10:244:1::5]:8080"];
        let named = |kind: ChainKind, parts: &[&str]| kind.chain(&suffix(parts)).to_string();
        for (kind, parts, name) in [
            (ChainKind::Cluster, &port[..], "KUBE-SVC-NPX46M4PTMTKRN6Y"),
            (ChainKind::Local, &port, "KUBE-SVL-NPX46M4PTMTKRN6Y"),
            (ChainKind::External, &port, "KUBE-EXT-NPX46M4PTMTKRN6Y"),
            (ChainKind::Firewall, &port, "KUBE-FW-NPX46M4PTMTKRN6Y"),
            (ChainKind::Endpoint, &endpoint, "KUBE-SEP-T2VFZROVKZVVWWZU"),
            (ChainKind::Endpoint, &v6, "KUBE-SEP-VQWBXALWTGJK2BTN"),
        ] {
            assert_eq!(named(kind, parts), name);
            assert!(is_service_chain(&kind.chain(&suffix(parts))));
        }
        // A port without a name.
        let unnamed = suffix(&["default/plain", "udp"]);
        assert_eq!(unnamed.len(), 16);
    }

    #[test]
    fn other_chains_are_not_taken_for_those_of_services() {
        for name in [
            "KUBE-SERVICES",
            "KUBE-SVC",
            "KUBE-SEPARATE",
            "MY-KUBE-SVC-X",
        ] {
            let name = ChainName::new(name);
            assert!(name.is_ok_and(|name| !is_service_chain(&name)));
        }
    }
}
