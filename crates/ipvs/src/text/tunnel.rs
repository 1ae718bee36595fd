//! Tunnel types by the names of `ipvsadm --tun-type`.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result, TunnelType};

const NAMES: [(TunnelType, &str); 3] = [
    (TunnelType::IPIP, "ipip"),
    (TunnelType::GUE, "gue"),
    (TunnelType::GRE, "gre"),
];

impl fmt::Display for TunnelType {
    /// `ipip`, `gue`, `gre`, or the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(known, _)| known == self) {
            Some((_, name)) => f.pad(name),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl FromStr for TunnelType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(known, _)| *known)
            .or_else(|| text.parse().map(Self).ok())
            .ok_or_else(|| Error::text(text, "a tunnel type: ipip, gue, gre or a number up to 255"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_and_others_are_numbers() {
        for (number, text) in [(0, "ipip"), (1, "gue"), (2, "gre"), (3, "3")] {
            assert_eq!(TunnelType(number).to_string(), text);
            assert_eq!(text.parse(), Ok(TunnelType(number)));
        }
        assert!("vxlan".parse::<TunnelType>().is_err());
    }
}
