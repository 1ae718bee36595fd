//! The options of matches and targets, by the names that iptables 1.8.9 has for them (iptables-extensions(8)).

/// The options of extensions, all of them for each that is listed, so that an option it does not have is known to be
/// another's.
pub(super) const EXTENSIONS: &[(&str, &[&str])] = &[
    ("ACCEPT", &[]),
    (
        "CONNMARK",
        &[
            "set-xmark",
            "save-mark",
            "restore-mark",
            "set-mark",
            "and-mark",
            "or-mark",
            "xor-mark",
            "left-shift-mark",
            "right-shift-mark",
            "ctmask",
            "nfmask",
            "mask",
        ],
    ),
    (
        "CT",
        &[
            "notrack",
            "helper",
            "timeout",
            "ctevents",
            "expevents",
            "zone",
            "zone-orig",
            "zone-reply",
        ],
    ),
    ("DNAT", &["to-destination", "random", "persistent"]),
    ("DROP", &[]),
    (
        "LOG",
        &[
            "log-level",
            "log-prefix",
            "log-tcp-sequence",
            "log-tcp-options",
            "log-ip-options",
            "log-uid",
            "log-macdecode",
        ],
    ),
    (
        "MARK",
        &["set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark"],
    ),
    ("MASQUERADE", &["to-ports", "random", "random-fully"]),
    (
        "NFLOG",
        &[
            "nflog-group",
            "nflog-prefix",
            "nflog-range",
            "nflog-size",
            "nflog-threshold",
        ],
    ),
    ("REDIRECT", &["to-ports", "random"]),
    ("REJECT", &["reject-with"]),
    ("RETURN", &[]),
    (
        "SNAT",
        &["to-source", "random", "random-fully", "persistent"],
    ),
    ("TPROXY", &["on-port", "on-ip", "tproxy-mark"]),
    (
        "addrtype",
        &["src-type", "dst-type", "limit-iface-in", "limit-iface-out"],
    ),
    ("comment", &["comment"]),
    ("connmark", &["mark"]),
    (
        "conntrack",
        &[
            "ctstate",
            "ctproto",
            "ctorigsrc",
            "ctorigdst",
            "ctreplsrc",
            "ctrepldst",
            "ctorigsrcport",
            "ctorigdstport",
            "ctreplsrcport",
            "ctrepldstport",
            "ctstatus",
            "ctexpire",
            "ctdir",
        ],
    ),
    (
        "hashlimit",
        &[
            "hashlimit",
            "hashlimit-upto",
            "hashlimit-above",
            "hashlimit-burst",
            "hashlimit-mode",
            "hashlimit-name",
            "hashlimit-htable-size",
            "hashlimit-htable-max",
            "hashlimit-htable-gcinterval",
            "hashlimit-htable-expire",
            "hashlimit-srcmask",
            "hashlimit-dstmask",
            "hashlimit-rate-match",
            "hashlimit-rate-interval",
        ],
    ),
    ("icmp", &["icmp-type"]),
    ("icmp6", &["icmpv6-type"]),
    (
        "ipvs",
        &[
            "ipvs", "vproto", "vaddr", "vport", "vdir", "vmethod", "vportctl",
        ],
    ),
    ("limit", &["limit", "limit-burst"]),
    ("mark", &["mark"]),
    (
        "multiport",
        &[
            "source-ports",
            "sports",
            "destination-ports",
            "dports",
            "ports",
        ],
    ),
    (
        "physdev",
        &[
            "physdev-in",
            "physdev-out",
            "physdev-is-in",
            "physdev-is-out",
            "physdev-is-bridged",
        ],
    ),
    (
        "recent",
        &[
            "set", "rcheck", "update", "remove", "seconds", "reap", "hitcount", "rttl", "name",
            "rsource", "rdest", "mask",
        ],
    ),
    (
        "sctp",
        &[
            "source-port",
            "sport",
            "destination-port",
            "dport",
            "chunk-types",
        ],
    ),
    (
        "set",
        &[
            "match-set",
            "set",
            "return-nomatch",
            "update-counters",
            "update-subcounters",
            "packets-eq",
            "packets-lt",
            "packets-gt",
            "bytes-eq",
            "bytes-lt",
            "bytes-gt",
        ],
    ),
    ("state", &["state"]),
    ("statistic", &["mode", "probability", "every", "packet"]),
    (
        "string",
        &["from", "to", "algo", "string", "hex-string", "icase"],
    ),
    (
        "tcp",
        &[
            "source-port",
            "sport",
            "destination-port",
            "dport",
            "syn",
            "tcp-flags",
            "tcp-option",
        ],
    ),
    (
        "udp",
        &["source-port", "sport", "destination-port", "dport"],
    ),
];

/// The options of a match or target; `None` for one that is not listed.
pub(super) fn of_extension(name: &str) -> Option<&'static [&'static str]> {
    let (_, options) = EXTENSIONS.iter().find(|(listed, _)| *listed == name)?;
    Some(options)
}

/// The extensions that bear the name of a protocol: `-p` alone loads them.
pub(super) const OF_PROTOCOLS: [&str; 5] = ["icmp", "icmp6", "sctp", "tcp", "udp"];

/// The options of the match that `-p` loads under this name; `None` if it loads none that is listed.
pub(super) fn of_protocol(name: &str) -> Option<&'static [&'static str]> {
    of_extension(name).filter(|_| OF_PROTOCOLS.contains(&name))
}
