//! The options of rules and of extensions, as getopt_long(3) finds them in the tools: exact names, then abbreviations
//! that fit only one.
//!
//! A match that is not listed in [`EXTENSIONS`] takes all options that follow it.

use super::extensions::{EXTENSIONS, OF_PROTOCOLS, of_extension};

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

/// The letter of the command that a word is, and the chain where it stands in the same word: `-A`, `--append`, `--app`,
/// `-AINPUT`, `--append=INPUT`. Those that only print are not among them.
pub(crate) fn command(word: &str) -> Option<(char, Option<&str>)> {
    const LETTERS: &str = "ADIRFNXPEZC";
    let known = |letter: &char| LETTERS.contains(*letter);
    if let Some(long) = word.strip_prefix("--") {
        let (name, chain) = match long.split_once('=') {
            Some((name, chain)) => (name, Some(chain)),
            None => (long, None),
        };
        let whole = LONG.iter().find(|(long, _)| *long == name);
        let letter = match (whole, abbreviated(name, &[])) {
            (Some((_, letter)), _) => *letter,
            (None, Some(Found::Own(letter))) => letter,
            _ => return None,
        };
        return Some((letter, chain)).filter(|(letter, _)| known(letter));
    }
    let mut chars = word.strip_prefix('-')?.chars();
    let letter = chars.next().filter(known)?;
    let chain = chars.as_str();
    Some((letter, (!chain.is_empty()).then_some(chain)))
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
            let mut protocols = OF_PROTOCOLS.into_iter().filter_map(of_extension);
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
