//! MAC addresses.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// An Ethernet address; prints in upper case, as `ipset` does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Whether all bytes are zero.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0 == [0; 6]
    }
}

impl FromStr for MacAddr {
    type Err = Error;

    /// Six hexadecimal numbers joined by `:`, in any case.
    fn from_str(text: &str) -> Result<Self, Error> {
        let fault = || {
            Error::token(
                "a MAC address",
                text,
                "give six bytes in hexadecimal, joined by `:`",
            )
        };
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| (1..=2).contains(&part.len()))
                .ok_or_else(fault)?;
            if !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(fault());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| fault())?;
        }
        if parts.next().is_some() {
            Err(fault())
        } else {
            Ok(Self(bytes))
        }
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_in_upper_case() {
        assert_eq!(
            "00:11:22:aa:bb:cc".parse::<MacAddr>().unwrap().to_string(),
            "00:11:22:AA:BB:CC"
        );
        for text in [
            "",
            "00:11:22:aa:bb",
            "00:11:22:aa:bb:cc:dd",
            "00:11:22:aa:bb:+c",
            "00:11:22:aa:bb:ccc",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text:?}");
        }
    }
}
