//! Numbers as `ipset` reads them.

/// A number as C's `strtoull` reads it with base 0: decimal, hexadecimal behind `0x`, octal behind
/// `0`. `None` for anything else, also for a negative number, which `ipset` refuses everywhere.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let hexadecimal = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, digits.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(octal)) if !octal.is_empty() => (octal, 8),
        (None, _) => (digits, 10),
    };
    // `from_str_radix` takes a sign of its own.
    let plain = digits.starts_with(|c: char| c.is_ascii_hexdigit());
    plain
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As tried with `hashsize` and `timeout` of ipset 7.17.
    #[test]
    fn numbers_are_those_of_ipset() {
        for (text, number) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("010", Some(8)),
            ("0x10", Some(16)),
            ("0X1f", Some(31)),
            ("+10", Some(10)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+", None),
            ("0x", None),
            ("08", None),
            ("-1", None),
            ("++1", None),
            ("0x+1", None),
            ("0+1", None),
            ("1K", None),
            ("600s", None),
            (" 1", None),
        ] {
            assert_eq!(parse_number(text), number, "{text:?}");
        }
    }
}
