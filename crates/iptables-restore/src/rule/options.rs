//! The options of rules and of extensions, as getopt_long(3) finds them in the tools: exact names, then abbreviations
//! that fit only one.
//!
//! Names are those of iptables 1.8.9 (`iptables-extensions(8)`); a match that is not listed takes all options that follow
//! it.

/// A long option of the rule itself or of the tool, with the letter of its short form.
const LONG: &[(&str, char)] = &[
    ("append", 'A'),
    ("delete", 'D'),
    ("check", 'C'),
    ("insert", 'I'),
    ("replace", 'R'),
    ("list", 'L'),
    ("list-rules", 'S'),
    ("flush", 'F'),
    ("zero", 'Z'),
    ("new-chain", 'N'),
    ("delete-chain", 'X'),
    ("rename-chain", 'E'),
    ("policy", 'P'),
    ("source", 's'),
    ("destination", 'd'),
    ("src", 's'),
    ("dst", 'd'),
    ("protocol", 'p'),
    ("in-interface", 'i'),
    ("jump", 'j'),
    ("table", 't'),
    ("match", 'm'),
    ("numeric", 'n'),
    ("out-interface", 'o'),
    ("verbose", 'v'),
    ("wait", 'w'),
    ("wait-interval", 'W'),
    ("exact", 'x'),
    ("fragments", 'f'),
    ("version", 'V'),
    ("help", 'h'),
    ("line-numbers", '0'),
    ("modprobe", 'M'),
    ("set-counters", 'c'),
    ("goto", 'g'),
    ("ipv4", '4'),
    ("ipv6", '6'),
];

/// Short options that take a value, which may follow in the same word.
const WITH_VALUE: &[char] = &['s', 'd', 'i', 'o', 'p', 'm', 'j', 'g', 'c'];

/// The options of extensions, all of them for each that is listed, so that an option it does not have is known to be
/// another's.
const EXTENSIONS: &[(&str, &[&str])] = &[
    ("ACCEPT", &[]),
    ("DROP", &[]),
    (
        "MARK",
        &["set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark"],
    ),
    ("MASQUERADE", &["to-ports", "random", "random-fully"]),
    ("REJECT", &["reject-with"]),
    ("RETURN", &[]),
    (
        "addrtype",
        &["src-type", "dst-type", "limit-iface-in", "limit-iface-out"],
    ),
    ("comment", &["comment"]),
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

/// The letter of a rule's own option that is written out, `--jump`. No extension has an option of such a name, so that it
/// ends those of any match.
pub(crate) fn exact(word: &str) -> Option<char> {
    let name = word.strip_prefix("--")?;
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    let (_, letter) = LONG.iter().find(|(long, _)| *long == name)?;
    Some(*letter)
}

/// The letter and the value of an option and its value in one word, `-ieth0`; for `-f` the value is more options.
pub(crate) fn glued(word: &str) -> Option<(char, &str)> {
    let rest = word.strip_prefix('-')?;
    let mut chars = rest.chars();
    let letter = chars.next()?;
    let value = chars.as_str();
    ((letter == 'f' || WITH_VALUE.contains(&letter)) && !value.is_empty())
        .then_some((letter, value))
}

/// True if `option`, among those of the extension `name`, would be read as another's or as an abbreviation.
pub(crate) fn is_foreign(option: &str, name: &str, is_chain: bool) -> bool {
    let Some(option) = option.strip_prefix("--") else {
        return false;
    };
    match of_extension(name) {
        Some(own) if own.contains(&option) => false,
        Some(_) => {
            let all = EXTENSIONS.iter().flat_map(|(_, options)| *options).copied();
            let mut names = LONG.iter().map(|(long, _)| *long).chain(all);
            names.any(|name| name.starts_with(option))
        }
        None => {
            let mut protocols = ["icmp", "icmp6", "sctp", "tcp", "udp"]
                .into_iter()
                .filter_map(of_extension);
            is_chain && protocols.any(|options| options.contains(&option))
        }
    }
}

/// Whose option an abbreviation stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The rule's own.
    Own(char),
    /// That of the extension at this place of the list, by its whole name.
    Extension(usize, &'static str),
}

/// What `name`, without dashes, abbreviates among the rule's own options and those of the extensions loaded so far;
/// `None` if nothing, or more than one thing.
pub(super) fn abbreviated(name: &str, loaded: &[&'static [&'static str]]) -> Option<Found> {
    if name.is_empty() {
        return None;
    }
    let own = LONG
        .iter()
        .filter(|(long, _)| long.starts_with(name))
        .map(|(_, letter)| (letter.to_string(), Found::Own(*letter)));
    let of_extensions = loaded.iter().enumerate().flat_map(|(place, options)| {
        options
            .iter()
            .filter(|option| option.starts_with(name))
            .map(move |option| (canonical(option), Found::Extension(place, option)))
    });
    let mut fitting = own.chain(of_extensions);
    let (key, found) = fitting.next()?;
    fitting.all(|(other, _)| other == key).then_some(found)
}

/// One name for those that mean the same.
fn canonical(option: &str) -> String {
    match option {
        "source-port" => "sport".to_owned(),
        "destination-port" => "dport".to_owned(),
        "source-ports" => "sports".to_owned(),
        "destination-ports" => "dports".to_owned(),
        _ => option.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What iptables-legacy-restore and iptables-nft-restore 1.8.9 took and refused.
    #[test]
    fn abbreviations_as_getopt_finds_them() {
        let tcp = of_extension("tcp").unwrap();
        let ct = of_extension("conntrack").unwrap();
        for (name, loaded, found) in [
            ("prot", &[][..], Some(Found::Own('p'))),
            ("jum", &[], Some(Found::Own('j'))),
            ("in-i", &[], Some(Found::Own('i'))),
            ("in", &[], None),
            ("s", &[], None),
            ("sr", &[], Some(Found::Own('s'))),
            ("dest", &[], Some(Found::Own('d'))),
            ("dest", &[tcp], None),
            ("dp", &[], None),
            ("dp", &[tcp], Some(Found::Extension(0, "dport"))),
            ("ctst", &[ct], None),
            ("ctdi", &[tcp, ct], Some(Found::Extension(1, "ctdir"))),
            ("", &[], None),
        ] {
            assert_eq!(abbreviated(name, loaded), found, "{name}");
        }
    }

    #[test]
    fn options_with_their_values_in_one_word() {
        assert_eq!(glued("-ieth0"), Some(('i', "eth0")));
        assert_eq!(glued("-fs"), Some(('f', "s")));
        for other in ["-i", "--in", "-x5", "-", "", "i", "-1"] {
            assert_eq!(glued(other), None, "{other}");
        }
        assert_eq!(exact("--jump=ACCEPT"), Some('j'));
        assert_eq!(exact("--jum"), None);
        assert_eq!(exact("-j"), None);
    }
}
