//! The patterns of `modules.alias` and modprobe.d(5).

/// Whether the pattern covers the whole text: `*`, `?`, `[a-f0-9]` and `[!a-f]` as in fnmatch(3), and
/// `-` is `_` outside of brackets, as in the names of modules.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut read) = (0, 0);
    // After a `*`: where to go on in the pattern, and how much of the text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, read));
        } else if let Some(next) = one(pattern, at, text.get(read).copied()) {
            at = next;
            read += 1;
        } else if let Some((after, taken)) = star {
            at = after;
            read = taken + 1;
            star = Some((after, read));
        } else {
            return false;
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

/// Matches one byte against the element at `at`; gives the place of the next element.
fn one(pattern: &[u8], at: usize, byte: Option<u8>) -> Option<usize> {
    let byte = byte?;
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => set(pattern, at, byte),
        expected => (plain(expected) == plain(byte)).then_some(at + 1),
    }
}

fn set(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    let rest = pattern.get(at + 1..)?;
    let length = rest.iter().position(|byte| *byte == b']')?;
    let mut members = rest.get(..length)?;
    let negated = matches!(members.first(), Some(b'!' | b'^'));
    if negated {
        members = members.get(1..)?;
    }
    let mut found = false;
    while let Some((&first, tail)) = members.split_first() {
        members = match tail {
            [b'-', last, tail @ ..] => {
                found |= (first..=*last).contains(&byte);
                tail
            }
            _ => {
                found |= first == byte;
                tail
            }
        };
    }
    (found != negated).then_some(at + length + 2)
}

fn plain(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_fnmatch() {
        for (pattern, text) in [
            (
                "net-pf-16-proto-16-family-IPVS",
                "net-pf-16-proto-16-family-IPVS",
            ),
            ("ip_set_hash:ip,port", "ip_set_hash:ip,port"),
            ("ipt_MASQUERADE", "ipt-MASQUERADE"),
            ("usb:v*p*d*ic03isc01*", "usb:v046DpC077d7200ic03isc01ip02"),
            ("pci:v000010ECd0000816[89]sv*", "pci:v000010ECd00008168sv1"),
            ("a[0-9a-f]c?", "afcx"),
            ("*", ""),
            ("ip_vs_[!l]*", "ip_vs_rr"),
            ("a*b*c", "a-b-b-c"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("nf_conntrack", "nf_conntrack_ipv4"),
            ("nf_conntrack_ipv4", "nf_conntrack"),
            ("a[0-9]", "ab"),
            ("a[0-9", "a1"),
            ("ip_vs_[!l]*", "ip_vs_lc"),
            ("a?", "a"),
            ("", "a"),
            ("a*b", "a-c"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_its_size_allows() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(10_000)));
    }
}
